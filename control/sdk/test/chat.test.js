import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import {
  Chat, ChatPackage, Session, setLogLevel,
} from "../src/wsc.js";
import { CALL_EDGES, nextCallState } from "../src/call-state.js";
import { Reader } from "../src/msrp/reader.js";
import { connectResponse, fakeWorld } from "./fake-world.js";

setLogLevel(10);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const PEER_PATH = "msrp://127.0.0.1:20010/s9f4;ws";
const SERVER_SDP = [
  "v=0", "o=- 7 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
  "m=message 20010 TCP/MSRP *", `a=path:${PEER_PATH}`, "a=ws-resource-path:/msrp/7f3c9a52e1",
  "a=setup:passive", "a=accept-types:text/plain message/cpim application/im-iscomposing+xml",
  "a=accept-wrapped-types:text/plain", "a=max-size:3000", "a=sendrecv", "",
].join("\r\n");

let world;
let session;
let chats;
let signal;

beforeEach(() => {
  world = fakeWorld();
  session = new Session("alice", "ws://localhost/ws/webrtc/demo");
  chats = new ChatPackage(session);
  signal = world.socket;
  signal.opens();
  signal.receives(connectResponse());
  signal.take();
});

/** Sets all callbacks of a chat; returns what they told. */
function listen(chat) {
  const told = [];
  chat.onStateChange = ({ state, status }) => told.push(status.code ? `${state} ${status.code}` : state);
  chat.onConnectionStateChange = ({ state }) => told.push(`connection ${state}`);
  chat.onChatMessage = ({ contentType, content }) => told.push(["message", contentType, content]);
  chat.onMessageSendSuccess = (id) => told.push(["sent", id]);
  chat.onMessageSendFailure = (id, status) => told.push(["failed", id, status]);
  chat.onMessageTyping = () => told.push("typing");
  chat.onMessageTypingStop = () => told.push("typing stopped");
  return told;
}

let serverSequence = 1;
beforeEach(() => {
  serverSequence = 1;
});

/** A frame of the server's about a chat. */
function fromServer(type, action, id, { control = {}, header = {}, payload } = {}) {
  serverSequence += 1;
  signal.receives({
    control: {
      type, package_type: "chat", session_id: "b2f1", subsession_id: id, sequence: serverSequence,
      ack_sequence: 2, version: "1.0", ...control,
    },
    header: { action, initiator: "alice@localhost", target: "bob", ...header },
    payload,
  });
}

/** Starts a chat and lets the server answer with its description. */
function established(sdp = SERVER_SDP) {
  const chat = chats.createChat("bob");
  const told = listen(chat);
  chat.start();
  const [start] = signal.take();
  fromServer("response", "start", chat.subSessionId, {
    control: { correlation_id: start.control.correlation_id, message_state: "final" },
    header: { response_code: 200 },
    payload: { sdp },
  });
  signal.take();
  told.splice(0);
  return { chat, told, start };
}

/** The same, with the MSRP connection up. */
function open(sdp = SERVER_SDP) {
  const all = established(sdp);
  const media = world.socket;
  const reader = new Reader(1 << 20);
  const localUri = /a=path:(\S+)/.exec(all.start.payload.sdp)[1];
  const take = () => media.take().flatMap((octets) => reader.push(octets));
  const respond = (frame, status = 200) => media.receives(
    `MSRP ${frame.tid} ${status} x\r\nTo-Path: ${localUri}\r\nFrom-Path: ${PEER_PATH}\r\n-------${frame.tid}$\r\n`,
  );
  let tids = 0;
  const receive = (body, contentType = "text/plain") => {
    tids += 1;
    media.receives(encoder.encode(
      `MSRP tid${tids}x SEND\r\nTo-Path: ${localUri}\r\nFrom-Path: ${PEER_PATH}\r\n`
      + `Message-ID: in${tids}\r\nByte-Range: 1-${encoder.encode(body).length}/*\r\n`
      + `Content-Type: ${contentType}\r\n\r\n${body}\r\n-------tid${tids}x$\r\n`,
    ));
  };
  media.opens();
  respond(take()[0]);
  all.told.splice(0);
  return { ...all, media, take, respond, receive };
}

