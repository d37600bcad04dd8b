// What a page and a handset, or two pages, can do without a call: enquiries and messages on their own.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { System, launch } from './system.mjs';

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

/** A page with a session of its own, by the SDK; what its callbacks are told is in `told`. */
async function online(name) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(system.page);
  await page.evaluate(async (user) => {
    const wsc = await import('/sdk/wsc.js');
    const session = new wsc.Session(user, `ws://${location.host}/ws/webrtc/demo`);
    const exchange = new wsc.CapabilityPackage(session).createCapabilityExchange();
    const messaging = new wsc.MessagingPackage(session).createMessaging();
    const chats = new wsc.ChatPackage(session);
    const told = [];
    exchange.onQueryRequest = (query) => {
      told.push(`asked by ${query.initiator}: ${query.initiatorCapability}`);
      exchange.respond(query, globalThis.services ?? 'IM/CHAT,VS');
    };
    messaging.onNewMessage = (message) => {
      told.push(`text from ${message.initiator}: ${message.content}`);
      if (globalThis.declines) messaging.reject(message, 603, 'Decline');
      else messaging.accept(message);
      messaging.displayed(message);
    };
    messaging.onMessageStatus = (id, status, by) => told.push(`${status} by ${by}`);
    const listen = (chat) => {
      chat.onChatMessage = (message) => {
        told.push(`message: ${message.content}`);
        chat.displayed(message);
      };
      chat.onMessageStatus = (id, status) => told.push(`${status}: ${globalThis.sent === id}`);
      chat.onMessageTyping = () => told.push('typing');
      chat.onMessageTypingStop = () => told.push('not typing');
      chat.onConnectionStateChange = ({ state }) => told.push(`connection ${state}`);
      chat.onStateChange = ({ state, status }) => told.push(`${state} ${status.code}`);
      globalThis.chat = chat;
      return chat;
    };
    chats.onIncomingChat = (chat) => listen(chat).accept();
    const call = (target) => listen(chats.createChat(target)).start();
    const say = (text) => { globalThis.sent = globalThis.chat.send(text); };
    Object.assign(globalThis, { call, say, session, exchange, messaging, told });
    await session.connected;
  }, name);
  return {
    /** Closes session and page. */
    leave: async () => {
      await page.evaluate(() => globalThis.session.close());
      await context.close();
    },
    /** Calls a function of the page's. */
    run: (name, ...args) => page.evaluate(([key, given]) => { globalThis[key](...given); }, [name, args]),
    typing: (isTyping) => page.evaluate((typing) => globalThis.chat.indicateTyping(typing), isTyping),
    /** Asks what somebody can do. */
    enquiry: (services, target) => page.evaluate(
      ([own, whom]) => globalThis.exchange.enquiry(own, whom)
        .then(({ targetCapability }) => targetCapability, ({ errorCode }) => errorCode),
      [services, target],
    ),
    /** Sends a text; gives how it ended. */
    text: (content, target) => page.evaluate(
      ([said, whom]) => globalThis.messaging.sent(globalThis.messaging.send(said, whom))
        .then(() => 'sent', ({ code }) => code),
      [content, target],
    ),
    set: (name, value) => page.evaluate(([key, what]) => { globalThis[key] = what; }, [name, value]),
    hears: (line) => page.waitForFunction((wanted) => globalThis.told.includes(wanted), line, { timeout: 20_000 }),
  };
}

