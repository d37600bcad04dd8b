// Files whose transfers are cut off in the middle, again and again: they arrive once, whole, with the right hash.
// OCTETS and CUTS make it a longer run: `OCTETS=100000000 CUTS=20 node --test files-cut.test.mjs`.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { filesPage } from './files.mjs';
import { System, launch } from './system.mjs';
import { Wire, throughTheWire } from './wire.mjs';

const OCTETS = Number(process.env.OCTETS ?? 8_000_000);
const CUTS = Number(process.env.CUTS ?? 5);
const SEED = Number(process.env.SEED ?? 1);

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Wire} */
let wire;

/** The octets after which there is a cut: by chance, the same for a seed. */
function cuts(seed) {
  let state = seed;
  const chance = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
  return Array.from({ length: CUTS }, () => Math.trunc(chance() * OCTETS * 0.95)).sort((a, b) => a - b);
}

describe('a file that is cut off', () => {
  before(async () => {
    browser = await launch();
    system = await System.start('--no-handsets');
    wire = new Wire();
  });
  afterEach(() => system.stopHandsets());
  after(async () => {
    await browser?.close();
    wire?.close();
    await system?.stop();
  });

  const media = (port) => port !== Number(new URL(system.page).port);

  test('between two pages arrives once and whole', async () => {
    const port = await wire.listen();
    const alice = await filesPage(system, browser, 'alice', throughTheWire, port);
    const carol = await filesPage(system, browser, 'carol');
    const hash = await alice.send('carol', OCTETS, SEED);
    for (const octets of cuts(SEED)) {
      await alice.progress(octets);
      wire.cut(media);
    }
    const { how, transfers } = await alice.sent();
    assert.equal(how, 'there');
    assert.ok(transfers > 1, 'it was cut off at all');
    await carol.hears(hash);
    const told = await carol.told();
    assert.deepEqual(told.filter((line) => line.startsWith('out of place')), []);
    assert.equal(told.filter((line) => line.startsWith('received')).length, 1, told.join('\n'));
    await Promise.all([alice.leave(), carol.leave()]);
  });
});