/** An incoming chat. */
function incoming({ sdp = SERVER_SDP, header = {} } = {}) {
  fromServer("request", "start", "c3d1", {
    control: { correlation_id: "s8", message_state: "initial" },
    header: { initiator: "bob@localhost", target: "alice@localhost", ...header },
    payload: { sdp },
  });
}

test("an outgoing chat: start, ringing, answer, complete, MSRP, a message, the end", () => {
  const chat = chats.createChat(" bob ");
  chat.start(null, { "x-app": "7", target: "never" });
  const told = listen(chat);
  assert.deepEqual(told, [], "nothing is told in the task of the call");
  world.tick();
  assert.deepEqual(told, ["STARTED"]);
  const [start] = signal.take();
  const { sdp } = start.payload;
  assert.deepEqual(start.control, {
    type: "request", package_type: "chat", session_id: "b2f1", subsession_id: chat.subSessionId,
    sequence: 2, ack_sequence: 1, correlation_id: "c2", message_state: "initial", version: "1.0",
  });
  assert.deepEqual(start.header, {
    action: "start", initiator: "alice@localhost", target: "bob", "x-app": "7",
  });
  assert.match(sdp, /\r\nm=message 9 TCP\/MSRP \*\r\na=path:msrp:\/\/[a-z2-7]{12}\.invalid:2855\/[a-z2-7]{26};ws\r\n/);
  assert.match(sdp, /\r\na=setup:active\r\na=accept-types:text\/plain message\/cpim application\/im-iscomposing\+xml\r\n/);
  assert.match(sdp, /\r\na=max-size:65536\r\na=sendrecv\r\n$/);
  assert.deepEqual(chats.getChats(), [chat]);

  fromServer("response", "start", chat.subSessionId, {
    control: { correlation_id: "c2", message_state: "subsequent" }, header: { response_code: 180 },
  });
  fromServer("response", "start", chat.subSessionId, {
    control: { correlation_id: "c2", message_state: "final" }, header: { response_code: 200 },
    payload: { sdp: SERVER_SDP },
  });
  const [complete] = signal.take();
  assert.equal(complete.control.type, "message");
  assert.equal(complete.control.correlation_id, "c2");
  assert.deepEqual(complete.header, { action: "complete", initiator: "alice@localhost", target: "bob" });
  assert.deepEqual(told.splice(0), [
    "STARTED", "RESPONDED 180", "RESPONDED 200", "ESTABLISHED", "connection CONNECTING",
  ]);

  const media = world.socket;
  assert.equal(media.url, "ws://127.0.0.1:20010/msrp/7f3c9a52e1");
  assert.deepEqual(media.protocols, ["msrp"]);
  assert.equal(media.binaryType, "arraybuffer");
  const id = chat.send({ contentType: "text/plain", content: "grüße" });
  media.opens();
  const reader = new Reader(1 << 20);
  const [bind] = media.take().flatMap((octets) => reader.push(octets));
  const answer = (frame) => media.receives(encoder.encode(
    `MSRP ${frame.tid} 200 OK\r\nTo-Path: ${frame.fromPath[0]}\r\nFrom-Path: ${PEER_PATH}\r\n-------${frame.tid}$\r\n`,
  ));
  answer(bind);
  const [message] = media.take().flatMap((octets) => reader.push(octets));
  assert.equal(decoder.decode(message.body), "grüße");
  assert.equal(message.headers.get("message-id"), id);
  assert.equal(message.headers.get("content-type"), "text/plain");
  answer(message);
  assert.deepEqual(told.splice(0), ["connection OPEN", ["sent", id]]);

  chat.end();
  const [shutdown] = signal.take();
  assert.equal(shutdown.header.action, "shutdown");
  assert.equal(shutdown.control.type, "message");
  assert.equal(shutdown.control.correlation_id, `c${shutdown.control.sequence}`);
  assert.deepEqual(media.closed, { code: 1000, reason: "" });
  assert.deepEqual(told, []);
  world.tick();
  assert.deepEqual(told, ["ENDED", "connection CLOSED"]);
  assert.deepEqual(chats.getChats(), []);
});

