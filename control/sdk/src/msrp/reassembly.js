//! Puts the chunks of messages together again (RFC 4975, 7.3.1). Pure.
//!
//! Chunks may come in any order and may overlap: the last one received counts. What is held is
//! bounded by the number of messages, the largest message, and the time since the last chunk.

import { readByteRange } from "./frame.js";

/** Messages that may be incomplete at once. */
const PARTIALS_MAX = 16;
/** Milliseconds after which an incomplete message without a new chunk is forgotten. */
const PARTIAL_MS_MAX = 120_000;
/** Ids of complete messages that are remembered, so that repetitions are not delivered. */
const COMPLETED_MAX = 256;
/** Gaps between the received pieces of one message. */
const PIECES_MAX = 256;

/**
 * @typedef {object} Partial
 * @property {Uint8Array} octets what was received, each at its place
 * @property {[number, number][]} pieces where octets are, from and to, ascending, apart
 * @property {number | null} total octets of the whole; known once the chunk with `$` is here
 * @property {number} touchedAt
 */

/**
 * What became of a chunk: taken, the last one missing (with the whole body), a repetition, the
 * end of an aborted message, or refused with a status.
 * @typedef {{ kind: "taken" | "repeated" | "aborted" }
 *   | { kind: "complete", body: Uint8Array }
 *   | { kind: "refused", status: number, comment: string }} Outcome
 */

/** Collects the chunks of one session. */
export class Reassembly {
  /** @type {Map<string, Partial>} */
  #partials = new Map();
  /** @type {Set<string>} */
  #completed = new Set();
  #octetsMax;

  /** @param {number} octetsMax of the largest message */
  constructor(octetsMax) {
    this.#octetsMax = octetsMax;
  }

  /**
   * @param {string} messageId
   * @param {import("./frame.js").Frame} frame a SEND with a body
   * @param {number} now milliseconds
   * @returns {Outcome}
   */
  take(messageId, frame, now) {
    const range = readByteRange(frame.headers.get("byte-range"));
    if (!range) return { kind: "refused", status: 400, comment: "Byte-Range" };
    if (this.#completed.has(messageId)) return { kind: "repeated" };
    if (frame.flag === "#") {
      this.#partials.delete(messageId);
      return { kind: "aborted" };
    }
    const body = /** @type {Uint8Array} */ (frame.body);
    const from = range.start - 1;
    const to = from + body.length;
    if (to > this.#octetsMax || (range.total ?? 0) > this.#octetsMax) {
      this.#partials.delete(messageId);
      return { kind: "refused", status: 413, comment: "Message too large" };
    }
    if (frame.flag === "$" && from === 0) {
      this.#partials.delete(messageId);
      return { kind: "complete", body };
    }
    const partial = this.#partials.get(messageId) ?? this.#begin(messageId, now);
    if (!partial || !place(partial, body, from, to)) {
      this.#partials.delete(messageId);
      return { kind: "refused", status: 413, comment: "Too many pieces" };
    }
    partial.touchedAt = now;
    if (frame.flag === "$") partial.total = to;
    const [first] = partial.pieces;
    const whole = partial.total !== null
      && (partial.total === 0 || (first?.[0] === 0 && first[1] >= partial.total));
    if (!whole) return { kind: "taken" };
    this.#partials.delete(messageId);
    return { kind: "complete", body: partial.octets.slice(0, /** @type {number} */ (partial.total)) };
  }

  /**
   * A complete message was delivered: its chunks, should they come again, are not.
   * @param {string} messageId
   */
  remember(messageId) {
    this.#completed.add(messageId);
    if (this.#completed.size <= COMPLETED_MAX) return;
    for (const oldest of this.#completed) {
      this.#completed.delete(oldest);
      return;
    }
  }

  /**
   * Forgets messages whose sender fell silent.
   * @param {number} now milliseconds
   */
  expire(now) {
    for (const [messageId, partial] of this.#partials) {
      if (now - partial.touchedAt >= PARTIAL_MS_MAX) this.#partials.delete(messageId);
    }
  }

  /** @returns {number | null} when {@link Reassembly.expire} has something to do */
  deadline() {
    let earliest = Infinity;
    for (const { touchedAt } of this.#partials.values()) earliest = Math.min(earliest, touchedAt);
    return earliest === Infinity ? null : earliest + PARTIAL_MS_MAX;
  }

  /**
   * @param {string} messageId
   * @param {number} now
   * @returns {Partial | null} null if too many messages are incomplete
   */
  #begin(messageId, now) {
    this.expire(now);
    if (this.#partials.size >= PARTIALS_MAX) return null;
    /** @type {Partial} */
    const partial = { octets: new Uint8Array(4096), pieces: [], total: null, touchedAt: now };
    this.#partials.set(messageId, partial);
    return partial;
  }
}

/**
 * @param {Partial} partial
 * @param {Uint8Array} body
 * @param {number} from
 * @param {number} to
 * @returns {boolean} false if there are too many pieces
 */
function place(partial, body, from, to) {
  if (to > partial.octets.length) {
    const grown = new Uint8Array(Math.max(to, partial.octets.length * 2));
    grown.set(partial.octets);
    partial.octets = grown;
  }
  partial.octets.set(body, from);
  if (from === to) return true;
  const apart = partial.pieces.filter(([start, end]) => end < from || start > to);
  const touched = partial.pieces.filter(([start, end]) => end >= from && start <= to);
  const start = Math.min(from, ...touched.map((piece) => piece[0]));
  const end = Math.max(to, ...touched.map((piece) => piece[1]));
  partial.pieces = [...apart, /** @type {[number, number]} */ ([start, end])]
    .sort((one, other) => one[0] - other[0]);
  return partial.pieces.length <= PIECES_MAX;
}
