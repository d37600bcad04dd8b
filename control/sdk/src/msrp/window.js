//! How many chunks of a large message may be under way: as many as are answered soon. Pure.
//!
//! It grows while answers come soon and it is used up, and halves when they come late: a fast way is kept full, and on a
//! slow one no more waits in its buffers than it carries within a few seconds, far from the time-out of a response.

const CHUNKS_AT_FIRST = 16;
const CHUNKS_MIN = 2;
/** With chunks of 64 KiB, 8 MiB. */
const CHUNKS_MAX = 128;
/** So many chunks, and it is better to send fewer and larger ones. */
const CHUNKS_WIDE = 48;
/** Milliseconds to an answer, up to which more may be under way. */
const SOON_MS = 250;
/** Milliseconds from which on less may. */
const LATE_MS = 2000;

/** The window of one sender. */
export class Window {
  /** Chunks that may be under way. */
  chunks = CHUNKS_AT_FIRST;
  /** When it was halved. Answers to what was sent before say nothing of the smaller one. */
  #halvedAt = -Infinity;

  /** @returns {boolean} whether the way carries so much that larger chunks keep nobody waiting */
  isWide() {
    return this.chunks >= CHUNKS_WIDE;
  }

  /**
   * @param {number} sentAt when the request went out, in milliseconds
   * @param {number} now
   * @param {boolean} isFull whether as many were under way as may be
   */
  answered(sentAt, now, isFull) {
    if (sentAt < this.#halvedAt) return;
    const ms = now - sentAt;
    if (ms > LATE_MS) {
      this.chunks = Math.max(CHUNKS_MIN, Math.floor(this.chunks / 2));
      this.#halvedAt = now;
    } else if (ms <= SOON_MS && isFull) {
      this.chunks = Math.min(CHUNKS_MAX, this.chunks + 1);
    }
  }
}
