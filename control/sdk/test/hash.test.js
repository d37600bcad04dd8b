import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { hashCheck, hashesOf } from "../src/hash.js";

const expected = (content, algorithm) =>
  createHash(algorithm).update(content).digest("hex").toUpperCase().match(/../g).join(":");

test("rfc5547 6: a hash is upper-case pairs with colons, of any length of file", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 1024 * 1024 + 7]) {
    const content = Uint8Array.from({ length }, (_, at) => (at * 131 + (at >> 7)) & 255);
    assert.deepEqual(await hashesOf(new Blob([content])), [
      { algorithmName: "sha-1", value: expected(content, "sha1") },
      { algorithmName: "sha-256", value: expected(content, "sha256") },
    ], `${length} octets`);
  }
});

test("octets that come in pieces of any size have the hash of the whole", () => {
  const content = Uint8Array.from({ length: 3000 }, (_, at) => (at * 77) & 255);
  for (const size of [1, 3, 63, 64, 65, 1000, 3000]) {
    for (const [algorithmName, algorithm] of [["SHA-1", "sha1"], ["sha-256", "sha256"]]) {
      const check = hashCheck([{ algorithmName, value: expected(content, algorithm).toLowerCase() }]);
      for (let at = 0; at < content.length; at += size) check.update(content.subarray(at, at + size));
      assert.ok(check.holds(), `${algorithmName} in pieces of ${size}`);
    }
  }
});

test("the stronger of two hashes is checked, and none that is not known", () => {
  const value = expected(Buffer.from("abc"), "sha256");
  const check = hashCheck([{ algorithmName: "sha-1", value: "00" }, { algorithmName: "sha-256", value }]);
  check.update(new TextEncoder().encode("abc"));
  assert.ok(check.holds());
  assert.equal(hashCheck([{ algorithmName: "md5", value: "00" }]), null);
});