test("a secure session makes secure media; setSecure overrides", () => {
  const secure = new Session("alice", "wss://localhost/ws/webrtc/demo");
  const secureChats = new ChatPackage(secure);
  world.socket.opens();
  world.socket.receives(connectResponse());
  world.socket.take();
  secureChats.createChat("bob").start();
  const [{ payload: { sdp } }] = world.socket.take();
  assert.match(sdp, /m=message 9 TCP\/TLS\/MSRP \*\r\na=path:msrps:\/\/[^\r]+;ws\r\n/);
  const plain = secureChats.createChat("bob");
  plain.setSecure(false);
  plain.start();
  assert.match(world.socket.take()[0].payload.sdp, /m=message 9 TCP\/MSRP \*\r\na=path:msrp:/);
});

test("the media socket follows the anchored description: scheme, port, resource path", () => {
  established(SERVER_SDP.replace("TCP/MSRP", "TCP/TLS/MSRP").replace(PEER_PATH, "msrps://me1.example.com:47112/s9f4;ws"));
  assert.equal(world.socket.url, "wss://me1.example.com:47112/msrp/7f3c9a52e1");
  established(SERVER_SDP.replace(PEER_PATH, "msrp://[::1]:47112/s9f4;wss"));
  assert.equal(world.socket.url, "wss://[::1]:47112/msrp/7f3c9a52e1");
});

test("an answer that cannot be used is completed, shut down, and fails the chat", () => {
  for (const sdp of [
    undefined, "", "v=0", SERVER_SDP.replace("message 20010", "message 0"),
    SERVER_SDP.replace(/a=path.*\r\n/, ""), SERVER_SDP.replace(/a=ws-resource-path.*\r\n/, ""),
    SERVER_SDP.replace("/msrp/7f", "http://evil/?"), SERVER_SDP.replace(";ws", ";tcp"),
    SERVER_SDP.replace("TCP/MSRP", "RTP/AVP"),
  ]) {
    const chat = chats.createChat("bob");
    const told = listen(chat);
    chat.start();
    const [start] = signal.take();
    fromServer("response", "start", chat.subSessionId, {
      control: { correlation_id: start.control.correlation_id, message_state: "final" },
      payload: { sdp },
    });
    assert.deepEqual(signal.take().map(({ header }) => header.action), ["complete", "shutdown"]);
    assert.equal(told.at(-1), "FAILED 488", JSON.stringify(sdp));
    assert.equal(world.sockets.length, 1);
  }
});

test("refusals: any code fails the chat, 487 ends it", () => {
  for (const [code, expected] of [[603, "FAILED 603"], [480, "FAILED 480"], [404, "FAILED 404"], [487, "ENDED 487"]]) {
    const chat = chats.createChat("bob");
    const told = listen(chat);
    chat.start();
    const id = chat.send("too early");
    const [start] = signal.take();
    fromServer("error", "start", chat.subSessionId, {
      control: { correlation_id: start.control.correlation_id }, header: { error_code: code, reason: "x" },
    });
    world.tick();
    assert.deepEqual(told, ["STARTED", expected, ["failed", id, 487]]);
    assert.equal(chat.getState().status.reason, "x");
    assert.deepEqual(chats.getChats(), []);
  }
});

test("an answer to another transaction is ignored", () => {
  const chat = chats.createChat("bob");
  chat.start();
  fromServer("error", "start", chat.subSessionId, {
    control: { correlation_id: "c99" }, header: { error_code: 603 },
  });
  assert.equal(chat.getState().state, "STARTED");
});

