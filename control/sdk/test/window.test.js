import assert from "node:assert/strict";
import { test } from "node:test";
import { Window } from "../src/msrp/window.js";

/** Sends `count` chunks over a way that carries one in `chunkMs` and answers after `delayMs`; the longest wait, and how
 * long all took. */
function carry(window, count, chunkMs, delayMs) {
  const pending = [];
  let [now, sent, freeAt, longestMs] = [0, 0, 0, 0];
  while (sent < count || pending.length > 0) {
    while (sent < count && pending.length < window.chunks) {
      freeAt = Math.max(freeAt, now) + chunkMs;
      pending.push({ at: now, answeredAt: freeAt + delayMs });
      sent += 1;
    }
    const isFull = pending.length >= window.chunks;
    const { at, answeredAt } = pending.shift();
    now = answeredAt;
    longestMs = Math.max(longestMs, now - at);
    window.answered(at, now, isFull);
  }
  return { longestMs, ms: now };
}

test("a fast way with a long delay is kept full", () => {
  const window = new Window();
  const { ms } = carry(window, 2000, 2, 100);
  assert.ok(window.chunks >= 50, `${window.chunks}`);
  assert.ok(ms < 2000 * 2 * 1.5, `${ms}`);
});

test("on a slow way little waits, and no answer comes near the time-out", () => {
  const window = new Window();
  const { longestMs, ms } = carry(window, 100, 1000, 50);
  assert.equal(window.chunks, 2);
  assert.ok(longestMs < 20_000, `${longestMs}`);
  assert.ok(ms < 102_000, `${ms}`);
  assert.ok(carry(window, 20, 1000, 50).longestMs < 4000);
});

test("one late answer halves it once, however many follow of the same time", () => {
  const window = new Window();
  for (let n = 0; n < 16; n += 1) window.answered(0, 3000 + n, true);
  assert.equal(window.chunks, 8);
  window.answered(3100, 3200, false);
  assert.equal(window.chunks, 8);
  window.answered(3100, 3200, true);
  assert.equal(window.chunks, 9);
});
