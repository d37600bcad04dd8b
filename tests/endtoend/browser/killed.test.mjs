// Control and the relay are killed without a word while chats run, and started again.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Program } from './programs.mjs';
import { launch } from './system.mjs';

const CHATS = 20;

/** A port that nobody has now: what is killed must come back where it was. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** In the page: chats with bob, who repeats what he is told. */
async function startChats(count) {
  const { ChatPackage, Session } = await import('/sdk/wsc.js');
  const url = `${location.origin.replace('http', 'ws')}/ws/webrtc/demo`;
  const told = { fresh: 0, states: [] };
  const session = new Session('alice', url, () => { told.fresh += 1; });
  const chats = new ChatPackage(session);
  session.onSessionStateChange = (state) => told.states.push(state);
  await session.connected;
  const talk = () => new Promise((resolve) => {
    const chat = chats.createChat('bob');
    const entry = { chat, sent: [], heard: [], failed: [], states: [] };
    chat.onStateChange = ({ state }) => {
      entry.states.push(state);
      if (state === 'FAILED') resolve(null);
    };
    chat.onConnectionStateChange = ({ state }) => {
      entry.states.push(`media ${state}`);
      if (state === 'OPEN') resolve(entry);
    };
    chat.onChatMessage = ({ content }) => entry.heard.push(content);
    chat.onMessageSendFailure = (_, status) => entry.failed.push(status);
    chat.start();
  });
  const talks = await Promise.all(Array.from({ length: count }, talk));
  talks.forEach((entry) => entry.states.splice(0));
  const say = () => talks.forEach((entry) => {
    if (entry.states.includes('ENDED')) return;
    entry.sent.push(`text ${entry.sent.length + 1}`);
    entry.chat.send(entry.sent.at(-1));
  });
  const traffic = setInterval(say, 40);
  /** One more chat, as soon as it is possible. */
  const more = async () => {
    for (;;) {
      const entry = await talk();
      if (entry) {
        talks.push(entry);
        return;
      }
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  };
  Object.assign(window, {
    told, session, talks, more, quiet: () => clearInterval(traffic),
  });
}

describe('programs that are killed while chats run', () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  let page;
  let folder;
  let bob;
  let control;
  let relay;

  const startControl = async () => {
    control = new Program('causeway', ['run', '--config', join(folder, 'control.toml')]);
    await control.line(/serving/);
  };
  const startRelay = async () => {
    relay = new Program('causeway-relay', ['--socket', join(folder, 'relay.sock'), '--cores', '0']);
    await relay.line(/ready/);
  };
  const kill = async (program) => {
    program.child.kill('SIGKILL');
    await program.exit;
  };
  /** Waits until it is so in the page. */
  const until = (condition, argument) => page.waitForFunction(condition, argument, { polling: 20 });
  /** Everybody has heard so many texts more. */
  const hearsMore = async (count) => {
    const heard = await page.evaluate(() => talks.map((entry) => entry.heard.length));
    await until(([before, more]) => talks.every((entry, at) => entry.heard.length >= before[at] + more), [heard, count]);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'causeway-killed-'));
    const [http, sip] = [await freePort(), await freePort()];
    await writeFile(join(folder, 'control.toml'), [
      'domain = "localhost"',
      `http = { listen = "127.0.0.1:${http}", demo = true }`,
      `sip = { listen = "127.0.0.1:${sip}" }`,
      `relay = { socket = "${folder}/relay.sock" }`,
      `state = { folder = "${folder}/state" }`,
      'legs = { browser = { transport = "ws" } }',
      '[applications.demo]',
    ].join('\n'));
    await startRelay();
    await startControl();
    const registrar = ['--registrar', `127.0.0.1:${sip}`];
    bob = new Program('causeway-bench', ['handset', '--aor', 'sip:bob@localhost', '--echo', ...registrar]);
    await bob.line(/^registered/);
    browser = await launch();
    page = await browser.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`http://127.0.0.1:${http}/demo/`);
    await page.evaluate(startChats, CHATS);
    await hearsMore(1);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([bob, control, relay].map((program) => program?.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test('control: media do not notice, sessions and dialogs go on', { timeout: 60_000 }, async () => {
    await kill(control);
    await until(() => told.states.includes('RECONNECTING'));
    await hearsMore(5);
    await startControl();
    await until(() => session.getSessionState() === 'CONNECTED');
    await hearsMore(5);
    await page.evaluate(() => quiet());
    await until(() => talks.every((entry) => entry.heard.length === entry.sent.length));
    const seen = await page.evaluate(() => ({
      ...told, talks: talks.map(({ sent, heard, failed, states }) => ({ sent, heard, failed, states })),
    }));
    assert.equal(seen.fresh, 1, 'it is the same session');
    for (const entry of seen.talks) {
      assert.deepEqual(entry.heard, entry.sent, 'every text once and in order');
      assert.deepEqual([entry.failed, entry.states], [[], []]);
    }
    // The dialogs live: either side ends some.
    await page.evaluate((half) => talks.slice(0, half).forEach(({ chat }) => chat.end()), CHATS / 2);
    for (let n = 0; n < CHATS / 2; n += 1) await bob.line(/^ended/);
    bob.write('bye');
    await bob.line(/^ended/);
    await until((count) => talks.filter(({ states }) => states.includes('ENDED')).length === count, CHATS / 2 + 1);
    // And new chats come up: bob is still registered.
    await page.evaluate(() => more());
  });

  test('the relay: everybody learns it, and new chats work after its restart', { timeout: 60_000 }, async () => {
    const open = CHATS / 2;
    await kill(relay);
    await until(() => talks.every(({ chat }) => chat.getState().state === 'ENDED'));
    for (let n = 0; n < open; n += 1) await bob.line(/^ended/);
    await startRelay();
    await page.evaluate(() => more());
    await page.evaluate(() => talks.at(-1).chat.send('hello'));
    await until(() => talks.at(-1).heard.length === 1);
  });
});