describe('without a call', () => {
  before(async () => { system = await System.start('--no-handsets'); });
  after(() => system.stop());
  afterEach(() => system.stopHandsets());

  test('a page asks a handset what it can do, and is asked', async () => {
    const bob = await system.handset('bob');
    const alice = await online('alice');
    assert.equal(await alice.enquiry('File transfer', 'bob'), 'IM/CHAT,File transfer');
    await bob.line(/^asked by .*alice@localhost.*: \+g\.3gpp\.iari-ref="urn%3Aurn-7%3A3gpp-application\.ims\.iari\.rcse\.ft"/);
    bob.write('options sip:alice@localhost');
    await alice.hears('asked by bob@localhost: IM/CHAT,File transfer');
    await bob.line(/^capabilities of sip:alice@localhost: 200 \+g\.3gpp\.cs-voice;\+g\.3gpp\.iari-ref="[^"]*rcse\.im"$/);
    // Nothing is an answer too.
    await alice.set('services', '');
    bob.write('options sip:alice@localhost');
    await bob.line(/^capabilities of sip:alice@localhost: 200 $/);
    await alice.leave();
  });

  test('handsets that are not there, are nobody, or have no RCS', async () => {
    await system.handset('bob', '--absent', '480');
    await system.handset('carol', '--capabilities', '');
    const alice = await online('alice');
    assert.equal(await alice.enquiry('IM/CHAT', 'bob'), 480);
    assert.equal(await alice.enquiry('IM/CHAT', 'carol'), '');
    assert.equal(await alice.enquiry('IM/CHAT', 'nobody'), 404);
    await alice.leave();
  });

  test('two pages ask each other by SIP, and know each other for browsers', async () => {
    const [alice, carol] = [await online('alice'), await online('carol')];
    await carol.set('services', 'IM/CHAT,Data channel');
    assert.equal(await alice.enquiry('VS', 'carol'), 'IM/CHAT,Data channel');
    await carol.hears('asked by alice@localhost: VS');
    await Promise.all([alice.leave(), carol.leave()]);
  });

  test('texts cross between a page and a handset, and are confirmed', async () => {
    const bob = await system.handset('bob');
    const alice = await online('alice');
    assert.equal(await alice.text('Grüße, 你好 🌉', 'bob'), 'sent');
    await bob.line(/^text from .*alice@localhost.*: Grüße, 你好 🌉$/);
    bob.write('text sip:alice@localhost See you at noon');
    await alice.hears('text from bob@localhost: See you at noon');
    await bob.line(/^text \S+ answered: 200$/);
    const [, delivered] = await bob.line(/^notified (\S+): delivered$/);
    const [, displayed] = await bob.line(/^notified (\S+): displayed$/);
    assert.equal(delivered, displayed);
    await alice.leave();
  });

  test('a text to nobody, to one who refuses, and between two pages', async () => {
    await system.handset('bob', '--refuse-texts', '603');
    const [alice, carol] = [await online('alice'), await online('carol')];
    assert.equal(await alice.text('x', 'nobody'), 404);
    assert.equal(await alice.text('x', 'bob'), 603);
    assert.equal(await alice.text('Hello', 'carol'), 'sent');
    await carol.hears('text from alice@localhost: Hello');
    await Promise.all([alice.leave(), carol.leave()]);
  });

  test('a chat in envelopes: typing, and what became of texts, both ways', async () => {
    const bob = await system.handset('bob', '--wrap');
    const alice = await online('alice');
    await alice.run('call', 'bob');
    await alice.hears('connection OPEN');
    await alice.typing(true);
    await bob.line(/^typing$/);
    await alice.run('say', 'Hello');
    await bob.line(/^message from .*: Hello$/);
    await alice.hears('delivered: true');
    await alice.hears('displayed: true');
    bob.write('typing on');
    await alice.hears('typing');
    bob.write('say Hello yourself');
    await alice.hears('message: Hello yourself');
    await alice.hears('not typing');
    const [, delivered] = await bob.line(/^notified (\S+): delivered$/);
    const [, displayed] = await bob.line(/^notified (\S+): displayed$/);
    assert.equal(delivered, displayed);
    // What it can do is asked inside the chat, and answered by the page's exchange.
    bob.write('options sip:alice@localhost');
    await bob.line(/^capabilities of sip:alice@localhost: 200 \+g\.3gpp/);
    bob.write('bye');
    await alice.hears('connection CLOSED');
    await alice.leave();
  });

  test('a handset that calls in envelopes is heard, and one that declines', async () => {
    const alice = await online('alice');
    const bob = await system.handset('bob', '--wrap', '--call', 'sip:alice@localhost');
    await alice.hears('connection OPEN');
    bob.write('say Are you there?');
    await alice.hears('message: Are you there?');
    await bob.line(/^notified \S+: displayed$/);
    await system.handset('carol', '--decline', '486');
    await alice.run('call', 'carol');
    await alice.hears('FAILED 486');
    await alice.leave();
  });
});
