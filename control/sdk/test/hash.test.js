import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, beforeEach, test } from "node:test";
import { Worker as NodeWorker } from "node:worker_threads";
import { environment } from "../src/environment.js";
import { Hash, compressBy, serveHashes } from "../src/hash-blocks.js";
import { HASH_WASM } from "../src/hash-wasm.js";
import { setLogLevel } from "../src/wsc.js";

setLogLevel(10);
const ALGORITHMS = { "sha-1": "sha1", "sha-256": "sha256" };
const expected = (content, algorithm) =>
  createHash(algorithm).update(content).digest("hex").toUpperCase().match(/../g).join(":");
const content = (length) => Uint8Array.from({ length }, (_, at) => (at * 131 + (at >> 7)) & 255);
/** The browser's own digest, written as RFC 5547 does. */
const subtle = async (octets, algorithm) =>
  Buffer.from(await crypto.subtle.digest(algorithm, octets)).toString("hex").toUpperCase().match(/../g).join(":");

/** @type {Worker[]} */
const workers = [];

/** A worker as browsers have them. */
class BrowserWorker {
  constructor(script) {
    const scope = "const { parentPort } = require('node:worker_threads');"
      + "globalThis.postMessage = (message, transfer) => parentPort.postMessage(message, transfer);"
      + "parentPort.on('message', (data) => globalThis.onmessage({ data }));";
    this.worker = new NodeWorker(scope + script, { eval: true });
    this.worker.on("message", (data) => this.onmessage({ data }));
    this.worker.on("error", () => this.onerror({ preventDefault: () => {} }));
    workers.push(this);
  }

  postMessage(message, transfer) {
    this.worker.postMessage(message, transfer);
  }

  terminate() {
    this.ended = true;
    this.worker.terminate();
  }
}

let pages = 0;
let hashCheck;
let hashesOf;
/** As in a page that was just opened, whose workers are made so. */
async function opened(openWorker) {
  environment.openWorker = openWorker;
  pages += 1;
  ({ hashCheck, hashesOf } = await import(`../src/hash.js?page=${pages}`));
}

beforeEach(() => opened((script) => new BrowserWorker(script)));
after(() => workers.forEach((worker) => worker.terminate()));

test("rfc5547 6: a hash is upper-case pairs with colons, of any length of file", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 1024 * 1024 + 7]) {
    assert.deepEqual(await hashesOf(new Blob([content(length)])), [
      { algorithmName: "sha-1", value: expected(content(length), "sha1") },
      { algorithmName: "sha-256", value: expected(content(length), "sha256") },
    ], `${length} octets`);
  }
});

test("WebAssembly, JavaScript and the browser's own digest give the same, cut up in any way", async () => {
  const byScript = await import("../src/hash-blocks.js?script");
  assert.ok(compressBy(HASH_WASM));
  let seed = 5;
  const chance = (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return seed % below;
  };
  for (let round = 0; round < 40; round += 1) {
    const octets = content(round < 30 ? chance(700) : chance(700_000));
    for (const algorithm of Object.keys(ALGORITHMS)) {
      const wanted = await subtle(octets, algorithm.toUpperCase());
      for (const hash of [new Hash(algorithm), new byScript.Hash(algorithm)]) {
        for (let at = 0; at < octets.length;) {
          const next = at + 1 + chance(round < 30 ? 100 : 400_000);
          hash.update(octets.subarray(at, next));
          at = next;
        }
        assert.equal(hash.digest(), wanted, `${algorithm}, ${octets.length} octets`);
      }
    }
  }
});

test("where WebAssembly is not allowed JavaScript does it", async () => {
  const blocks = await import("../src/hash-blocks.js?forbidden");
  const { WebAssembly } = globalThis;
  globalThis.WebAssembly = { Module: class { constructor() { throw new Error("the policy forbids it"); } } };
  assert.equal(blocks.compressBy(HASH_WASM), false);
  globalThis.WebAssembly = WebAssembly;
  const hash = new blocks.Hash("sha-256");
  hash.update(content(1000));
  assert.equal(hash.digest(), expected(content(1000), "sha256"));
});

const LARGE = content(9 * 1024 * 1024 + 7);

test("a large file is hashed by a worker, or by the page where there can be none", async () => {
  const forbidden = {
    "is thrown": () => { throw new Error("no worker here"); },
    "is told": () => {
      const worker = { postMessage: () => {}, terminate: () => {} };
      setImmediate(() => worker.onerror({ preventDefault: () => {} }));
      return worker;
    },
  };
  for (const opens of [environment.openWorker, ...Object.values(forbidden)]) {
    await opened(opens);
    assert.deepEqual((await hashesOf(new Blob([LARGE]))).map(({ value }) => value), [
      expected(LARGE, "sha1"), expected(LARGE, "sha256"),
    ]);
    for (const right of [true, false]) {
      const value = expected(right ? LARGE : content(9), "sha256");
      const check = hashCheck([{ algorithmName: "sha-256", value }], LARGE.length);
      for (let at = 0; at < LARGE.length; at += 100_001) await check.update(LARGE.subarray(at, at + 100_001));
      assert.equal(await check.holds(), right);
    }
  }
});