test("ending before the answer cancels with the start's correlation id", () => {
  const chat = chats.createChat("bob");
  const told = listen(chat);
  chat.start();
  const [start] = signal.take();
  chat.end();
  const [shutdown] = signal.take();
  assert.equal(shutdown.control.correlation_id, start.control.correlation_id);
  world.tick();
  assert.deepEqual(told, ["STARTED", "ENDED"]);
  chat.end();
  assert.deepEqual(signal.take(), []);
});

test("a chat ended before the session is up leaves no trace on the wire", () => {
  const early = new Session("alice", "ws://localhost/ws/webrtc/demo");
  const earlyChats = new ChatPackage(early);
  const chat = earlyChats.createChat("bob");
  chat.start();
  chat.end();
  const kept = earlyChats.createChat("carol");
  kept.start();
  world.socket.opens();
  world.socket.receives(connectResponse());
  const sent = world.socket.take();
  assert.deepEqual(sent.map(({ header }) => header.target), ["alice", "carol"]);
});

test("an incoming chat rings by itself before the application is asked", () => {
  const asked = [];
  chats.onIncomingChat = (chat, headers) => {
    asked.push([chat, headers, signal.sent.length]);
  };
  incoming({ header: { "x-app": "1" } });
  const [[chat, headers, sentBefore]] = asked;
  assert.equal(sentBefore, 1);
  assert.deepEqual(headers, { "x-app": "1" });
  assert.equal(chat.getInitiator(), "bob@localhost");
  assert.equal(chat.getTarget(), "alice@localhost");
  assert.equal(chat.getState().status.code, 180);
  const [ringing] = signal.take();
  assert.equal(ringing.control.type, "response");
  assert.equal(ringing.control.message_state, "subsequent");
  assert.equal(ringing.control.correlation_id, "s8");
  assert.equal(ringing.control.subsession_id, "c3d1");
  assert.equal(ringing.header.response_code, 180);

  const told = listen(chat);
  chat.accept();
  const [answer] = signal.take();
  assert.equal(answer.control.message_state, "final");
  assert.equal(answer.header.initiator, "bob@localhost", "parties are not swapped");
  assert.match(answer.payload.sdp, /m=message 9 TCP\/MSRP/);
  assert.throws(() => chat.accept(), /nothing to answer/);
  assert.equal(world.sockets.length, 1, "media wait for complete");
  fromServer("message", "complete", "c3d1", { control: { correlation_id: "s8" } });
  assert.deepEqual(told, ["RESPONDED 200", "ESTABLISHED", "connection CONNECTING"]);
  assert.equal(world.socket.url, "ws://127.0.0.1:20010/msrp/7f3c9a52e1");
});

test("an incoming chat may be declined, with a code", () => {
  chats.onIncomingChat = (chat) => chat.decline(486, "Busy", { "x-app": 1 });
  incoming();
  const [, error] = signal.take();
  assert.equal(error.control.type, "error");
  assert.equal(error.control.correlation_id, "s8");
  assert.deepEqual(error.header, {
    action: "start", initiator: "bob@localhost", target: "alice@localhost", error_code: 486,
    reason: "Busy", "x-app": 1,
  });
  assert.deepEqual(chats.getChats(), []);
});

test("the default refusal is 603; end() on a ringing chat refuses it too", () => {
  for (const method of ["decline", "end"]) {
    chats.onIncomingChat = (chat) => chat[method]();
    incoming();
    assert.equal(signal.take().at(-1).header.error_code, 603);
  }
});

test("an incoming chat that is taken back ends", () => {
  let told;
  chats.onIncomingChat = (chat) => {
    told = listen(chat);
  };
  incoming();
  fromServer("message", "shutdown", "c3d1", { control: { correlation_id: "s8" } });
  assert.deepEqual(told, ["ENDED"]);
  assert.equal(signal.take().length, 1, "only the ringing went out");
});

test("an incoming chat without usable media is refused with 488, nobody is asked", () => {
  chats.onIncomingChat = () => assert.fail("asked");
  incoming({ sdp: "v=0" });
  const [error] = signal.take();
  assert.equal(error.header.error_code, 488);
});

test("with nobody to ask an incoming chat gets 480", () => {
  incoming();
  assert.equal(signal.take().at(-1).header.error_code, 480);
});

