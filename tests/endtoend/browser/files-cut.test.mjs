// Files whose transfers are cut off in the middle, again and again: they arrive once, whole, with the right hash.
// OCTETS and CUTS make it a longer run: `OCTETS=100000000 CUTS=20 node --test files-cut.test.mjs`.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { filesPage } from './files.mjs';
import { System, launch } from './system.mjs';
import { Wire, cuts, throughTheWire } from './wire.mjs';

const OCTETS = Number(process.env.OCTETS ?? 8_000_000);
const CUTS = Number(process.env.CUTS ?? 5);
const SEED = Number(process.env.SEED ?? 1);

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Wire} */
let wire;
let wirePort;
let folder;

/** How long a file may take on its way, with all its cuts. */
const THERE_MS = 60_000 + OCTETS / 1000 + CUTS * 3000;

describe('a file that is cut off', () => {
  before(async () => {
    browser = await launch();
    system = await System.start('--no-handsets');
    wire = new Wire();
    wirePort = await wire.listen();
    folder = await mkdtemp(join(tmpdir(), 'causeway-files-'));
  });
  afterEach(() => system.stopHandsets());
  after(async () => {
    await browser?.close();
    wire?.close();
    await system?.stop();
    await rm(folder, { recursive: true });
  });

  /** Sends a file, which is cut off again and again; gives its hash. */
  async function sentThroughCuts(page, target, ...sides) {
    cutThrough(sides);
    const hash = await page.send(target, OCTETS, SEED);
    const { how, transfers } = await page.sent();
    assert.equal(how, 'there');
    assert.ok(transfers > 1, 'it was cut off at all');
    return hash;
  }

  const cutThrough = (sides) => wire.plan(cuts(CUTS, OCTETS * 0.9, SEED, sides), media);

  /** What a page has received: each octet once and in its place, with this hash. */
  async function pageReceivedOnce(page, hash) {
    await page.hears(hash, THERE_MS);
    const told = await page.told();
    assert.deepEqual(told.filter((line) => line.startsWith('out of place')), [], told.join('\n'));
    assert.equal(told.filter((line) => line.startsWith('received')).length, 1, told.join('\n'));
  }

  /** What a handset has received: nothing twice, and with this hash. */
  async function receivedOnce(handset, hash) {
    const [, received] = await handset.line(/^received from .*: video\/mp4, \d+ octets, sha256 (\w+)$/, THERE_MS);
    assert.equal(received, hash);
    assert.equal(handset.lines.filter((line) => line.startsWith('received from')).length, 1);
  }

  const throughWire = (name) => filesPage(system, browser, name, throughTheWire, wirePort);
  const cutPage = () => wire.cut(media);
  const media = (port) => port !== Number(new URL(system.page).port);

  test('between two pages arrives once and whole, whichever side is cut', async () => {
    const alice = await throughWire('alice');
    const other = new Wire();
    const carol = await filesPage(system, browser, 'carol', throughTheWire, await other.listen());
    const hash = await sentThroughCuts(alice, 'carol', cutPage, () => other.cut(media));
    await pageReceivedOnce(carol, hash);
    await Promise.all([alice.leave(), carol.leave()]);
    other.close();
  });

  test('from a page to a handset arrives once and whole, whichever side is cut', async () => {
    const bob = await system.handset('bob');
    const alice = await throughWire('alice');
    const hash = await sentThroughCuts(alice, 'bob', cutPage, () => bob.write('cut'));
    await receivedOnce(bob, hash);
    await alice.leave();
  });

  test('from a handset to a page arrives once and whole, whichever side is cut', async () => {
    const bob = await system.handset('bob');
    const alice = await throughWire('alice');
    const content = randomBytes(OCTETS);
    const path = join(folder, 'film.bin');
    await writeFile(path, content);
    cutThrough([() => bob.write('cut'), cutPage]);
    bob.write(`send sip:alice@localhost ${path}`);
    await pageReceivedOnce(alice, createHash('sha256').update(content).digest('hex'));
    await bob.line(/^ended: the file is there/);
    assert.ok((await alice.told()).filter((line) => line.startsWith('transfer')).length > 1, 'it was cut off at all');
    await alice.leave();
  });

  test('a file is asked for, by a page and by a handset', async () => {
    const content = Buffer.alloc(300_000, 'causeway');
    const path = join(folder, 'shared.bin');
    await writeFile(path, content);
    const bob = await system.handset('bob', '--share', path);
    const alice = await filesPage(system, browser, 'alice');
    const sha1 = createHash('sha1').update(content).digest('hex').toUpperCase().match(/../g).join(':');
    await alice.want('bob', sha1);
    await bob.line(new RegExp(`^wanted by .*alice@localhost.*, sha-1:${sha1}$`), THERE_MS);
    await alice.hears(createHash('sha256').update(content).digest('hex'));
    await alice.want('bob', sha1.replace(/../, '00'));
    await alice.hears('not received: 488');
    // And the other way: a handset asks for a file that the page has sent somebody.
    const hash = await alice.send('bob', 200_000, SEED);
    assert.equal((await alice.sent()).how, 'there');
    bob.write('want sip:alice@localhost film 1.bin');
    const [, received] = await bob.line(/^received from .*, 200000 octets, sha256 (\w+)$/, THERE_MS);
    const [, again] = await bob.line(/^received from .*, 200000 octets, sha256 (\w+)$/, THERE_MS);
    assert.deepEqual([received, again], [hash, hash]);
    await alice.leave();
  });
});
