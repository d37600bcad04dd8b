//! A file on its way out: read a slice ahead, never as a whole.

/** Octets of a slice. */
const SLICE_OCTETS = 1024 * 1024;
/** Slices that are kept: the one that is sent, and the next. */
const SLICES = 2;

/** The octets of a Blob, as far as they have been read. */
export class FileSource {
  #blob;
  #ready;
  #failed;
  /** @type {Map<number, Uint8Array>} */
  #slices = new Map();
  /** Slices that are being read. @type {Set<number>} */
  #reading = new Set();

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
   * @param {number} start
   * @param {number} end
   * @returns {Uint8Array | null} null: not there yet; may be less than was asked for
   */
  subarray(start, end) {
    if (start >= this.length) return new Uint8Array(0);
    const number = Math.floor(start / SLICE_OCTETS);
    this.#read(number);
    this.#read(number + 1);
    const slice = this.#slices.get(number);
    const offset = number * SLICE_OCTETS;
    return slice ? slice.subarray(start - offset, end - offset) : null;
  }

  /** @param {number} number of a slice */
  async #read(number) {
    const start = number * SLICE_OCTETS;
    if (start >= this.length || this.#slices.has(number) || this.#reading.has(number)) return;
    this.#reading.add(number);
    try {
      const slice = this.#blob.slice(start, Math.min(start + SLICE_OCTETS, this.length));
      this.#slices.set(number, new Uint8Array(await slice.arrayBuffer()));
    } catch (error) {
      this.#failed(`the file can't be read: ${/** @type {Error} */ (error).message}`);
      return;
    } finally {
      this.#reading.delete(number);
    }
    for (const known of this.#slices.keys()) {
      if (this.#slices.size <= SLICES) break;
      if (known !== number && known !== number - 1) this.#slices.delete(known);
    }
    this.#ready();
  }
}