test("frames of unknown chats: requests get 481, the rest is ignored", () => {
  fromServer("request", "prack", "zzz");
  fromServer("message", "shutdown", "zzz");
  fromServer("response", "start", "zzz");
  const sent = signal.take();
  assert.equal(sent.length, 1);
  assert.equal(sent[0].header.error_code, 481);
});

test("a refresh in a chat gets the same answer; a change is refused", () => {
  const { chat, start } = established();
  const renew = (sdp) => fromServer("request", "start", chat.subSessionId, {
    control: { correlation_id: "s20", message_state: "subsequent" }, payload: { sdp },
  });
  renew(SERVER_SDP);
  const [same] = signal.take();
  assert.equal(same.header.response_code, 200);
  assert.equal(same.payload.sdp, start.payload.sdp);
  fromServer("message", "complete", chat.subSessionId, { control: { correlation_id: "s20" } });
  renew(SERVER_SDP.replace("s9f4", "other"));
  assert.equal(signal.take()[0].header.error_code, 488);
  assert.equal(chat.getState().state, "ESTABLISHED");
});

test("the far end's shutdown ends the chat, and what was under way comes first", () => {
  const { chat, told, media, receive } = open();
  fromServer("message", "shutdown", chat.subSessionId);
  receive("a last word");
  assert.deepEqual(told.splice(0), [["message", "text/plain", "a last word"]]);
  media.goes(1000);
  assert.deepEqual(told, ["ENDED", "connection CLOSED"]);
});

test("a relay that does not close the media does not keep an ended chat up", () => {
  const { chat, told, media } = open();
  fromServer("message", "shutdown", chat.subSessionId);
  world.advance(1000);
  assert.deepEqual(told, ["ENDED", "connection CLOSED"]);
  assert.equal(media.closed.code, 1000);
});

/** The server's description with another way in. */
const NEW_PATH = "msrp://127.0.0.1:20077/n3w5;ws";
const NEW_WAY = SERVER_SDP.replace(PEER_PATH, NEW_PATH).replace("/msrp/7f3c9a52e1", "/msrp/again");

test("lost media come back by a new way in; what was not answered is sent again, once", () => {
  const { chat, told, media, take, respond, start } = open();
  const [one, two] = [chat.send("one"), chat.send("two")];
  respond(take()[0]);
  media.goes(1006);
  const three = chat.send("three");
  assert.deepEqual(told.splice(0), [["sent", one], "connection CONNECTING"]);
  fromServer("message", "rebind", chat.subSessionId, { payload: { sdp: NEW_WAY } });
  const again = world.socket;
  assert.equal(again.url, "ws://127.0.0.1:20077/msrp/again");
  again.opens();
  const reader = new Reader(1 << 20);
  const localUri = /a=path:(\S+)/.exec(start.payload.sdp)[1];
  const sent = () => again.take().flatMap((octets) => reader.push(octets));
  const [bind] = sent();
  assert.deepEqual([bind.toPath, bind.fromPath, bind.body], [[NEW_PATH], [localUri], null]);
  const answer = (frame) => again.receives(
    `MSRP ${frame.tid} 200 x\r\nTo-Path: ${localUri}\r\nFrom-Path: ${NEW_PATH}\r\n-------${frame.tid}$\r\n`,
  );
  answer(bind);
  const frames = sent();
  assert.deepEqual(frames.map(({ body }) => decoder.decode(body)), ["two", "three"]);
  assert.equal(frames[0].headers.get("message-id"), two, "under its id");
  frames.forEach(answer);
  assert.deepEqual(told, ["connection OPEN", ["sent", two], ["sent", three]]);
  world.advance(120_000);
  assert.deepEqual(signal.take().filter((frame) => frame.header?.action === "rebind"), []);
});

