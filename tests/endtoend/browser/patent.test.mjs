// The JavaScript that US 9,648,052 describes, by the classic script: the same names in the same order, against real programs. Callbacks are
// set where it sets them, often after the call that makes them come.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { CALLS, everything, fresh } from './system.mjs';

const all = everything(...CALLS);
afterEach(() => all.system.stopHandsets());

/** A page with the classic script and a session; `told` is what its callbacks have told. */
async function online(name) {
  const { context, page } = await fresh(all);
  await page.addScriptTag({ url: '/sdk/wsc.global.js' });
  await page.evaluate((user) => {
    Object.assign(globalThis, { told: [], CapabilityExchange: wsc.CapabilityExchange });
    globalThis.wscSession = new wsc.Session(user, `ws://${location.host}/ws/webrtc/demo`);
    return globalThis.wscSession.connected.then(() => {});
  }, name);
  return {
    run: (body, argument) => page.evaluate(body, argument),
    hears: async (line) => {
      await page.waitForFunction((wanted) => globalThis.told.includes(wanted), line, { timeout: 20_000 })
        .catch(async () => assert.fail(`${name} has not heard "${line}", but ${await page.evaluate(() => globalThis.told.join('; '))}`));
    },
    leave: async () => {
      await page.evaluate(() => globalThis.wscSession.close());
      await context.close();
    },
  };
}

test('a capability exchange of its own', async () => {
  const bob = await all.system.handset('bob1', '--capabilities', '+g.oma.sip-im');
  const alice = await online('alice');
  await alice.run(() => {
    const { told, wscSession } = globalThis;
    var capabilityPackage = new wsc.CapabilityPackage(wscSession);
    var capabilityExchange = capabilityPackage.createCapabilityExchange();
    capabilityExchange.enquiry('File transfer', 'bob1@localhost');
    capabilityExchange.onQueryResponse = function (Query) {
      told.push(`answer of ${Query.target}: ${Query.targetCapability}, was told ${Query.initiatorCapability}`);
    };
    capabilityExchange.onQueryRequest = function (Query) {
      told.push(`query of ${Query.initiator}: ${Query.initiatorCapability}`);
      var selfCapability = 'Image share';
      this.respond(Query, selfCapability);
    };
    capabilityExchange.onError = function (err) {
      told.push(`error ${err.errorCode} ${err.errorReason}`);
    };
    globalThis.capabilityExchange = capabilityExchange;
  });
  await alice.hears('answer of bob1@localhost: IM/CHAT,File transfer, was told File transfer');
  bob.write('options sip:alice@localhost');
  await alice.hears('query of bob1@localhost: IM/CHAT,File transfer');
  await bob.line(/^capabilities of sip:alice@localhost: 200 \+g\.3gpp\.iari-ref="urn%3Aurn-7%3A3gpp-application\.ims\.iari\.gsma-is"$/);
  await alice.run(() => { globalThis.capabilityExchange.enquiry('File transfer', 'nobody@localhost'); });
  await alice.hears('error 404 Not Found');
  await alice.leave();
});

test('a capability exchange inside a call', async () => {
  const [alice, carol] = [await online('alice'), await online('carol')];
  const inside = (own) => {
    const { told, wscSession } = globalThis;
    const { NONE } = wsc.MEDIADIRECTION;
    const callPackage = new wsc.CallPackage(wscSession);
    const exchange = (call) => {
      var capabilityExchange = new CapabilityExchange(call);
      capabilityExchange.onQueryResponse = (Query) => told.push(`answer: ${Query.targetCapability}`);
      capabilityExchange.onQueryRequest = (Query) => {
        told.push(`query: ${Query.initiatorCapability}`);
        capabilityExchange.respond(Query, own);
      };
      return capabilityExchange;
    };
    callPackage.onIncomingCall = (call) => {
      globalThis.call = call;
      call.onCallStateChange = ({ state }) => told.push(state);
      exchange(call);
      call.accept();
    };
    globalThis.calls = (target) => {
      const call = callPackage.createCall(target, new wsc.CallConfig(NONE, NONE, [{ label: 'x', reliable: true }]), () => {});
      globalThis.capabilityExchange = exchange(call);
      call.onCallStateChange = ({ state, status }) => {
        told.push(state);
        // A server that is too busy is asked again.
        if (status.code === 503) setTimeout(globalThis.calls, 500, target);
      };
      call.start();
      globalThis.call = call;
    };
  };
  await alice.run(inside, 'VS');
  await carol.run(inside, 'VS,Image share');
  await alice.run(() => { globalThis.calls('carol@localhost'); });
  await Promise.all([alice.hears('ESTABLISHED'), carol.hears('ESTABLISHED')]);
  await alice.run(() => { globalThis.capabilityExchange.enquiry('VS', 'carol@localhost'); });
  await carol.hears('query: VS');
  await alice.hears('answer: VS,Image share');
  await alice.run(() => { globalThis.call.end(); });
  await Promise.all([alice.leave(), carol.leave()]);
});

