//! A file on its way out: read a few buffers ahead, never as a whole.

import { BlobReader } from "./blob-reader.js";

/** Octets of a buffer. */
const BUFFER_OCTETS = 1024 * 1024;
/** Buffers: the one that is sent, and those that are filled meanwhile. */
const BUFFERS = 3;

/** The octets of a Blob, in their order. */
export class FileSource {
  #blob;
  #ready;
  #failed;
  /** @type {BlobReader | null} */
  #reader = null;
  /** What has been read, the octets that are sent next first. @type {{ start: number, octets: Uint8Array }[]} */
  #read = [];
  /** @type {Uint8Array[]} */
  #spare = [];
  /** Where the next buffer begins. */
  #next = 0;
  #isReading = false;

  /**
   * @param {Blob} blob
   * @param {() => void} ready more of it is there
   * @param {(reason: string) => void} failed it can't be read any more
   */
  constructor(blob, ready, failed) {
    this.#blob = blob;
    this.#ready = ready;
    this.#failed = failed;
    /** Octets of the whole. */
    this.length = blob.size;
  }

  /**
   * @param {number} start where the octets before ended, or the beginning again
   * @param {number} end
   * @returns {Uint8Array | null} null: not there yet; may be less than was asked for. They hold until the next are asked for
   */
  subarray(start, end) {
    if (start >= this.length) return new Uint8Array(0);
    const isOver = (/** @type {{ start: number, octets: Uint8Array }} */ part) => part.start + part.octets.length <= start;
    while (this.#read.length > 0 && isOver(this.#read[0])) {
      const [{ octets }] = this.#read.splice(0, 1);
      this.#spare.push(new Uint8Array(octets.buffer));
    }
    if (!this.#reader || start < (this.#read[0]?.start ?? this.#next)) this.#begin(start);
    this.#fill();
    const [part] = this.#read;
    return part ? part.octets.subarray(start - part.start, end - part.start) : null;
  }

  /** Nobody asks for more. */
  close() {
    this.#reader?.close();
    this.#reader = null;
  }

  /** @param {number} start */
  #begin(start) {
    this.#reader?.close();
    this.#read = [];
    this.#next = start;
    this.#spare = [];
    for (let count = 0; count < BUFFERS; count += 1) this.#spare.push(new Uint8Array(Math.min(BUFFER_OCTETS, this.length)));
    this.#reader = new BlobReader(this.#blob.slice(start));
    this.#isReading = false;
  }

  async #fill() {
    const reader = this.#reader;
    if (this.#isReading || !reader) return;
    this.#isReading = true;
    while (this.#next < this.length) {
      const place = this.#spare.pop();
      if (!place) break;
      const read = await reader.read(place).catch((/** @type {Error} */ error) => error.message);
      if (reader !== this.#reader) return;
      if (typeof read === "string" || read.length === 0) {
        this.#failed(`the file can't be read: ${read || "it has become shorter"}`);
        return;
      }
      this.#read.push({ start: this.#next, octets: read });
      this.#next += read.length;
      this.#ready();
    }
    if (reader === this.#reader) this.#isReading = false;
  }
}
