import assert from "node:assert/strict";
import { test } from "node:test";
import { find } from "../src/msrp/search.js";

const octets = (text) => new TextEncoder().encode(text);

test("what is looked for is found where it stands first, as by looking at every place", () => {
  let seed = 3;
  const chance = (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  for (let round = 0; round < 20_000; round += 1) {
    // Few letters, so that much of it nearly is what is looked for.
    const word = (length) => Array.from({ length }, () => "ab-"[chance(3)]).join("");
    const [text, wanted] = [word(chance(60)), word(1 + chance(6))];
    const from = chance(20);
    assert.equal(find(octets(text), octets(wanted), from), from > text.length ? -1 : text.indexOf(wanted, from), `${wanted} in ${text} from ${from}`);
  }
});

test("of any octets: at both ends, not beyond them, and longest", () => {
  const all = Uint8Array.from({ length: 256 }, (_, at) => at);
  assert.equal(find(all, all.subarray(1)), 1);
  assert.equal(find(all, all.subarray(0, 255)), 0);
  assert.equal(find(all, all.subarray(200), 201), -1);
  assert.equal(find(new Uint8Array(0), octets("x")), -1);
  assert.equal(find(octets("x"), octets("xx")), -1);
});
