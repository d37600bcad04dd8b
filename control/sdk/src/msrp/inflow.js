//! Takes a large message as it comes, piece by piece, without keeping any of it (RFC 4975, 7.3.1). Pure.
//!
//! One message at a time, its chunks in their order, as senders of files send them. What comes a second
//! time, because a connection was replaced, is passed over.

import { readByteRange } from "./frame.js";

/**
 * What became of a chunk: new octets, nothing new, the end of an aborted message, or refused.
 * @typedef {{ kind: "piece", from: number, octets: Uint8Array, total: number | null, last: boolean }
 *   | { kind: "repeated" | "aborted" }
 *   | { kind: "refused", status: number, comment: string }} Outcome
 */

/** The message that is coming in. */
export class Inflow {
  #octetsMax;
  #messageId = "";
  /** Octets that have come. */
  #received = 0;
  #whole = false;

  /** @param {number} octetsMax of the message */
  constructor(octetsMax) {
    this.#octetsMax = octetsMax;
  }

  /**
   * @param {string} messageId
   * @param {import("./frame.js").Frame} frame a SEND with a body
   * @returns {Outcome}
   */
  take(messageId, frame) {
    const range = readByteRange(frame.headers.get("byte-range"));
    if (!range) return { kind: "refused", status: 400, comment: "Byte-Range" };
    if (this.#messageId === "") this.#messageId = messageId;
    if (this.#messageId !== messageId) return { kind: "refused", status: 413, comment: "One file at a time" };
    if (this.#whole) return { kind: "repeated" };
    if (frame.flag === "#") return { kind: "aborted" };
    const body = /** @type {Uint8Array} */ (frame.body);
    const from = range.start - 1;
    const to = from + body.length;
    if (to > this.#octetsMax || (range.total ?? 0) > this.#octetsMax) {
      return { kind: "refused", status: 413, comment: "More than was announced" };
    }
    if (from > this.#received) return { kind: "refused", status: 400, comment: "A chunk is missing" };
    const last = frame.flag === "$";
    if (to <= this.#received && !(last && to === this.#received)) return { kind: "repeated" };
    const octets = body.subarray(this.#received - from);
    const start = this.#received;
    this.#received = to;
    this.#whole = last;
    return { kind: "piece", from: start, octets, total: last ? to : range.total, last };
  }
}
