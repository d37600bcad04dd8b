//! Reads a Blob from its start, in the same few buffers: a slice at a time costs browsers several times as much, and
//! leaves as many octets of garbage as the Blob has.

/** Reads one Blob, once. */
export class BlobReader {
  #blob;
  /** @type {ReadableStreamBYOBReader | null} */
  #reader = null;
  /** Where the next slice begins, without a reader. */
  #next = 0;

  /** @param {Blob} blob */
  constructor(blob) {
    this.#blob = blob;
    try {
      this.#reader = blob.stream().getReader({ mode: "byob" });
    } catch {
      // An older browser: slices it is.
    }
  }

  /**
   * @param {Uint8Array} place where octets may be put; not to be used any more
   * @returns {Promise<Uint8Array>} as many octets as `place` has, less at the end, none after it; of the same buffer, or of
   *   one as large. Rejects if the Blob can't be read any more
   */
  async read(place) {
    const { length } = place;
    const reader = this.#reader;
    if (!reader) {
      const slice = this.#blob.slice(this.#next, this.#next + length);
      this.#next += slice.size;
      return new Uint8Array(await slice.arrayBuffer());
    }
    let { buffer } = place;
    let filled = 0;
    while (filled < length) {
      const { value, done } = await reader.read(new Uint8Array(buffer, filled, length - filled));
      if (value) buffer = value.buffer;
      if (done) break;
      filled += value.length;
    }
    return new Uint8Array(buffer, 0, filled);
  }

  /** Reads no more; what is read at the moment may be less than it would have been. */
  close() {
    this.#reader?.cancel().catch(() => {});
  }
}
