// A group of two pages and a handset, by the network's focus: who says what, who is there, one more, one leaves.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { System, launch } from './system.mjs';

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  [browser, system] = await Promise.all([launch(), System.start('--no-handsets')]);
});
after(async () => {
  await browser?.close();
  await system?.stop();
});
afterEach(() => system.stopHandsets());

/** A page with a session of its own, by the SDK; what its callbacks are told is in `told`. */
async function online(name) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(system.page);
  const begin = () => page.evaluate(async (user) => {
    const wsc = await import('/sdk/wsc.js');
    const kept = sessionStorage.getItem('sessionId');
    const session = new wsc.Session(user, `ws://${location.host}/ws/webrtc/demo`, null, null, kept);
    const chats = new wsc.ChatPackage(session);
    const told = [];
    const listen = (chat) => {
      chat.onChatMessage = ({ from, content }) => told.push(`${from}: ${content}`);
      chat.onParticipantsChange = (people) => {
        told.push(people.map((person) => `${person.user} ${person.state}`).sort().join(', '));
      };
      chat.onMessageSendSuccess = (id) => told.push(`sent ${id === globalThis.sent}`);
      chat.onMessageStatus = (id, status, by) => told.push(`${status} by ${by}`);
      chat.onMessageTyping = (by) => told.push(`${by} types`);
      chat.onConnectionStateChange = ({ state }) => told.push(`connection ${state}`);
      chat.onStateChange = ({ state, status }) => told.push(`${state} ${status.code ?? status.reason}`);
      globalThis.chat = chat;
      return chat;
    };
    chats.onIncomingChat = (chat, { subject }) => {
      told.push(`invited by ${chat.getInitiator()}: ${subject}, ${chat.isGroup()}`);
      if (globalThis.declines) chat.decline();
      else listen(chat).accept();
    };
    const files = new wsc.FileTransferPackage(session);
    const hashed = async (blob) => {
      const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
      return Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, '0')).join('');
    };
    files.onFileTransfer = (transfer) => {
      const parts = [];
      const isOurs = transfer.getGroup()?.id === globalThis.chat.getGroup().id;
      transfer.onFileData = ({ content }) => parts.push(content);
      transfer.onFileTransferSuccess = async () => {
        told.push(`file of ${transfer.getInitiator()} for the group (${isOurs}): ${await hashed(new Blob(parts))}`);
      };
      transfer.accept();
    };
    const sendFile = (octets) => new Promise((resolve) => {
      const file = new File([Uint8Array.from({ length: octets }, (_, at) => (at * 7919) >> 3)], 'map.png', { type: 'image/png' });
      const transfer = files.createGroupFileTransfer(globalThis.chat.getGroup());
      transfer.onFileTransferSuccess = async () => resolve(await hashed(file));
      transfer.onFileTransferFailure = (id, status) => resolve(status);
      transfer.start({ file });
    });
    chats.onResurrect = (chat) => listen(chat).start();
    const actions = {
      make: (people, subject, first) => { globalThis.sent = listen(chats.createGroup(people)).start(null, { subject }, first); },
      add: (people) => globalThis.chat.addParticipants(people).then(() => 'added', ({ code }) => code),
      say: (text) => { globalThis.chat.send(text); },
      type: () => globalThis.chat.indicateTyping(),
      sendFile,
      leave: () => globalThis.chat.end(),
      rejoin: () => listen(chats.rejoinGroup(globalThis.chat.getGroup())).start(),
    };
    Object.assign(globalThis, { told, session, actions });
    await session.connected;
  }, name);
  await begin();
  return {
    /** The page is loaded anew, and goes on with its session. */
    reload: async () => {
      await page.reload();
      await begin();
    },
    run: (action, ...args) => page.evaluate(([key, given]) => globalThis.actions[key](...given), [action, args]),
    declines: () => page.evaluate(() => { globalThis.declines = true; }),
    /** Waits for a line that was not waited for yet. */
    hears: async (line) => {
      const told = () => page.evaluate(() => JSON.stringify(globalThis.told));
      await page.waitForFunction((wanted) => {
        const at = globalThis.told.indexOf(wanted);
        return at >= 0 && globalThis.told.splice(at, 1);
      }, line, { timeout: 20_000 }).catch(async () => assert.fail(`${name} has not heard "${line}": ${await told()}`));
    },
    close: async () => {
      await page.evaluate(() => globalThis.session.close());
      await context.close();
    },
  };
}

test('a group where the network makes none fails', async () => {
  const alice = await online('alice');
  await alice.run('make', ['bob@localhost'], 'x');
  await alice.hears('FAILED 404');
  await alice.close();
});