test("a new way in is asked for while the session is up, again and again, and not for ever", () => {
  const asked = () => signal.take().filter((frame) => frame.header?.action === "rebind");
  const { chat, told, media } = open();
  const id = chat.send("x");
  media.goes(1001);
  world.advance(499);
  assert.deepEqual(asked(), [], "the server may say it by itself");
  world.advance(501);
  const [frame] = asked();
  assert.deepEqual(
    [frame.control.type, frame.control.subsession_id, frame.header.target],
    ["message", chat.subSessionId, "bob"],
  );
  // A way in that leads nowhere.
  fromServer("message", "rebind", chat.subSessionId, { payload: { sdp: NEW_WAY } });
  world.socket.goes(1006);
  world.advance(3000);
  assert.equal(asked().length, 1);
  signal.goes(1006);
  told.splice(0);
  world.advance(56_000);
  assert.deepEqual(told, [["failed", id, 481], "connection ERROR"]);
  assert.equal(chat.getState().state, "ESTABLISHED");
});

test("what the server says replaces a connection that seems to be up, unless it is unusable", () => {
  const { chat, told, media } = open();
  fromServer("message", "rebind", chat.subSessionId, { payload: { sdp: "v=0" } });
  assert.equal(world.socket, media);
  fromServer("message", "rebind", chat.subSessionId, { payload: { sdp: NEW_WAY } });
  assert.deepEqual(media.closed, { code: 4001, reason: "" });
  assert.deepEqual(told, ["connection CONNECTING"]);
});

test("media that the relay closes in order are CLOSED", () => {
  const { chat, told, media } = open();
  media.goes(1000);
  assert.deepEqual(told, ["connection CLOSED"]);
  const late = chat.send("y");
  world.tick();
  assert.deepEqual(told.at(-1), ["failed", late, 481]);
});

test("media that cannot be opened are an ERROR", () => {
  const { told } = established();
  world.socket.goes(1006);
  assert.deepEqual(told, ["connection ERROR"]);
});

test("texts come in, plain or in an envelope, and are answered", () => {
  const { told, receive, take } = open();
  receive("hello");
  receive(
    "From: <sip:anonymous@anonymous.invalid>\r\nTo: <sip:x>\r\nDateTime: 2024-05-01T10:00:00Z\r\n\r\n"
    + "Content-type: text/plain;charset=UTF-8\r\n\r\ngrüße\r\n\r\nzwei", "message/CPIM",
  );
  receive("From: <sip:x>\n\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGk=", "message/cpim");
  assert.deepEqual(told, [
    ["message", "text/plain", "hello"], ["message", "text/plain", "grüße\r\n\r\nzwei"],
    ["message", "text/plain", "hi"],
  ]);
  receive("From: <sip:x>\r\n\r\nContent-Type: image/png\r\n\r\nx", "message/cpim");
  receive("no envelope", "message/cpim");
  assert.deepEqual(take().map(({ status }) => status), [200, 200, 200, 415, 400]);
});

test("a side that prefers envelopes gets its texts in them", () => {
  const sdp = SERVER_SDP.replace("text/plain message/cpim", "message/cpim");
  const { chat, take, respond, told } = open(sdp);
  const id = chat.send("hi");
  const [frame] = take();
  assert.equal(frame.headers.get("content-type"), "message/cpim");
  assert.match(decoder.decode(frame.body), /^From: <sip:anonymous@anonymous.invalid>\r\nTo: [^\r]+\r\nDateTime: [^\r]+\r\n\r\nContent-Type: text\/plain;charset=UTF-8\r\nContent-Length: 2\r\n\r\nhi$/);
  respond(frame);
  assert.deepEqual(told, [["sent", id]]);
});

test("what the other side does not take fails here: type, size", () => {
  const { chat, told, take } = open();
  const type = chat.send({ contentType: "image/png", content: Uint8Array.of(1) });
  const size = chat.send("x".repeat(3001));
  assert.deepEqual(told, []);
  world.tick();
  assert.deepEqual(told, [["failed", type, 415], ["failed", size, 413]]);
  assert.deepEqual(take(), []);
  assert.throws(() => chat.send({ content: 7 }), TypeError);
  assert.throws(() => chat.send({ contentType: "a\r\nX: b", content: "" }), TypeError);
});

