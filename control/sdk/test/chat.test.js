// A chat as signalling has it: called, calling, refused, ended.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Chat, ChatPackage, Session } from "../src/wsc.js";
import { CALL_EDGES, nextCallState } from "../src/call-state.js";
import { Reader } from "../src/msrp/reader.js";
import { connectResponse } from "./fake-world.js";
import {
  chats, established, fromServer, incoming, listen, open, PEER_PATH, SERVER_SDP, session, signal, world,
} from "./chat-world.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

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
    assert.deepEqual(told, ["STARTED", expected, ["failed", id, code]]);
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
  incoming({ header: { "x-app": "1", initiator_name: "Bob" } });
  const [[chat, headers, sentBefore]] = asked;
  assert.equal(sentBefore, 1);
  assert.deepEqual(headers, { "x-app": "1" });
  assert.equal(chat.getInitiator(), "bob@localhost");
  assert.equal(chat.getInitiatorName(), "Bob");
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