test("two files are hashed by one worker, which is ended when it has nothing to do", async () => {
  const timers = [];
  environment.startTimer = (callback) => timers.push(callback);
  environment.stopTimer = () => timers.splice(0);
  const before = workers.length;
  const other = content(5 * 1024 * 1024);
  const [[, one], [, two]] = await Promise.all([hashesOf(new Blob([LARGE])), hashesOf(new Blob([other]))]);
  assert.deepEqual([one.value, two.value], [expected(LARGE, "sha256"), expected(other, "sha256")]);
  assert.equal(workers.length, before + 1);
  await new Promise((resolve) => { setImmediate(resolve); });
  timers.at(-1)();
  assert.ok(workers[before].ended);
  assert.equal((await hashesOf(new Blob([LARGE])))[1].value, expected(LARGE, "sha256"));
  assert.equal(workers.length, before + 2);
});

test("the worker gets the next octets before it is done with the last, and keeps nothing once it is", async () => {
  const posted = [];
  const scope = { postMessage: (data) => posted.push(data) };
  serveHashes(scope);
  /** A worker that does its jobs when it is told to. */
  const worker = { jobs: [], terminate: () => {} };
  worker.postMessage = (data) => worker.jobs.push(structuredClone(data));
  const work = async () => {
    for (const data of worker.jobs.splice(0)) await scope.onmessage({ data });
    for (const data of posted.splice(0)) worker.onmessage({ data });
    await new Promise((resolve) => { setImmediate(resolve); });
  };
  await opened(() => worker);
  const check = hashCheck([{ algorithmName: "sha-256", value: expected(LARGE, "sha256") }], LARGE.length);
  const waits = [];
  const give = (from, to) => {
    for (let at = from; at < to; at += 65536) waits.push(check.update(LARGE.subarray(at, Math.min(at + 65536, to))));
  };
  give(0, 4 * 1024 * 1024);
  assert.equal(waits.at(-1), null);
  give(4 * 1024 * 1024, 6 * 1024 * 1024);
  await work();
  assert.deepEqual(worker.jobs.map(({ job, saved }) => [job, Boolean(saved)]), [[1, true], [2, false], [3, false]]);
  let isTaken = false;
  waits.at(-1).then(() => { isTaken = true; });
  const rest = worker.jobs.splice(1);
  await work();
  assert.ok(isTaken, "more may come although the worker has something to do");
  worker.jobs.unshift(...rest);
  await work();
  assert.deepEqual(worker.jobs, [{ over: 1 }]);
  give(6 * 1024 * 1024, LARGE.length);
  const holds = check.holds();
  await work();
  await work();
  assert.equal(await holds, true);
});

test("more than the worker can take waits, and its buffers are filled anew", async () => {
  const check = hashCheck([{ algorithmName: "sha-1", value: expected(LARGE, "sha1") }], LARGE.length);
  const waits = [];
  for (let at = 0; at < LARGE.length; at += 65536) waits.push(check.update(LARGE.subarray(at, at + 65536)));
  assert.equal(waits[0], null);
  assert.ok(waits.at(-1) instanceof Promise);
  assert.equal(await check.holds(), true);
});

test("a file that can't be read has no hashes", async () => {
  const blob = new Blob([LARGE]);
  blob.slice = () => { throw new Error("gone"); };
  await assert.rejects(hashesOf(blob), /gone/);
});

test("octets that come in pieces of any size have the hash of the whole", () => {
  const octets = Uint8Array.from({ length: 3000 }, (_, at) => (at * 77) & 255);
  for (const size of [1, 3, 63, 64, 65, 1000, 3000]) {
    for (const [algorithmName, algorithm] of [["SHA-1", "sha1"], ["sha-256", "sha256"]]) {
      const check = hashCheck([{ algorithmName, value: expected(octets, algorithm).toLowerCase() }], 3000);
      for (let at = 0; at < octets.length; at += size) check.update(octets.subarray(at, at + size));
      assert.ok(check.holds(), `${algorithmName} in pieces of ${size}`);
    }
  }
});

test("the stronger of two hashes is checked, and none that is not known", () => {
  const value = expected(Buffer.from("abc"), "sha256");
  const check = hashCheck([{ algorithmName: "sha-1", value: "00" }, { algorithmName: "sha-256", value }], 3);
  check.update(new TextEncoder().encode("abc"));
  assert.ok(check.holds());
  assert.equal(hashCheck([{ algorithmName: "md5", value: "00" }], 3), null);
});