test('two pages and a handset talk; one more comes, one leaves and comes back', async () => {
  await system.handset('conference-factory', '--focus');
  const bob = await system.handset('bob', '--wrap');
  const [alice, carol, dave] = await Promise.all(['alice', 'carol', 'dave'].map(online));

  await alice.run('make', ['bob@localhost', 'carol@localhost'], 'Saturday hike');
  await carol.hears('invited by alice@localhost: Saturday hike, true');
  await Promise.all([alice.hears('connection OPEN'), carol.hears('connection OPEN'), bob.line(/^open/)]);
  await alice.hears('bob@localhost joined, carol@localhost joined');
  await carol.hears('alice@localhost joined, bob@localhost joined');

  await alice.run('say', 'Who has a car?');
  await carol.hears('alice@localhost: Who has a car?');
  await bob.line(/^message from alice@localhost: Who has a car\?$/);
  await alice.hears('delivered by bob@localhost');
  await alice.hears('delivered by carol@localhost');
  await carol.run('type');
  await alice.hears('carol@localhost types');
  await carol.run('say', 'Not me');
  await alice.hears('carol@localhost: Not me');
  await bob.line(/^message from carol@localhost: Not me$/);
  bob.write('say I have one');
  await Promise.all([alice, carol].map((page) => page.hears('bob@localhost: I have one')));

  assert.equal(await alice.run('add', ['dave@localhost']), 'added');
  await dave.hears('invited by alice@localhost: Saturday hike, true');
  await carol.hears('alice@localhost joined, bob@localhost joined, dave@localhost joined');
  await dave.hears('connection OPEN');
  await dave.run('say', 'Four seats?');
  await alice.hears('dave@localhost: Four seats?');
  await bob.line(/^message from dave@localhost: Four seats\?$/);

  await carol.run('leave');
  await alice.hears('bob@localhost joined, carol@localhost left, dave@localhost joined');
  await alice.run('say', 'Three of us');
  await dave.hears('alice@localhost: Three of us');
  await carol.run('rejoin');
  await carol.hears('alice@localhost joined, bob@localhost joined, dave@localhost joined');
  await carol.run('say', 'Back again');
  await alice.hears('carol@localhost: Back again');
  await Promise.all([alice, carol, dave].map((page) => page.close()));
});

test('a first message goes along with the making of a group', async () => {
  await system.handset('conference-factory', '--focus');
  const bob = await system.handset('bob', '--wrap');
  const [alice, carol] = await Promise.all(['alice', 'carol'].map(online));
  await alice.run('make', ['bob@localhost', 'carol@localhost'], 'Saturday hike', 'Who comes?');
  await alice.hears('sent true');
  await carol.hears('alice@localhost: Who comes?');
  await bob.line(/^message from alice@localhost: Who comes\?$/);
  await alice.hears('delivered by carol@localhost');
  await alice.hears('delivered by bob@localhost');
  await Promise.all([alice, carol].map((page) => page.close()));
});

test('a file for a group reaches all of it', async () => {
  await system.handset('conference-factory', '--focus');
  const bob = await system.handset('bob', '--wrap');
  const [alice, carol] = await Promise.all(['alice', 'carol'].map(online));
  await alice.run('make', ['bob@localhost', 'carol@localhost'], 'Saturday hike');
  await alice.hears('bob@localhost joined, carol@localhost joined');
  await carol.hears('alice@localhost joined, bob@localhost joined');
  const hash = await alice.run('sendFile', 40_000);
  await carol.hears(`file of alice@localhost for the group (true): ${hash}`);
  await bob.line(new RegExp(`^received from .*${hash}$`));
  await carol.run('say', 'Thanks');
  await alice.hears('carol@localhost: Thanks');
  await Promise.all([alice, carol].map((page) => page.close()));
});

test('a page that is loaded anew comes back into its group', async () => {
  await system.handset('conference-factory', '--focus');
  const bob = await system.handset('bob', '--wrap');
  const [alice, carol] = await Promise.all(['alice', 'carol'].map(online));
  await alice.run('make', ['bob@localhost', 'carol@localhost'], 'Saturday hike');
  await alice.hears('bob@localhost joined, carol@localhost joined');
  await carol.hears('alice@localhost joined, bob@localhost joined');
  await alice.reload();
  await alice.hears('connection OPEN');
  await alice.hears('bob@localhost joined, carol@localhost joined');
  await alice.run('say', 'Back again');
  await carol.hears('alice@localhost: Back again');
  await bob.line(/^message from alice@localhost: Back again$/);
  bob.write('say Hello');
  await alice.hears('bob@localhost: Hello');
  await Promise.all([alice, carol].map((page) => page.close()));
});

test('who declines or is not there is told of, and a group of one is over', async () => {
  await system.handset('conference-factory', '--focus');
  await system.handset('bob', '--decline', '486');
  const [alice, carol, dave] = await Promise.all(['alice', 'carol', 'dave'].map(online));
  await carol.declines();
  await alice.run('make', ['bob@localhost', 'carol@localhost', 'dave@localhost', 'nobody@localhost'], 'Lunch');
  await alice.hears('bob@localhost busy, carol@localhost declined, dave@localhost joined, nobody@localhost failed');
  await dave.run('leave');
  await alice.hears('ENDED gone');
  await alice.run('rejoin');
  await alice.hears('FAILED 404');
  await Promise.all([alice, carol, dave].map((page) => page.close()));
});
