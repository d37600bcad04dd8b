// Sessions that leave their page: hibernating, after a reload, on another device.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everything } from './system.mjs';

const all = everything();

/** Makes a session in a page, which goes on with what is given. */
async function begin(page, sessionId = null, stateInfo = null) {
  await page.evaluate(async ([id, info]) => {
    const wsc = await import('/sdk/wsc.js');
    const url = `ws://${location.host}/ws/webrtc/demo`;
    const session = new wsc.Session('alice', url, null, null, id, null, null, info);
    const texts = new wsc.MessagingPackage(session).createMessaging();
    const told = [];
    session.onSessionStateChange = (state) => told.push(state);
    session.onHibernated = ({ ttl }) => told.push(`hibernates for ${ttl}`);
    texts.onNewMessage = (message) => {
      told.push(message.content);
      texts.accept(message);
    };
    Object.assign(globalThis, { session, told, texts });
    await session.connected;
  }, [sessionId, stateInfo]);
  return page;
}

async function open() {
  const page = await (await all.browser.newContext()).newPage();
  await page.goto(all.system.page);
  return page;
}

const hears = (page, line) => page.waitForFunction((wanted) => globalThis.told.includes(wanted), line, { timeout: 20_000 });
const id = (page) => page.evaluate(() => globalThis.session.getSessionId());

test('a session hibernates, and is woken by what it sends', async () => {
  const bob = await all.system.handset('bob');
  const page = await begin(await open());
  const before = await id(page);
  await page.evaluate(() => new Promise((resolve) => { globalThis.session.hibernate(3600, resolve); }));
  await hears(page, 'HIBERNATED');
  await hears(page, 'hibernates for 3600');
  await page.evaluate(() => { globalThis.texts.send('I am back', 'bob'); });
  await bob.line(/^text from .*: I am back$/);
  assert.equal(await id(page), before);
  await page.evaluate(() => globalThis.session.close());
  await all.system.stopHandsets();
});

test('a page that is loaded anew goes on with its session', async () => {
  const bob = await all.system.handset('bob');
  const page = await begin(await open());
  const before = await id(page);
  await page.reload();
  await begin(page, before);
  assert.equal(await id(page), before);
  await hears(page, 'RELOADING');
  bob.write('text sip:alice@localhost Still there?');
  await hears(page, 'Still there?');
  await page.evaluate(() => globalThis.session.close());
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, 'nothing is left behind');
  await all.system.stopHandsets();
});

test('a session goes on in another browser, and the first knows', async () => {
  const bob = await all.system.handset('bob');
  const first = await begin(await open());
  const state = await first.evaluate(() => globalThis.session.exportState());
  const second = await begin(await open(), null, state);
  await hears(first, 'SUSPENDED');
  assert.equal(await id(second), state.sessionId);
  bob.write('text sip:alice@localhost Where are you?');
  await hears(second, 'Where are you?');
  await second.evaluate(() => globalThis.session.close());
  await all.system.stopHandsets();
});
