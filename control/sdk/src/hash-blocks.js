//! Hashes of what comes piece by piece (FIPS 180-4), which the browser's own digests do not do: they want the whole at
//! once. The same in the page and in its worker, which gets it as a text. Not here: who asks for which (`hash.js`).

import { BlobReader } from "./blob-reader.js";
import { BLOCK_OCTETS, plain } from "./hash-plain.js";

/** Where the length of the whole begins in the last block. */
const LENGTH_AT = 56;
/** Octets of a Blob that are read at a time. */
const READ_OCTETS = 1024 * 1024;

/** Where the module takes blocks from, and how many octets at a time; `build/hash-wasm.js` knows the same. */
const STATE_AT = 0;
const BLOCKS_AT = 1024;
const BLOCKS_OCTETS_MAX = 256 * 1024;

/** @typedef {import("./hash-plain.js").Compression} Compression */
/** @typedef {"sha-1" | "sha-256"} Algorithm */
/** A hash that goes on somewhere else.
 * @typedef {{ algorithm: Algorithm, state: Int32Array, block: Uint8Array, used: number, length: number }} SavedHash */

/** What compresses, for all hashes. */
let compressions = plain;

/**
 * From now on blocks are compressed by WebAssembly, if the page's policy allows it and the browser can.
 * @param {string} base64 the module of `hash-wasm.js`
 * @returns {boolean} false: JavaScript goes on to do it, more slowly
 */
export function compressBy(base64) {
  try {
    const module = new WebAssembly.Module(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
    const exported = /** @type {any} */ (new WebAssembly.Instance(module).exports);
    const state = new Int32Array(exported.memory.buffer, STATE_AT, 8);
    const blocks = new Uint8Array(exported.memory.buffer, BLOCKS_AT, BLOCKS_OCTETS_MAX);
    /** @type {(compress: (at: number, end: number) => void) => Compression} */
    const by = (compress) => (of, octets) => {
      state.set(of);
      for (let at = 0; at < octets.length; at += BLOCKS_OCTETS_MAX) {
        const part = octets.subarray(at, at + BLOCKS_OCTETS_MAX);
        blocks.set(part);
        compress(BLOCKS_AT, BLOCKS_AT + part.length);
      }
      of.set(state.subarray(0, of.length));
    };
    compressions = { sha1: by(exported.sha1), sha256: by(exported.sha256) };
    return true;
  } catch {
    return false;
  }
}

/** @type {Record<Algorithm, [keyof typeof plain, number[]]>} */
const KNOWN = {
  "sha-1": ["sha1", [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]],
  "sha-256": ["sha256", [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ]],
};

/** One hash of what comes piece by piece. */
export class Hash {
  #algorithm;
  /** @type {Int32Array} */
  #state;
  /** The beginning of a block whose rest has not come. @type {Uint8Array} */
  #block = new Uint8Array(BLOCK_OCTETS);
  #used = 0;
  #length = 0;

  /** @param {Algorithm} algorithm */
  constructor(algorithm) {
    this.#algorithm = algorithm;
    this.#state = Int32Array.from(KNOWN[algorithm][1]);
  }

  /** @returns {SavedHash} */
  save() {
    return {
      algorithm: this.#algorithm, state: this.#state, block: this.#block, used: this.#used, length: this.#length,
    };
  }

  /** @param {SavedHash} saved of the same algorithm */
  restore({ state, block, used, length }) {
    this.#state = state;
    this.#block = block;
    this.#used = used;
    this.#length = length;
  }

  /** @param {Uint8Array} octets that follow on those before */
  update(octets) {
    const compress = compressions[KNOWN[this.#algorithm][0]];
    this.#length += octets.length;
    let at = 0;
    if (this.#used > 0) {
      at = Math.min(BLOCK_OCTETS - this.#used, octets.length);
      this.#block.set(octets.subarray(0, at), this.#used);
      this.#used += at;
      if (this.#used < BLOCK_OCTETS) return;
      compress(this.#state, this.#block);
    }
    const end = octets.length - (octets.length - at) % BLOCK_OCTETS;
    if (end > at) compress(this.#state, octets.subarray(at, end));
    this.#block.set(octets.subarray(end));
    this.#used = octets.length - end;
  }

  /** @returns {string} upper-case pairs with colons, as RFC 5547 writes them; nothing may follow */
  digest() {
    const length = this.#length;
    const rest = (this.#used < LENGTH_AT ? 1 : 2) * BLOCK_OCTETS - this.#used;
    const end = new Uint8Array(rest);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(rest - 8, Math.floor(length / 0x2000_0000));
    view.setUint32(rest - 4, (length << 3) >>> 0);
    this.update(end);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0"))
      .join("").toUpperCase().match(/../g)?.join(":") ?? "";
  }
}

/**
 * Goes on with hashes by what follows, here and now.
 * @param {Hash[]} hashes
 * @param {Uint8Array | Blob} source
 * @returns {Promise<void>} rejects if the Blob can't be read
 */
export async function absorb(hashes, source) {
  if (source instanceof Uint8Array) {
    for (const hash of hashes) hash.update(source);
    return;
  }
  const reader = new BlobReader(source);
  /** @type {Uint8Array} */
  let place = new Uint8Array(READ_OCTETS);
  for (let octets = await reader.read(place); octets.length > 0; octets = await reader.read(place)) {
    for (const hash of hashes) hash.update(octets);
    place = new Uint8Array(octets.buffer);
  }
}

/**
 * What a worker does: goes on with the hashes that it is sent, and sends back how far they are after each job. It keeps
 * those of which another job may be on its way already.
 * @param {{ postMessage: (message: any, transfer?: any[]) => void, onmessage: any }} scope
 */
export function serveHashes(scope) {
  /** @type {Map<number, Hash[]>} */
  const streams = new Map();
  scope.onmessage = async (/** @type {MessageEvent} */ { data }) => {
    if (data.wasm) {
      compressBy(data.wasm);
      return;
    }
    if (data.over) {
      streams.delete(data.over);
      return;
    }
    const { job, stream, source } = data;
    try {
      if (data.saved) streams.set(stream, data.saved.map(restored));
      const hashes = /** @type {Hash[]} */ (streams.get(stream));
      await absorb(hashes, source);
      const saved = hashes.map((hash) => hash.save());
      const spare = source instanceof Uint8Array ? source : new Uint8Array(0);
      scope.postMessage({ job, saved, source: spare }, [spare.buffer]);
    } catch (error) {
      scope.postMessage({ job, error: /** @type {Error} */ (error).message });
    }
  };
  scope.postMessage({ ready: true });
}

/** @param {SavedHash} saved */
function restored(saved) {
  const hash = new Hash(saved.algorithm);
  hash.restore(saved);
  return hash;
}
