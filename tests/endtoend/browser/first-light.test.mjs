// First light: a page in a real browser and a simulated handset, joined by the whole system.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Program } from './programs.mjs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const CHROMIUM_ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const PAGE_TIMEOUT_MS = 20_000;

/** @type {{ dev: Program, page: string, sip: string }} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Program[]} Handsets of the test under way. */
let handsets;

/** Starts the whole system on free ports. */
async function startSystem(...options) {
  const dev = new Program('causeway', ['dev', '--http', '127.0.0.1:0', '--sip', '127.0.0.1:0', ...options]);
  const [page] = await dev.line(/https?:\/\/[^\s/]+\/demo\//);
  const [, sip] = await dev.line(/sip.*?(127\.0\.0\.1:\d+)/i);
  return { dev, page, sip };
}

/** Ends the system, which leaves nothing behind. */
async function stopSystem() {
  const children = await system.dev.children();
  assert.notDeepEqual(children, [], 'the relay is a child of causeway dev');
  assert.equal(await system.dev.stop(), 0, 'causeway dev ends in good order');
  assert.doesNotMatch(system.dev.lines.join('\n'), /WARN|ERROR/, 'and has nothing to complain of');
  for (const pid of children) {
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `process ${pid} outlived causeway dev`);
  }
}

/** A registered handset of `name`, with more of its options. */
async function startHandset(name, ...options) {
  const aor = `sip:${name}@localhost`;
  const handset = new Program('causeway-bench', ['handset', '--aor', aor, '--registrar', system.sip, ...options]);
  handsets.push(handset);
  await handset.line(/^registered/);
  return handset;
}

/** The demo page, logged in as `name`. */
async function login(name) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PAGE_TIMEOUT_MS);
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(system.page);
  await page.getByTestId('login-name').fill(name);
  await page.getByTestId('login-button').click();
  await page.getByTestId('state').filter({ hasText: `Online as ${name}` }).waitFor();
  return { page, errors, context };
}

/** Waits until the page says how its chat stands. */
async function chatIs(page, words) {
  await page.getByTestId('chat-state').filter({ hasText: words }).waitFor();
}

async function send(page, text) {
  await page.getByTestId('message-input').fill(text);
  await page.getByTestId('send-button').click();
}

/** Waits until the page shows a message. */
async function shows(page, text) {
  await page.getByTestId('messages').getByText(text).first().waitFor();
}

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: CHROMIUM_ARGS });
});
after(() => browser?.close());

describe('a browser and a handset', () => {
  before(async () => { system = await startSystem('--no-handsets'); });
  after(stopSystem);

  beforeEach(() => { handsets = []; });
  afterEach(() => Promise.all(handsets.map((handset) => handset.stop())));

  test('the page calls a handset and they chat both ways', async () => {
    const bob = await startHandset('bob');
    const { page, errors, context } = await login('alice');
    await page.getByTestId('call-target').fill('bob');
    await page.getByTestId('call-button').click();
    await bob.line(/^incoming from .*alice@localhost/);
    await chatIs(page, 'Connected');

    await send(page, 'Hello from the browser');
    await bob.line(/^message from .*: Hello from the browser$/);
    bob.write('say Hello from the handset');
    await shows(page, 'Hello from the handset');
    await bob.line(/^delivered /);
    if (process.env.SCREENSHOT) {
      await page.setViewportSize({ width: 1000, height: 640 });
      await page.screenshot({ path: process.env.SCREENSHOT });
    }
    await send(page, 'Grüße, 你好 🌉');
    await bob.line(/^message from .*: Grüße, 你好 🌉$/);

    bob.write('bye');
    await bob.line(/^ended/);
    await chatIs(page, 'The chat has ended');
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('a handset calls the page, which accepts, and they chat both ways', async () => {
    const { page, errors, context } = await login('alice');
    const bob = await startHandset('bob', '--call', 'sip:alice@localhost');
    await page.getByTestId('incoming').getByText('bob').first().waitFor();
    await page.getByTestId('accept-button').click();
    await chatIs(page, 'Connected');

    bob.write('say Are you there?');
    await shows(page, 'Are you there?');
    await send(page, 'Yes, here I am');
    await bob.line(/^message from .*: Yes, here I am$/);

    await page.getByTestId('end-button').click();
    await bob.line(/^ended/);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('a handset that declines is shown in words', async () => {
    await startHandset('bob', '--decline', '603');
    const { page, errors, context } = await login('alice');
    await page.getByTestId('call-target').fill('bob');
    await page.getByTestId('call-button').click();
    await chatIs(page, 'bob declined');
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('the page declines a handset, which is told', async () => {
    const { page, errors, context } = await login('alice');
    const bob = await startHandset('bob', '--call', 'sip:alice@localhost');
    await page.getByTestId('incoming').getByText('bob').first().waitFor();
    await page.getByTestId('decline-button').click();
    await bob.line(/^declined: 603/);
    assert.deepEqual(errors, []);
    await context.close();
  });
});

test('as a newcomer starts it, bob repeats what he is told and carol says hello', async () => {
  system = await startSystem();
  try {
    const { page, errors, context } = await login('alice');
    await page.getByTestId('contact-bob').click();
    await chatIs(page, 'Connected');
    await send(page, 'Is there an echo?');
    await page.locator('[data-testid=message][data-direction=in]', { hasText: 'Is there an echo?' }).waitFor();
    await page.getByTestId('contact-carol').click();
    await shows(page, 'Hello, this is carol.');
    assert.deepEqual(errors, []);
    await context.close();
  } finally {
    await stopSystem();
  }
});
