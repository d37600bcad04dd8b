// While chats run a script is edited, and control and the relay are killed without a word and started again. CHATS=200 in the environment
// has more of them; how long recovery took is shown beside the test.

import assert from 'node:assert/strict';
import {
  appendFile, cp, mkdtemp, readFile, rm, writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { Program } from './programs.mjs';
import { launch } from './system.mjs';

const CHATS = Number(process.env.CHATS ?? 20);
/** Each user has so many. */
const CHATS_EACH = 10;
/** A handset has so many. */
const CHATS_OF_HANDSET = 50;

/** A port that nobody has now: what is killed must come back where it was. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** In the page: users who chat with handsets, which repeat what they are told. */
async function startChats([count, each, handsets]) {
  const { ChatPackage, Session } = await import('/sdk/wsc.js');
  const url = `${location.origin.replace('http', 'ws')}/ws/webrtc/demo`;
  const told = { fresh: 0, states: [] };
  const sessions = Array.from({ length: count / each }, (_, user) => {
    const session = new Session(`alice${user}`, url, () => { told.fresh += 1; });
    session.onSessionStateChange = (state) => told.states.push(state);
    return session;
  });
  const packages = sessions.map((session) => new ChatPackage(session));
  await Promise.all(sessions.map((session) => session.connected));
  const talk = (number = 0) => new Promise((resolve) => {
    const chat = packages[number % packages.length].createChat(`bob${number % handsets}`);
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
  const talks = [];
  // All at once would be a burst that control is right to slow down.
  while (talks.length < count) {
    const next = Array.from({ length: Math.min(20, count - talks.length) }, (_, at) => talks.length + at);
    talks.push(...await Promise.all(next.map((number) => talk(number))));
  }
  talks.forEach((entry) => entry.states.splice(0));
  const say = () => talks.forEach((entry) => {
    if (entry.states.includes('ENDED')) return;
    entry.sent.push(`text ${entry.sent.length + 1}`);
    entry.chat.send(entry.sent.at(-1));
  });
  const traffic = setInterval(say, 2 * count);
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
  /** What somebody hears who calls this one. */
  const codeOf = (target) => new Promise((resolve) => {
    const chat = packages[0].createChat(target);
    chat.onStateChange = ({ state, status }) => state === 'FAILED' && resolve(status.code);
    chat.start();
  });
  Object.assign(window, {
    codeOf, told, sessions, talks, more, quiet: () => clearInterval(traffic),
  });
}

/** The chat's script with something new in it: who may not be called, and something that does not end. */
function edited(script) {
  const start = 'fn from_app_start_request(context) {';
  assert.ok(script.includes(start));
  return script.replace(start, `${start}
    let to = getToAddress(context);
    if to.contains("nobody") {
      context.webFactory.createWebErrorResponse("start", 456, "Not today").send();
      return;
    }
    if to.contains("endless") { loop {} }
  `);
}

describe('what happens while chats run', () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  let page;
  let folder;
  let script;
  /** @type {Program[]} */
  let handsets = [];
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
  /** So many chats end, as many at each handset. */
  const handsetsEnd = (count) => Promise.all(handsets.map(async (handset) => {
    for (let n = 0; n < count / handsets.length; n += 1) await handset.line(/^ended/);
  }));
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
      `packages = { folder = "${folder}/packages" }`,
      'legs = { browser = { transport = "ws" } }',
      '[applications.demo]',
    ].join('\n'));
    script = join(folder, 'packages/chat/chat.rhai');
    const shipped = fileURLToPath(new URL('../../../control/packages/chat', import.meta.url));
    await cp(shipped, join(folder, 'packages/chat'), { recursive: true });
    await startRelay();
    await startControl();
    const registrar = ['--registrar', `127.0.0.1:${sip}`];
    handsets = Array.from({ length: Math.ceil(CHATS / CHATS_OF_HANDSET) }, (_, number) => (
      new Program('causeway-bench', ['handset', '--aor', `sip:bob${number}@localhost`, '--echo', ...registrar])
    ));
    await Promise.all(handsets.map((handset) => handset.line(/^registered/)));
    browser = await launch();
    page = await browser.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`http://127.0.0.1:${http}/demo/`);
    await page.evaluate(startChats, [CHATS, CHATS_EACH, handsets.length]);
    await hearsMore(1);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([...handsets, control, relay].map((program) => program?.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test('a script is edited: what comes next meets it, chats do not notice', { timeout: 60_000 }, async () => {
    const codeOf = (target) => page.evaluate((callee) => window.codeOf(callee), target);
    assert.equal(await codeOf('nobody'), 404);
    const sound = edited(await readFile(script, 'utf8'));
    await writeFile(script, sound);
    // Not faster than chats go on: whoever asks for more than a page may is turned away, with its chats.
    while (await codeOf('nobody') !== 456) await hearsMore(1);
    await hearsMore(2);
    // What does not end is cut off, and nothing fails but the message that it was to handle.
    assert.equal(await codeOf('endless'), 503);
    await appendFile(script, '\nfn broken( {');
    const refused = await control.line(/chat\/chat\.rhai:\d+:\d+/);
    assert.ok(refused, 'it says where it is broken');
    assert.equal(await codeOf('nobody'), 456, 'what was sound is in use');
    await hearsMore(2);
    await writeFile(script, sound);
  });

  test('control: media do not notice, sessions and dialogs go on', { timeout: 60_000 }, async (context) => {
    await kill(control);
    await until(() => told.states.includes('RECONNECTING'));
    await hearsMore(5);
    const restarted = Date.now();
    await startControl();
    await until(() => sessions.every((session) => session.getSessionState() === 'CONNECTED'));
    context.diagnostic(`${CHATS} chats of ${CHATS / CHATS_EACH} users were back ${Date.now() - restarted} ms after the restart`);
    await hearsMore(5);
    await page.evaluate(() => quiet());
    await until(() => talks.every((entry) => entry.heard.length === entry.sent.length));
    const seen = await page.evaluate(() => ({
      ...told, talks: talks.map(({ sent, heard, failed, states }) => ({ sent, heard, failed, states })),
    }));
    assert.equal(seen.fresh, CHATS / CHATS_EACH, 'they are the same sessions');
    for (const entry of seen.talks) {
      assert.deepEqual(entry.heard, entry.sent, 'every text once and in order');
      assert.deepEqual([entry.failed, entry.states], [[], []]);
    }
    // The dialogs live: either side ends some.
    await page.evaluate((half) => talks.slice(0, half).forEach(({ chat }) => chat.end()), CHATS / 2);
    await handsetsEnd(CHATS / 2);
    handsets[0].write('bye');
    await handsets[0].line(/^ended/);
    await until((count) => talks.filter(({ states }) => states.includes('ENDED')).length === count, CHATS / 2 + 1);
    // And new chats come up: the handsets are still registered.
    await page.evaluate(() => more());
  });

  test('the relay: everybody learns it, and new chats work after its restart', { timeout: 60_000 }, async (context) => {
    const open = CHATS / 2;
    const killed = Date.now();
    await kill(relay);
    await until(() => talks.every(({ chat }) => chat.getState().state === 'ENDED'));
    await handsetsEnd(open);
    context.diagnostic(`everybody knew ${Date.now() - killed} ms after the relay's death`);
    await startRelay();
    await page.evaluate(() => more());
    await page.evaluate(() => talks.at(-1).chat.send('hello'));
    await until(() => talks.at(-1).heard.length === 1);
  });
});
