// What the tests in a real browser share: the whole system, handsets, a page that is logged in.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { Program } from './programs.mjs';

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const CHROMIUM_ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const PAGE_TIMEOUT_MS = 20_000;

/** Sizes of pages. */
export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1000, height: 640 };

/** A browser without a window, with more of its options. */
export function launch(...options) {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...CHROMIUM_ARGS, ...options] });
}

/** A camera and a microphone of the browser's own making, and this machine's addresses not hidden from other pages. */
export const CALLS = [
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
];

/** The whole system without handsets, and a browser with these options, while the tests of a file run. */
export function everything(...options) {
  /** @type {{ system: System, browser: import('playwright-core').Browser }} */
  const all = {};
  before(async () => {
    all.browser = await launch(...options);
    all.system = await System.start('--no-handsets');
  });
  after(async () => {
    await all.browser?.close();
    await all.system?.stop();
  });
  return all;
}

/** The whole system on free ports, and the handsets of a test. */
export class System {
  /** @type {Program[]} */
  #handsets = [];

  static async start(...options) {
    const system = new System();
    const folder = process.env.SDK_FOLDER ? ['--sdk-folder', process.env.SDK_FOLDER] : [];
    system.dev = new Program('causeway', ['dev', '--http', '127.0.0.1:0', '--sip', '127.0.0.1:0', ...folder, ...options]);
    [system.page] = await system.dev.line(/https?:\/\/[^\s/]+\/demo\//);
    [, system.sip] = await system.dev.line(/sip.*?(127\.0\.0\.1:\d+)/i);
    return system;
  }

  /** Ends the system, which leaves nothing behind. */
  async stop() {
    const children = await this.dev.children();
    assert.notDeepEqual(children, [], 'the relay is a child of causeway dev');
    assert.equal(await this.dev.stop(), 0, 'causeway dev ends in good order');
    assert.doesNotMatch(this.dev.lines.join('\n'), /WARN|ERROR/, 'and has nothing to complain of');
    for (const pid of children) {
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `process ${pid} outlived causeway dev`);
    }
  }

  /** A registered handset of `name`, with more of its options. */
  async handset(name, ...options) {
    const aor = `sip:${name}@localhost`;
    const handset = new Program('causeway-bench', ['handset', '--aor', aor, '--registrar', this.sip, ...options]);
    this.#handsets.push(handset);
    await handset.line(/^registered/);
    return handset;
  }

  /** Ends the handsets there are. */
  stopHandsets() {
    return Promise.all(this.#handsets.splice(0).map((handset) => handset.stop()));
  }

  /** The demo page, logged in as `name`; `script` runs in it before its own. */
  async login(browser, name, script, argument) {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PAGE_TIMEOUT_MS);
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    if (script) await page.addInitScript(script, argument);
    await page.goto(this.page);
    await page.getByTestId('login-name').fill(name);
    await page.getByTestId('login-button').click();
    await page.getByTestId('state').filter({ hasText: `Online as ${name}` }).waitFor();
    return { page, errors, context };
  }
}

/** A page of its own, at the demo's address. */
export async function fresh({ browser, system }) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(system.page);
  return { context, page };
}

/** The page calls a handset, which accepts. */
export async function call(page, name) {
  await page.getByTestId('call-target').fill(name);
  await page.getByTestId('call-button').click();
}

/** Waits until the page says how its chat stands. */
export async function chatIs(page, words) {
  await page.getByTestId('chat-state').filter({ hasText: words }).waitFor();
}

export async function send(page, text) {
  await page.getByTestId('message-input').fill(text);
  await page.getByTestId('send-button').click();
}

/** Waits until the page shows a message. */
export async function shows(page, text) {
  await page.getByTestId('messages').getByText(text).first().waitFor();
}

/** Takes a picture for the documentation, if pictures are wanted. */
export async function picture(page, name, size) {
  if (!process.env.SCREENSHOTS) return;
  await page.setViewportSize(size);
  // The clock differs each time; nothing else on the page should.
  await page.evaluate(() => {
    for (const time of document.querySelectorAll('time')) time.textContent = '09:41';
  });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, name), animations: 'disabled', caret: 'hide' });
}

/** A picture that a page can make and every browser can show, in base64. */
export function painted(page) {
  return page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 160 });
    const context = canvas.getContext('2d');
    const sky = context.createLinearGradient(0, 0, 0, 160);
    sky.addColorStop(0, '#f6c177');
    sky.addColorStop(1, '#2f7f86');
    context.fillStyle = sky;
    context.fillRect(0, 0, 160, 160);
    context.strokeStyle = '#0b3b36';
    context.lineWidth = 7;
    context.beginPath();
    context.arc(80, 128, 62, Math.PI, 0);
    context.moveTo(0, 128);
    context.lineTo(160, 128);
    context.stroke();
    return canvas.toDataURL('image/png').split(',')[1];
  });
}
