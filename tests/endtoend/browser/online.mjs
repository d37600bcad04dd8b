// A page that speaks by the SDK, without the demo: what it can do, and what it hears.

import { fresh } from './system.mjs';

/**
 * A page with a session of its own, by the SDK; what its callbacks are told is in `told`.
 * @param {{ browser: import('playwright-core').Browser, system: import('./system.mjs').System }} all
 * @param {string} name
 */
export async function online(all, name) {
  const { context, page } = await fresh(all);
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
      chat.onMessageSendSuccess = (id) => told.push(`sent: ${globalThis.sent === id}`);
      chat.onMessageSendFailure = (id, status) => told.push(`not sent: ${status}`);
      chat.onMessageStatus = (id, status) => told.push(`${status}: ${globalThis.sent === id}`);
      chat.onMessageTyping = () => told.push('typing');
      chat.onMessageTypingStop = () => told.push('not typing');
      chat.onConnectionStateChange = ({ state }) => told.push(`connection ${state}`);
      chat.onStateChange = ({ state, status }) => told.push(`${state} ${status.code}`);
      globalThis.chat = chat;
      return chat;
    };
    chats.onIncomingChat = (chat) => {
      listen(chat);
      if (globalThis.waits) return;
      if (globalThis.declines) chat.decline(603);
      else chat.accept();
    };
    const files = new wsc.FileTransferPackage(session);
    const hashed = async (blob) => {
      const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
      return Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, '0')).join('');
    };
    files.onFileTransfer = (transfer) => {
      const [{ props }] = transfer.getFileConfigs();
      told.push(`offered by ${transfer.getInitiator()}: ${props.name}, ${props.size}`);
      if (transfer.isImageShare()) told.push(`shared by ${transfer.getInitiator()}: ${props.disposition}`);
      if (globalThis.declines) {
        transfer.decline(603);
        return;
      }
      const parts = [];
      transfer.onFileData = ({ content }) => parts.push(content);
      transfer.onFileTransferSuccess = async () => told.push(`file ${await hashed(new Blob(parts))}`);
      transfer.onFileTransferFailure = (id, status) => told.push(`file failed: ${status}`);
      transfer.accept();
    };
    /** Sends a file of so many octets; gives its hash, or why it failed. */
    const sendFile = (target, octets, transfer = files.createFileTransfer(target)) => new Promise((resolve) => {
      const content = Uint8Array.from({ length: octets }, (_, at) => (at * 7919) >> 3);
      const file = new File([content], 'beach "1".jpg', { type: 'image/jpeg' });
      let progress = 0;
      transfer.onProgress = ({ range }) => { progress = range.end; };
      transfer.onFileTransferSuccess = async () => resolve(progress === octets ? await hashed(file) : 'no progress');
      transfer.onFileTransferFailure = (id, status) => resolve(status);
      transfer.start({ file });
    });
    const shareImage = (target, octets) => sendFile(target, octets, files.createImageShare(target));
    const call = (target, first) => {
      const chat = listen(chats.createChat(target));
      globalThis.sent = chat.start(null, null, first);
    };
    const say = (text) => { globalThis.sent = globalThis.chat.send(text); };
    Object.assign(globalThis, { wsc, sendFile, shareImage, call, say, session, exchange, messaging, told });
    await session.connected;
  }, name);
  return {
    /** Closes session and page. */
    leave: async () => {
      await page.evaluate(() => globalThis.session.close());
      await context.close();
    },
    sendFile: (target, octets) => page.evaluate(([whom, size]) => globalThis.sendFile(whom, size), [target, octets]),
    /** Shares an image of so many octets; gives its hash, or why it failed. */
    shareImage: (target, octets) => page.evaluate(([whom, size]) => globalThis.shareImage(whom, size), [target, octets]),
    page,
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