test("sent() settles with the message's fate", async () => {
  const { chat, take, respond } = open();
  const good = chat.send("a");
  const bad = chat.send("b");
  const [one, two] = take();
  const early = chat.sent(good);
  respond(one);
  respond(two, 413);
  await early;
  await chat.sent(good);
  await assert.rejects(chat.sent(bad), { code: 413 });
  await assert.rejects(chat.sent("unknown"), { code: 404 });
});

test("typing is told once, taken back after 15 s, and forgotten with the message", () => {
  const { chat, take, respond } = open();
  const notes = () => take().map((frame) => {
    respond(frame);
    return /<state>(\w+)</.exec(decoder.decode(frame.body))?.[1] ?? decoder.decode(frame.body);
  });
  chat.indicateTyping();
  chat.indicateTyping();
  assert.deepEqual(notes(), ["active"]);
  world.advance(15000);
  assert.deepEqual(notes(), ["idle"]);
  chat.indicateTyping(true);
  chat.send("text");
  assert.deepEqual(notes(), ["active", "text"]);
  world.advance(20000);
  assert.deepEqual(notes(), []);
  chat.indicateTyping(true);
  chat.indicateTyping(false);
  chat.indicateTyping(false);
  assert.deepEqual(notes(), ["active", "idle"]);
});

test("notes about typing that fail are nobody's business; 415 stops them", () => {
  const { chat, take, respond, told } = open();
  chat.indicateTyping();
  respond(take()[0], 415);
  chat.indicateTyping(false);
  chat.indicateTyping(true);
  assert.deepEqual(take(), []);
  assert.deepEqual(told, []);
});

test("a side that did not offer the type gets no notes", () => {
  const { chat, take } = open(SERVER_SDP.replace(" application/im-iscomposing+xml", ""));
  chat.indicateTyping();
  assert.deepEqual(take(), []);
});

test("the other side's typing: started, ended by note, message or time", () => {
  const { told, receive } = open();
  const type = "application/im-iscomposing+xml";
  const note = (state, more = "") =>
    receive(`<?xml version="1.0"?><isComposing xmlns="urn:x"><state>${state}</state>${more}</isComposing>`, type);
  note("active");
  note("active");
  note("idle");
  note("active");
  receive("text");
  note("active", "<refresh>60</refresh>");
  world.advance(59000);
  assert.equal(told.at(-1), "typing");
  world.advance(1000);
  assert.deepEqual(told, [
    "typing", "typing stopped", "typing", "typing stopped", ["message", "text/plain", "text"],
    "typing", "typing stopped",
  ]);
});

test("a subclass made by prepareChat is used, its methods are the callbacks", () => {
  const got = [];
  class MyChat extends Chat {
    onStateChange({ state }) {
      got.push(state);
    }
  }
  chats.prepareChat = (owner, callee) => new MyChat(owner, callee);
  const chat = chats.createChat("bob");
  assert.ok(chat instanceof MyChat);
  chat.start();
  world.tick();
  assert.deepEqual(got, ["STARTED"]);
});

test("the end of the session ends its chats without a word", () => {
  const { told, media } = open();
  session.close();
  assert.deepEqual(signal.take(), []);
  assert.equal(media.closed.code, 1000);
  world.tick();
  assert.deepEqual(told, ["ENDED 1001", "connection CLOSED"]);
  assert.equal(world.timers.length, 0);
});

test("chats live on while the session reconnects", () => {
  const { chat, told, take, respond } = open();
  signal.goes(1006);
  const id = chat.send("still here");
  respond(take()[0]);
  assert.deepEqual(told, [["sent", id]]);
  assert.equal(chat.getState().state, "ESTABLISHED");
});

test("misuse throws", () => {
  assert.throws(() => chats.createChat(" "));
  const chat = chats.createChat("bob");
  assert.throws(() => chat.send("x"), /not started/);
  assert.throws(() => chat.accept(), /nothing to answer/);
  assert.throws(() => chat.decline(), /nothing to answer/);
  chat.start();
  assert.throws(() => chat.start(), /started already/);
  assert.throws(() => chat.setSecure(true), /started already/);
});

