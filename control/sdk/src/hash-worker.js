//! A worker that goes on with hashes, away from the page's thread. It gets one job after the other without being waited
//! for, and keeps nothing when it has none, so that it can be ended then.

import { environment } from "./environment.js";
import { startTimer, stopTimer } from "./events.js";
import { HASH_WORKER } from "./hash-worker-text.js";

/** Milliseconds without a job after which the worker is ended. */
const IDLE_MS = 10_000;

/** @typedef {import("./hash-blocks.js").Hash} Hash */
/** @typedef {import("./hash-blocks.js").SavedHash} SavedHash */
/** What comes back: the octets too, to be filled anew. @typedef {{ saved: SavedHash[], source: Uint8Array }} Done */

/** The worker of a page, as long as there is something to do. */
export class HashWorker {
  #wasm;
  /** Settles once it is there; null if the page's policy forbids it. @type {Promise<Worker | null> | null} */
  #worker = null;
  /** @type {Map<number, { resolve: (done: Done) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  /** Hashes that the worker goes on with: their number, and jobs of theirs that are not done.
   * @type {Map<Hash[], { stream: number, open: number }>} */
  #streams = new Map();
  /** Jobs and streams so far, and the jobs that are not done. */
  #jobs = 0;
  #streamsMade = 0;
  #open = 0;
  /** @type {any} */
  #idle;

  /** @param {string} wasm the module that computes, in Base64 */
  constructor(wasm) {
    this.#wasm = wasm;
  }

  /**
   * Goes on with hashes by what follows. More octets may be given before it is done.
   * @param {Hash[]} hashes the same list each time; they are up to date when all is done
   * @param {Uint8Array | Blob} source not to be used any more, unless there is no worker
   * @returns {Promise<Uint8Array | null>} what may be filled anew; null if there is no worker, and nothing was done. Rejects
   *   if it can't be read
   */
  async absorb(hashes, source) {
    stopTimer(this.#idle);
    this.#open += 1;
    try {
      const worker = await (this.#worker ??= this.#start());
      return worker ? await this.#job(worker, hashes, source) : null;
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#endSoon();
    }
  }

  /**
   * @param {Worker} worker
   * @param {Hash[]} hashes
   * @param {Uint8Array | Blob} source
   */
  async #job(worker, hashes, source) {
    /** @type {SavedHash[] | undefined} */
    let saved;
    let stream = this.#streams.get(hashes);
    if (!stream) {
      this.#streamsMade += 1;
      stream = { stream: this.#streamsMade, open: 0 };
      this.#streams.set(hashes, stream);
      saved = hashes.map((hash) => hash.save());
    }
    stream.open += 1;
    this.#jobs += 1;
    const job = this.#jobs;
    try {
      const done = await new Promise((resolve, reject) => {
        this.#waiting.set(job, { resolve, reject });
        const transferred = source instanceof Uint8Array ? [source.buffer] : [];
        worker.postMessage({ job, stream: stream.stream, saved, source }, transferred);
      });
      hashes.forEach((hash, at) => hash.restore(done.saved[at]));
      return done.source;
    } finally {
      stream.open -= 1;
      if (stream.open === 0) {
        this.#streams.delete(hashes);
        worker.postMessage({ over: stream.stream });
      }
    }
  }

  /** @returns {Promise<Worker | null>} */
  #start() {
    return new Promise((resolve) => {
      try {
        const worker = environment.openWorker(HASH_WORKER);
        worker.onmessage = ({ data }) => (data.ready ? resolve(worker) : this.#done(data));
        worker.onerror = (event) => {
          event.preventDefault();
          this.#worker = Promise.resolve(null);
          resolve(null);
          for (const { reject } of this.#waiting.values()) reject(new Error("the worker for hashes has failed"));
          this.#waiting.clear();
        };
        worker.postMessage({ wasm: this.#wasm });
      } catch {
        resolve(null);
      }
    });
  }

  /** @param {Done & { job: number, error?: string }} done */
  #done({ job, saved, source, error }) {
    const waiting = this.#waiting.get(job);
    this.#waiting.delete(job);
    if (error) waiting?.reject(new Error(error));
    else waiting?.resolve({ saved, source });
  }

  async #endSoon() {
    const worker = await this.#worker;
    if (!worker || this.#open > 0) return;
    this.#idle = startTimer(() => {
      this.#worker = null;
      worker.terminate();
    }, IDLE_MS);
  }
}
