//! SHA-1 and SHA-256 of what comes piece by piece (FIPS 180-4), which the browser's own digests do not do: they
//! want the whole at once. Pure.

const BLOCK_OCTETS = 64;
/** Where the length of the whole begins in the last block. */
const LENGTH_AT = 56;

/** What both have in common: blocks, and how the last one is filled. */
class Hash {
  #block = new Uint8Array(BLOCK_OCTETS);
  #used = 0;
  #length = 0;

  /** @param {number[]} start */
  constructor(start) {
    /** The words that are the hash in the end. */
    this.state = Int32Array.from(start);
  }

  /** @param {Uint8Array} octets that follow on those before */
  update(octets) {
    this.#length += octets.length;
    let at = 0;
    if (this.#used > 0) {
      at = Math.min(BLOCK_OCTETS - this.#used, octets.length);
      this.#block.set(octets.subarray(0, at), this.#used);
      this.#used += at;
      if (this.#used < BLOCK_OCTETS) return;
      this.compress(viewOf(this.#block), 0);
    }
    const view = viewOf(octets);
    for (; at + BLOCK_OCTETS <= octets.length; at += BLOCK_OCTETS) this.compress(view, at);
    this.#block.set(octets.subarray(at));
    this.#used = octets.length - at;
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
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0"))
      .join("").toUpperCase().match(/../g)?.join(":") ?? "";
  }

  /**
   * @param {DataView} _octets
   * @param {number} _at where the block begins
   */
  compress(_octets, _at) {}
}

/** @param {Uint8Array} octets */
const viewOf = (octets) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);

// What follows is most of the work that a page has with a file. Four loops for SHA-1 are half as fast again as one.

const words = new Int32Array(80);

/** SHA-1, the only hash that RFC 5547 knows. */
class Sha1 extends Hash {
  constructor() {
    super([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
  }

  /**
   * @override
   * @param {DataView} octets
   * @param {number} at
   */
  compress(octets, at) {
    for (let i = 0; i < 16; i += 1) words[i] = octets.getInt32(at + 4 * i);
    for (let i = 16; i < 80; i += 1) {
      const word = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16];
      words[i] = (word << 1) | (word >>> 31);
    }
    const { state } = this;
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    /** @type {number} */
    let next;
    for (let i = 0; i < 20; i += 1) {
      next = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + e + 0x5a827999 + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    for (let i = 20; i < 40; i += 1) {
      next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0x6ed9eba1 + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    for (let i = 40; i < 60; i += 1) {
      next = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + e + 0x8f1bbcdc + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    for (let i = 60; i < 80; i += 1) {
      next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0xca62c1d6 + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
  }
}

/** The first 32 bits of the fractional parts of a root of each of the first primes. */
const roots = (/** @type {number} */ count, /** @type {number} */ root) => {
  const primes = /** @type {number[]} */ ([]);
  for (let n = 2; primes.length < count; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes.map((prime) => ((prime ** (1 / root)) % 1) * 0x1_0000_0000 | 0);
};
const ROUNDS = Int32Array.from(roots(64, 3));
const START_256 = roots(8, 2);

/** SHA-256. */
class Sha256 extends Hash {
  constructor() {
    super(START_256);
  }

  /**
   * @override
   * @param {DataView} octets
   * @param {number} at
   */
  compress(octets, at) {
    for (let i = 0; i < 16; i += 1) words[i] = octets.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = words[i - 15];
      const y = words[i - 2];
      const first = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const second = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[i] = (words[i - 16] + first + words[i - 7] + second) | 0;
    }
    const { state } = this;
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i += 1) {
      const sigma = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + sigma + (g ^ (e & (f ^ g))) + ROUNDS[i] + words[i]) | 0;
      const other = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + other + ((b & c) | (d & (b | c)))) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

/** The hashes that are known, the one that is trusted most first. */
const KNOWN = /** @type {const} */ ([["sha-256", Sha256], ["sha-1", Sha1]]);
/** Octets of a Blob that are read at a time. */
const SLICE_OCTETS = 1024 * 1024;

/** @typedef {{ algorithmName: string, value: string }} HashValue */

/**
 * What checks octets against hashes that were announced; null if none of them is known.
 * @param {HashValue[]} announced
 * @returns {{ update: (octets: Uint8Array) => void, holds: () => boolean } | null} `holds` is asked once, at the end
 */
export function hashCheck(announced) {
  for (const [name, Known] of KNOWN) {
    const value = announced.find(({ algorithmName }) => algorithmName.toLowerCase() === name)?.value;
    if (value === undefined) continue;
    const hash = new Known();
    return { update: (octets) => hash.update(octets), holds: () => hash.digest() === value.toUpperCase() };
  }
  return null;
}

/**
 * The hashes of a file, read a slice at a time: SHA-1, as RFC 5547 wants, and SHA-256.
 * @param {Blob} blob
 * @param {() => boolean} wanted whether anybody still wants to know
 * @returns {Promise<HashValue[]>} rejects if the file can't be read
 */
export async function hashesOf(blob, wanted = () => true) {
  const hashes = [...KNOWN].reverse().map(([algorithmName, Known]) => ({ algorithmName, hash: new Known() }));
  for (let at = 0; at < blob.size && wanted(); at += SLICE_OCTETS) {
    const octets = new Uint8Array(await blob.slice(at, at + SLICE_OCTETS).arrayBuffer());
    for (const { hash } of hashes) hash.update(octets);
  }
  return hashes.map(({ algorithmName, hash }) => ({ algorithmName, value: hash.digest() }));
}