test("every edge of the chat's table leads to a known state; final states stay", () => {
  const events = ["started", "responded", "completed", "refused", "ended"];
  for (const [state, edges] of Object.entries(CALL_EDGES)) {
    for (const event of events) {
      const next = nextCallState(state, event);
      assert.equal(next, edges[event] ?? null);
      if (next !== null) assert.ok(Object.hasOwn(CALL_EDGES, next));
    }
  }
  assert.equal(nextCallState("FAILED", "ended"), null);
  assert.equal(nextCallState("ENDED", "started"), null);
});

const CPIM_SDP = SERVER_SDP
  .replace("a=accept-types:text/plain message/cpim", "a=accept-types:message/cpim")
  .replace("a=accept-wrapped-types:text/plain", "a=accept-wrapped-types:text/plain message/imdn+xml");
const bodyOf = ({ body }) => decoder.decode(body);

/** An IMDN of the other side's, in its envelope. */
function notification(id, status) {
  return `From: <sip:a@b>\r\nTo: <sip:a@b>\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n`
    + `<x:imdn xmlns:x="urn:ietf:params:xml:ns:imdn"><x:message-id>${id}</x:message-id>`
    + `<x:delivery-notification><x:status><x:${status}/></x:status></x:delivery-notification></x:imdn>`;
}

test("a message in an envelope asks what becomes of it, and is told in band (RFC 5438)", () => {
  const { chat, take, respond, receive } = open(CPIM_SDP);
  const statuses = [];
  chat.onMessageStatus = (id, status) => statuses.push([id, status]);
  const id = chat.send("Hello");
  const [sent] = take();
  assert.ok(bodyOf(sent).includes(`imdn.Message-ID: ${id}\r\n`));
  assert.match(bodyOf(sent), /imdn\.Disposition-Notification: positive-delivery, display\r\n/);
  respond(sent);
  for (const status of ["delivered", "displayed"]) receive(notification(id, status), "message/cpim");
  world.tick();
  assert.deepEqual(statuses, [[id, "delivered"], [id, "displayed"]]);
});

test("who asks is told at once that a message is there, and once that it was seen", () => {
  const { chat, told, take, receive } = open(CPIM_SDP);
  const seen = [];
  chat.onChatMessage = (message) => seen.push(message);
  const envelope = (wanted, id) => `From: <sip:a@b>\r\nTo: <sip:a@b>\r\nNS: odd <urn:ietf:params:imdn>\r\n`
    + `odd.Message-ID: ${id}\r\nDateTime: 2024-05-01T10:00:00Z\r\n${wanted}\r\n`
    + "Content-type: text/plain; charset=utf-8\r\n\r\nHi";
  receive(envelope("odd.Disposition-Notification: Positive-Delivery ,display\r\n", "m&1"), "Message/CPIM");
  world.tick();
  assert.deepEqual(seen.map(({ content }) => content), ["Hi"]);
  const bodies = () => take().filter(({ body }) => body).map(bodyOf).filter((body) => body.includes("imdn+xml"));
  const [note] = bodies();
  assert.match(note, /<message-id>m&amp;1<\/message-id>[^]*<delivery-notification><status><delivered\/>/);
  assert.match(note, /Content-Disposition: notification/);
  // Never a notification for a notification: RFC 5438, 7.2.1.
  assert.doesNotMatch(note, /Disposition-Notification/);
  for (let time = 0; time < 2; time += 1) chat.displayed(seen[0]);
  const notes = bodies();
  assert.deepEqual([notes.length, /<display-notification><status><displayed\/>/.test(notes[0])], [1, true]);
  // Who has not asked is told nothing.
  receive(envelope("", "m2"), "message/cpim");
  world.tick();
  chat.displayed(seen[1]);
  assert.deepEqual([bodies(), told.filter(([what]) => what === "sent")], [[], []]);
});