test('standalone messages', async () => {
  const bob = await all.system.handset('bob');
  const alice = await online('alice');
  const id = await alice.run(() => {
    const { told, wscSession } = globalThis;
    globalThis.messagingPackage = new wsc.MessagingPackage(wscSession);
    const { MessagingPackage } = wsc;
    var messaging = MessagingPackage.createMessaging();
    const msgId = messaging.send('Meet at eight', 'bob@localhost');
    messaging.onNewMessage = onNewMessage;
    messaging.onSuccessResponse = (message) => told.push(`success ${message.msgId}`);
    function onNewMessage(msg) {
      var initiator = msg.initiator, content = msg.content;
      messaging.accept(msg);
      told.push(`${initiator}: ${content}`);
    }
    return msgId;
  });
  await bob.line(/^text from alice@localhost: Meet at eight$/);
  await alice.hears(`success ${id}`);
  bob.write('text sip:alice@localhost Rather at nine');
  await alice.hears('bob@localhost: Rather at nine');
  await bob.line(/^text \S+ answered: 200$/);
  await alice.leave();
});

test('a chat', async () => {
  const bob = await all.system.handset('bob', '--say', 'Hello');
  const alice = await online('alice');
  await alice.run(() => {
    const { told, wscSession: mSession } = globalThis;
    const callee = 'bob@localhost';
    var chatPackage = new wsc.ChatPackage(mSession);
    chatPackage.onIncomingChat = (chat) => {
      told.push(`incoming from ${chat.getInitiator()}`);
      chat.accept({ acceptTypes: ['text/plain'] });
    };
    var wscChat = chatPackage.createChat(callee);
    wscChat.onSessionStateChange = ({ state }) => told.push(state);
    wscChat.onChatMessage = ({ contentType, content }) => told.push(`${contentType}: ${content}`);
    wscChat.onMessageSendSuccess = (msgId) => told.push(`sent ${msgId === globalThis.msgId}`);
    wscChat.onMessageSendFailure = (msgId, status) => told.push(`failed ${status}`);
    wscChat.onMessageTyping = () => told.push('typing');
    wscChat.onMessageTypingStop = () => told.push('typing stopped');
    var chatConfig = { acceptTypes: ['text/plain'], maxSize: 4096 };
    wscChat.start(chatConfig);
    globalThis.wscChat = wscChat;
  });
  await alice.hears('ESTABLISHED');
  bob.write('typing on');
  await alice.hears('typing');
  bob.write('typing off');
  await alice.hears('typing stopped');
  await alice.hears('text/plain: Hello');
  await alice.run(() => { globalThis.msgId = globalThis.wscChat.send({ contentType: 'text/plain', content: 'Hi' }); });
  await bob.line(/^message from .*: Hi$/);
  await alice.hears('sent true');
  await alice.run(() => { globalThis.wscChat.end(); });
  await bob.line(/^ended/);
  bob.write('call sip:alice@localhost');
  await alice.hears('incoming from bob@localhost');
  await bob.line(/^open/);
  bob.write('bye');
  await alice.leave();
});

test('a file transfer', async () => {
  const bob = await all.system.handset('bob');
  const alice = await online('alice');
  await alice.run(() => {
    const { told, wscSession: mSession } = globalThis;
    var fileTransferPackage = new wsc.FileTransferPackage(mSession);
    fileTransferPackage.onFileTransfer = (transfer) => transfer.decline(603);
    var wscFileTransfer = fileTransferPackage.createFileTransfer('bob@localhost');
    wscFileTransfer.onSessionStateChange = ({ state }) => told.push(state);
    wscFileTransfer.onFileData = () => told.push('data');
    wscFileTransfer.onProgress = ({ range }) => told.push(`at ${range.end}`);
    wscFileTransfer.onFileTransferSuccess = () => told.push('success');
    wscFileTransfer.onFiieTransferFailure = (id, status) => told.push(`failure ${status}`);
    var fileConfigs = [{ file: new File([new Uint8Array(70_000)], 'zeros.bin', { type: 'application/octet-stream' }) }];
    wscFileTransfer.start(fileConfigs);
  });
  await bob.line(/^offered by alice@localhost: zeros\.bin, 70000 octets$/);
  await bob.line(/^received from .*: application\/octet-stream, 70000 octets/);
  await alice.hears('at 70000');
  await alice.hears('success');
  await alice.hears('ENDED');
  await alice.leave();
});
