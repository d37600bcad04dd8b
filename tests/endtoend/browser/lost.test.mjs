// Connections of a page that are cut in the middle of a chat: it goes on, and everything arrives once.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { System, call, chatIs, launch, send, shows } from './system.mjs';
import { Wire, cuts, throughTheWire } from './wire.mjs';

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Wire} */
let wire;
let wirePort;

const CUTS = Number(process.env.CUTS ?? 20);
const SEED = Number(process.env.SEED ?? 1);
/** What a text makes on the wire, with its answer and a report. */
const TEXT_OCTETS = 900;

describe('a chat whose connections are cut', () => {
  before(async () => {
    browser = await launch();
    system = await System.start('--no-handsets');
    wire = new Wire();
    wirePort = await wire.listen();
  });
  afterEach(() => system.stopHandsets());
  after(async () => {
    await browser?.close();
    wire?.close();
    await system?.stop();
  });

  test('goes on, and everything arrives once and in order', async () => {
    const bob = await system.handset('bob');
    const { page, errors, context } = await system.login(browser, 'alice', throughTheWire, wirePort);
    await call(page, 'bob');
    await bob.line(/^incoming/);
    await chatIs(page, 'Connected');
    const signalling = Number(new URL(system.page).port);
    const texts = [];
    const say = async (count) => {
      for (let n = 0; n < count; n += 1) {
        texts.push(`text ${texts.length + 1}.`);
        await send(page, texts.at(-1));
      }
    };
    const cuts = {
      media: (port) => port !== signalling,
      signalling: (port) => port === signalling,
      both: () => true,
    };
    for (const [what, which] of Object.entries(cuts)) {
      await say(5);
      wire.down = true;
      assert.ok(wire.cut(which) > 0, `there was something to cut: ${what}`);
      await say(3);
      bob.write(`say while ${what} is away`);
      wire.down = false;
      await say(2);
      await bob.line(new RegExp(`^message from .*: ${texts.at(-1)}$`));
      await shows(page, `while ${what} is away`);
      await chatIs(page, 'Connected');
    }
    const heard = bob.lines.filter((line) => line.startsWith('message from')).map((line) => line.replace(/^.*?: /, ''));
    assert.deepEqual(heard, texts);
    const shown = await page.locator('[data-testid=message][data-direction=in]').allTextContents();
    assert.deepEqual(shown.map((text) => /while \w+ is away/.exec(text)?.[0]), [
      'while media is away', 'while signalling is away', 'while both is away',
    ]);
    bob.write('bye');
    await bob.line(/^ended/);
    await chatIs(page, 'The chat has ended');
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('goes on however often they are cut while both sides talk, and everything arrives once', async () => {
    const bob = await system.handset('bob');
    const { page, errors, context } = await system.login(browser, 'alice', throughTheWire, wirePort);
    await call(page, 'bob');
    await chatIs(page, 'Connected');
    const signalling = Number(new URL(system.page).port);
    const media = (port) => port !== signalling;
    wire.plan(cuts(CUTS, CUTS * 4 * TEXT_OCTETS, SEED, [() => wire.cut(media)]), media);
    const said = [];
    for (; wire.planned > 0 && said.length < CUTS * 40; said.push(`text ${said.length + 1}.`)) {
      bob.write(`say text ${said.length + 1}.`);
      await send(page, `text ${said.length + 1}.`);
    }
    assert.equal(wire.planned, 0, `all cuts were made while ${said.length} texts were sent`);
    bob.write('say the last one');
    await send(page, 'the last one');
    const all = [...said, 'the last one'];
    for (let count = 0; count < all.length; count += 1) await bob.line(/^message from/);
    const incoming = '[data-testid=message][data-direction=in]';
    await page.waitForFunction(([which, count]) => document.querySelectorAll(which).length >= count, [incoming, all.length]);
    const text = (line) => /text \d+\.|the last one/.exec(line)?.[0];
    const heard = bob.lines.filter((line) => line.startsWith('message from')).map(text);
    assert.deepEqual(heard.sort(), all.sort());
    assert.deepEqual((await page.locator(incoming).allTextContents()).map(text).sort(), all);
    await chatIs(page, 'Connected');
    assert.deepEqual(errors, []);
    await context.close();
  });
});
