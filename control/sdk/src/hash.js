//! Which hashes a file has, and whether they are those that were announced. Large ones are computed in a worker, where the
//! page allows one; WebAssembly does it, where the page allows that. Not here: how they are computed (`hash-blocks.js`).

import { absorb, compressBy, Hash } from "./hash-blocks.js";
import { HASH_WASM } from "./hash-wasm.js";
import { HashWorker } from "./hash-worker.js";

/** The hashes that are known, the one that is trusted most first. */
const KNOWN = /** @type {const} */ (["sha-256", "sha-1"]);
/** Octets of a Blob after which is asked whether anybody still wants to know. */
const SLICE_OCTETS = 64 * 1024 * 1024;
/** From so many octets on it is worth a worker. */
const LARGE_OCTETS = 4 * 1024 * 1024;
/** Octets that go to the worker at a time; so many of these may be on their way before more has to wait. */
const BATCH_OCTETS = 2 * 1024 * 1024;
const BATCHES_MAX = 2;

/** @typedef {{ algorithmName: string, value: string }} HashValue */

/** Where large files are hashed; made when a first file needs it. @type {HashWorker | null} */
let worker = null;

/** @returns {HashWorker} */
function theWorker() {
  if (!worker) compressBy(HASH_WASM);
  worker ??= new HashWorker(HASH_WASM);
  return worker;
}

/**
 * Goes on with hashes by what follows.
 * @param {Hash[]} hashes
 * @param {Uint8Array | Blob} source not to be used any more
 * @returns {Promise<Uint8Array>} what may be filled anew. Rejects if it can't be read
 */
async function absorbed(hashes, source) {
  const spare = await theWorker().absorb(hashes, source);
  if (spare) return spare;
  await absorb(hashes, source);
  return source instanceof Uint8Array ? source : new Uint8Array(0);
}

/** Checks octets against one hash that was announced. */
export class HashCheck {
  /** One. @type {Hash[]} */
  #hashes;
  #announced;
  /** Octets gathered for the worker; null if they are not so many that it is worth it. @type {Uint8Array | null} */
  #batch = null;
  #gathered = 0;
  /** Batches that are on their way, the first one first. @type {Promise<void>[]} */
  #passed = [];
  /** Rejects once one of them has failed. @type {Promise<void>} */
  #work = Promise.resolve();
  /** Batches to be filled anew. @type {Uint8Array[]} */
  #spare = [];

  /**
   * @param {"sha-1" | "sha-256"} algorithm
   * @param {string} announced
   * @param {boolean} isLarge
   */
  constructor(algorithm, announced, isLarge) {
    theWorker();
    this.#hashes = [new Hash(algorithm)];
    this.#announced = announced.toUpperCase();
    if (isLarge) this.#batch = new Uint8Array(BATCH_OCTETS);
  }

  /**
   * @param {Uint8Array} octets that follow on those before
   * @returns {Promise<void> | null} when more is to be given; null: now
   */
  update(octets) {
    if (!this.#batch) {
      this.#hashes[0].update(octets);
      return null;
    }
    for (let at = 0; at < octets.length;) {
      const part = octets.subarray(at, at + BATCH_OCTETS - this.#gathered);
      this.#batch.set(part, this.#gathered);
      this.#gathered += part.length;
      at += part.length;
      if (this.#gathered === BATCH_OCTETS) this.#pass(this.#batch);
    }
    // The worker goes on with the others meanwhile.
    return this.#passed.at(-1 - BATCHES_MAX) ?? null;
  }

  /** @returns {boolean | Promise<boolean>} whether they have that hash; asked once, at the end. May reject */
  holds() {
    const isRight = () => this.#hashes[0].digest() === this.#announced;
    if (!this.#batch) return isRight();
    this.#pass(this.#batch.subarray(0, this.#gathered));
    return this.#work.then(isRight);
  }

  /** @param {Uint8Array} batch */
  #pass(batch) {
    this.#gathered = 0;
    this.#batch = this.#spare.pop() ?? new Uint8Array(BATCH_OCTETS);
    const before = this.#work;
    const absorbing = absorbed(this.#hashes, batch);
    this.#work = absorbing.then((spare) => {
      this.#passed.shift();
      if (spare.buffer.byteLength === BATCH_OCTETS) this.#spare.push(new Uint8Array(spare.buffer));
      return before;
    });
    this.#passed.push(this.#work);
    // Whoever waits is told; nobody may.
    this.#work.catch(() => {});
  }
}

/**
 * What checks octets against hashes that were announced; null if none of them is known.
 * @param {HashValue[]} announced
 * @param {number | null} size octets; null: nobody knows
 * @returns {HashCheck | null}
 */
export function hashCheck(announced, size) {
  for (const name of KNOWN) {
    const value = announced.find(({ algorithmName }) => algorithmName.toLowerCase() === name)?.value;
    if (value !== undefined) return new HashCheck(name, value, (size ?? Infinity) >= LARGE_OCTETS);
  }
  return null;
}

/**
 * The hashes of a file: SHA-1, as RFC 5547 wants, and SHA-256.
 * @param {Blob} blob
 * @param {() => boolean} wanted whether anybody still wants to know
 * @returns {Promise<HashValue[]>} rejects if the file can't be read
 */
export async function hashesOf(blob, wanted = () => true) {
  theWorker();
  const names = [...KNOWN].reverse();
  const hashes = names.map((algorithmName) => new Hash(algorithmName));
  if (blob.size < LARGE_OCTETS) await absorb(hashes, blob);
  for (let at = 0; blob.size >= LARGE_OCTETS && at < blob.size && wanted(); at += SLICE_OCTETS) {
    await absorbed(hashes, blob.slice(at, at + SLICE_OCTETS));
  }
  return names.map((algorithmName, at) => ({ algorithmName, value: hashes[at].digest() }));
}
