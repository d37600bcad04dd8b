//! Numbers of frames, and the frames the server has not confirmed yet. Pure.

/** @typedef {import("./message.js").Message} Message */

/** Frames kept at most until the server confirms them. */
export const UNCONFIRMED_MAX = 1000;

/** Both directions' counters of one session. */
export class Sequence {
  /** Highest number given out. */
  lastSent = 0;
  /** Highest number received. */
  lastReceived = 0;
  /** Highest number we told the server we received. */
  lastConfirmed = 0;
  /** Ours that the server has not confirmed, ascending. @type {Message[]} */
  unconfirmed = [];

  /**
   * Numbers a frame of ours and keeps it.
   * @param {Message} message
   */
  stamp(message) {
    if (this.unconfirmed.length >= UNCONFIRMED_MAX) {
      throw new Error(`wsc: ${UNCONFIRMED_MAX} frames wait for the server; no more are taken`);
    }
    this.lastSent += 1;
    message.control.sequence = this.lastSent;
    this.unconfirmed.push(message);
  }

  /**
   * The server has everything up to `number`.
   * @param {number | undefined} number
   */
  confirm(number) {
    if (number === undefined) return;
    while (this.unconfirmed.length > 0
      && /** @type {number} */ (this.unconfirmed[0].control.sequence) <= number) {
      this.unconfirmed.shift();
    }
  }

  /**
   * Takes the number of a frame of the server's.
   * @param {number | undefined} number
   * @returns {"next" | "gap" | "duplicate"}
   */
  receive(number) {
    if (number === undefined) return "next";
    if (number <= this.lastReceived) return "duplicate";
    const verdict = number === this.lastReceived + 1 ? "next" : "gap";
    this.lastReceived = number;
    return verdict;
  }

  /**
   * What a resuming connect tells: last received, and the edges of what is unconfirmed.
   * @returns {{ cslr: number, cslw?: number, csuw?: number }}
   */
  marks() {
    if (this.lastSent === 0) return { cslr: this.lastReceived };
    const lowest = this.unconfirmed[0]?.control.sequence ?? this.lastSent + 1;
    return { cslr: this.lastReceived, cslw: lowest, csuw: this.lastSent };
  }

  /** @returns {import("./session-store.js").SessionImage["sequence"]} for whoever goes on with it */
  image() {
    const { lastSent, lastReceived, unconfirmed } = this;
    return { lastSent, lastReceived, unconfirmed: unconfirmed.map(({ control, header, payload }) => ({ control, header, payload })) };
  }

  /** The server gave a new session for the lost one: its connect counts as number 1. */
  restart() {
    this.lastSent = 1;
    this.lastReceived = 0;
    this.lastConfirmed = 0;
    this.unconfirmed = [];
  }
}
