// Chats and files between two browsers by data channels, and by MSRP where that does not work.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { CALLS, everything } from './system.mjs';

const all = everything(...CALLS);

/** A page with a session; `direct` as far as it can. */
async function online(name, { webrtc = true } = {}) {
  const context = await all.browser.newContext();
  const page = await context.newPage();
  if (!webrtc) await page.addInitScript(() => { delete globalThis.RTCPeerConnection; });
  await page.goto(all.system.page);
  await page.evaluate(async (user) => {
    const wsc = await import('/sdk/wsc.js');
    const session = new wsc.Session(user, `ws://${location.host}/ws/webrtc/demo`);
    const calls = new wsc.CallPackage(session);
    const chats = new wsc.ChatPackage(session);
    const files = new wsc.FileTransferPackage(session);
    const exchange = new wsc.CapabilityPackage(session).createCapabilityExchange();
    const direct = new wsc.DirectPackage(session, { calls, chats, files, exchange });
    const told = [];
    const listen = (chat) => {
      chat.onChatMessage = (message) => {
        told.push(`${chat.getInitiator()}: ${message.content}`);
        chat.displayed(message);
      };
      chat.onMessageTyping = () => told.push('typing');
      chat.onMessageSendSuccess = () => told.push('sent');
      chat.onMessageStatus = (id, status) => told.push(status);
      chat.onStateChange = ({ state }) => told.push(state);
      chat.onConnectionStateChange = ({ state }) => told.push(`connection ${state}`);
      globalThis.chat = chat;
      return chat;
    };
    chats.onIncomingChat = (chat) => listen(chat).accept();
    const hash = async (blob) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())),
      (octet) => octet.toString(16).padStart(2, '0')).join('');
    files.onFileTransfer = (transfer) => {
      const parts = [];
      const [{ props }] = transfer.getFileConfigs();
      if (props.icon) told.push(`${props.name} looks like ${props.icon}`);
      transfer.onFileData = ({ content }) => parts.push(content);
      transfer.onFileTransferSuccess = async () => told.push(`file ${await hash(new Blob(parts))}`);
      transfer.accept();
    };
    const chatWith = async (target, first) => {
      listen(await direct.createChat(target)).start(null, null, first);
    };
    const sendFile = async (target, octets) => {
      const transfer = await direct.createFileTransfer(target);
      return new Promise((resolve) => {
        transfer.onFileTransferSuccess = () => resolve('sent');
        transfer.onFileTransferFailure = (id, status, reason) => resolve(`${status} ${reason}`);
        transfer.start({ file: new File([Uint8Array.from({ length: octets }, (_, at) => (at * 31) & 255)], 'x.bin') });
      });
    };
    Object.assign(globalThis, { wsc, session, calls, direct, told, chatWith, sendFile });
    await session.connected;
  }, name);
  return {
    page,
    hears: (line) => page.waitForFunction((wanted) => globalThis.told.includes(wanted), line, { timeout: 20_000 })
      .catch(async () => assert.fail(`${name} has not heard "${line}", but ${await page.evaluate(() => globalThis.told.join('; '))}`)),
    run: (body, ...given) => page.evaluate(body, ...given),
    leave: async () => {
      await page.evaluate(() => globalThis.session.close());
      await context.close();
    },
  };
}

/** Both chat, and say so: what is typed, read, and sent as a file. */
async function converse(alice, bob) {
  await alice.run(() => globalThis.chatWith('bob'));
  await Promise.all([alice.hears('connection OPEN'), bob.hears('connection OPEN')]);
  await alice.run(() => {
    globalThis.chat.indicateTyping(true);
    globalThis.chat.send('Grüße 🌉');
  });
  await bob.hears('typing');
  await bob.hears('alice@localhost: Grüße 🌉');
  await alice.hears('displayed');
  await bob.run(() => { globalThis.chat.send('And back'); });
  await alice.hears('alice@localhost: And back');
  const octets = 1_500_000;
  assert.equal(await alice.run((size) => globalThis.sendFile('bob', size), octets), 'sent');
  const content = Uint8Array.from({ length: octets }, (_, at) => (at * 31) & 255);
  await bob.hears(`file ${createHash('sha256').update(content).digest('hex')}`);
  await alice.run(() => { globalThis.chat.end(); });
  await bob.hears('ENDED');
}

describe('two pages that chat and send files', () => {
  test('do so by data channels, where both can', async () => {
    const [alice, bob] = [await online('alice'), await online('bob')];
    await converse(alice, bob);
    assert.equal(await alice.run(() => globalThis.direct.isDirect('bob')), true);
    assert.equal(await bob.run(() => globalThis.direct.isDirect('alice')), true);
    // The other way round by the same call.
    assert.equal(await bob.run(() => globalThis.sendFile('alice', 1000)), 'sent');
    assert.equal(await bob.run(() => globalThis.calls.getCalls().length), 1);
    await Promise.all([alice.leave(), bob.leave()]);
  });

  test('send several files at once so, with what they look like', async () => {
    const [alice, bob] = [await online('alice'), await online('bob')];
    const icon = 'data:image/png;base64,iVBOR/8=';
    const sent = await alice.run(async (url) => {
      const transfer = await globalThis.direct.createFileTransfer('bob');
      const files = ['one', 'two'].map((name) => ({ file: new File([name], name), props: { icon: url } }));
      const ends = [];
      return new Promise((resolve) => {
        transfer.onFileTransferSuccess = () => ends.push('sent');
        transfer.onFileTransferFailure = (id, status, reason) => ends.push(`${status} ${reason}`);
        transfer.onStateChange = ({ state }) => { if (state === 'ENDED') resolve(ends); };
        transfer.start(files);
      });
    }, icon);
    assert.deepEqual(sent, ['sent', 'sent']);
    assert.equal(await alice.run(() => globalThis.direct.isDirect('bob')), true);
    for (const name of ['one', 'two']) {
      await bob.hears(`${name} looks like ${icon}`);
      await bob.hears(`file ${createHash('sha256').update(name).digest('hex')}`);
    }
    await Promise.all([alice.leave(), bob.leave()]);
  });

  test('begin with a first message, of which it is told that it is there and was seen', async () => {
    const [alice, bob] = [await online('alice'), await online('bob')];
    await alice.run(() => globalThis.chatWith('bob', 'Are you there?'));
    await bob.hears('alice@localhost: Are you there?');
    for (const word of ['sent', 'delivered', 'displayed']) await alice.hears(word);
    assert.equal(await alice.run(() => globalThis.direct.isDirect('bob')), true);
    await Promise.all([alice.leave(), bob.leave()]);
  });

  test('do so by MSRP, where one of them has no WebRTC', async () => {
    const [alice, bob] = [await online('alice'), await online('bob', { webrtc: false })];
    await converse(alice, bob);
    assert.equal(await alice.run(() => globalThis.direct.isDirect('bob')), false);
    await Promise.all([alice.leave(), bob.leave()]);
  });

  test('do so by MSRP, where the data channel is refused', async () => {
    const [alice, bob] = [await online('alice'), await online('bob')];
    await bob.run(() => { globalThis.calls.setTaker('direct', (call) => call.decline(488)); });
    await converse(alice, bob);
    assert.equal(await alice.run(() => globalThis.direct.isDirect('bob')), false);
    await Promise.all([alice.leave(), bob.leave()]);
  });
});
