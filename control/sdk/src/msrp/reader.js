//! Finds frames in octets, however they are cut up (RFC 4975, 7.3.1). Pure.
//!
//! An end-line counts only behind a line break, with this frame's own id, a flag, and a line break. Over WebSocket a
//! message is one frame (RFC 7977, 5.1): where it is, its body needs no searching.

import { HEADER_LINE_OCTETS_MAX, HEAD_OCTETS_MAX, frameOf, readStartLine } from "./frame.js";
import { find } from "./search.js";

/** @typedef {import("./frame.js").Frame} Frame */

const CR = 13;
const LF = 10;
const FLAGS = "$+#";
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The stream can't be understood any more; its connection must be closed. */
export class FramingLost extends Error {}

/** Octets in, frames out. */
export class Reader {
  /** What was received and not yet given out. @type {Uint8Array} */
  #held = new Uint8Array(0);
  /** Octets of `#held` already searched for the end-line. */
  #searched = 0;
  #octetsMax;

  /** @param {number} octetsMax most octets held for one frame */
  constructor(octetsMax) {
    this.#octetsMax = octetsMax;
  }

  /**
   * @param {Uint8Array} octets
   * @param {boolean} [isMessage] a whole message of a WebSocket: if its end is one of the frame it begins with, that is its
   *   only frame. Whoever forwarded it has looked for an earlier one
   * @returns {Frame[]} the frames that are now whole
   * @throws {FramingLost}
   */
  push(octets, isMessage = false) {
    const isOne = isMessage && this.#held.length === 0;
    this.#held = this.#held.length === 0 ? octets : joined(this.#held, octets);
    const frames = [];
    for (let frame = this.#next(isOne); frame; frame = this.#next(false)) frames.push(frame);
    if (this.#held.length > this.#octetsMax) throw new FramingLost("a frame is too long");
    return frames;
  }

  /**
   * @param {boolean} isOne whether the frame is all there is, if it ends where that ends
   * @returns {Frame | null}
   */
  #next(isOne) {
    const held = this.#held;
    const lineEnd = lineEndIn(held, 0, HEADER_LINE_OCTETS_MAX);
    if (lineEnd < 0) {
      if (!"MSRP ".startsWith(decoder.decode(held.subarray(0, 5)))) {
        throw new FramingLost("not MSRP");
      }
      return null;
    }
    const start = readStartLine(decoder.decode(held.subarray(0, lineEnd)));
    if (!start) throw new FramingLost("not a start line");

    const endLine = encoder.encode(`-------${start.tid}`);
    /** @type {string[]} */
    const lines = [];
    let at = lineEnd + 2;
    for (;;) {
      const end = lineEndIn(held, at, HEADER_LINE_OCTETS_MAX);
      if (at > HEAD_OCTETS_MAX) throw new FramingLost("a head is too long");
      if (end < 0) return null;
      if (end === at) break;
      const flag = endLineFlag(held, at, endLine);
      if (flag) return this.#take(frameOf(start, lines, null, flag), end + 2);
      lines.push(decoder.decode(held.subarray(at, end)));
      at = end + 2;
    }

    const bodyStart = at + 2;
    // An empty body may be written without a line break of its own.
    const emptyFlag = endLineFlag(held, bodyStart, endLine);
    if (emptyFlag) {
      const frame = frameOf(start, lines, new Uint8Array(0), emptyFlag);
      return this.#take(frame, bodyStart + endLine.length + 3);
    }
    const wanted = encoder.encode(`\r\n-------${start.tid}`);
    const last = held.length - wanted.length - 3;
    const isThere = isOne && last >= bodyStart && held[last] === CR && held[last + 1] === LF
      && endLineFlag(held, last + 2, endLine) !== "";
    let cr = isThere ? last : find(held, wanted, Math.max(bodyStart, this.#searched));
    while (cr >= 0 && held.length >= cr + wanted.length + 3) {
      const flag = endLineFlag(held, cr + 2, endLine);
      if (flag) {
        const frame = frameOf(start, lines, held.subarray(bodyStart, cr), flag);
        return this.#take(frame, cr + wanted.length + 3);
      }
      cr = find(held, wanted, cr + 1);
    }
    // What stands too near the end to tell is looked at again.
    this.#searched = cr >= 0 ? cr : Math.max(bodyStart, held.length - wanted.length);
    return null;
  }

  /**
   * @param {Frame} frame
   * @param {number} end where it ends in what is held
   */
  #take(frame, end) {
    this.#held = this.#held.subarray(end);
    this.#searched = 0;
    return frame;
  }
}

/**
 * @param {Uint8Array} octets
 * @param {number} from
 * @param {number} lengthMax
 * @returns {number} where the CR of the line that starts at `from` stands, -1 if it is not there yet
 */
function lineEndIn(octets, from, lengthMax) {
  for (let cr = octets.indexOf(CR, from); cr >= 0; cr = octets.indexOf(CR, cr + 1)) {
    if (cr - from > lengthMax) throw new FramingLost("a line is too long");
    if (cr + 1 === octets.length) return -1;
    if (octets[cr + 1] === LF) return cr;
  }
  if (octets.length - from > lengthMax) throw new FramingLost("a line is too long");
  return -1;
}

/**
 * @param {Uint8Array} octets
 * @param {number} at
 * @param {Uint8Array} endLine dashes and id
 * @returns {string} the flag if an end-line with its line break stands there, else nothing
 */
function endLineFlag(octets, at, endLine) {
  const flagAt = at + endLine.length;
  if (octets.length < flagAt + 3) return "";
  for (let index = 0; index < endLine.length; index += 1) {
    if (octets[at + index] !== endLine[index]) return "";
  }
  const flag = String.fromCharCode(octets[flagAt]);
  const ends = octets[flagAt + 1] === CR && octets[flagAt + 2] === LF;
  return FLAGS.includes(flag) && ends ? flag : "";
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 */
function joined(first, second) {
  const octets = new Uint8Array(first.length + second.length);
  octets.set(first, 0);
  octets.set(second, first.length);
  return octets;
}
