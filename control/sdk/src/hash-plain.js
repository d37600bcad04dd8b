//! SHA-1 and SHA-256 of blocks in JavaScript (FIPS 180-4), for where WebAssembly is not allowed. Pure.
//!
//! Half as fast or less. Four loops for SHA-1 are half as fast again as one.

/** Octets of a block. */
export const BLOCK_OCTETS = 64;

/**
 * Mixes blocks into a state.
 * @typedef {(state: Int32Array, octets: Uint8Array) => void} Compression
 */

const words = new Int32Array(80);

/** @param {Uint8Array} octets */
const viewOf = (octets) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);

/** @type {Compression} */
function sha1(state, octets) {
  const view = viewOf(octets);
  for (let at = 0; at < octets.length; at += BLOCK_OCTETS) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 80; i += 1) {
      const word = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16];
      words[i] = (word << 1) | (word >>> 31);
    }
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

/** @type {Compression} */
function sha256(state, octets) {
  const view = viewOf(octets);
  for (let at = 0; at < octets.length; at += BLOCK_OCTETS) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = words[i - 15];
      const y = words[i - 2];
      const first = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const second = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[i] = (words[i - 16] + first + words[i - 7] + second) | 0;
    }
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

export const plain = { sha1, sha256 };
