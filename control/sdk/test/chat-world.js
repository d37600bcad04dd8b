// A page's chat in the tests: a session that is up, and what the server and the far end say in it.

import { beforeEach } from "node:test";
import { ChatPackage, Session, setLogLevel } from "../src/wsc.js";
import { Reader } from "../src/msrp/reader.js";
import { connectResponse, fakeWorld } from "./fake-world.js";

setLogLevel(10);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const PEER_PATH = "msrp://127.0.0.1:20010/s9f4;ws";
export const SERVER_SDP = [
  "v=0", "o=- 7 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
  "m=message 20010 TCP/MSRP *", `a=path:${PEER_PATH}`, "a=ws-resource-path:/msrp/7f3c9a52e1",
  "a=setup:passive", "a=accept-types:text/plain message/cpim application/im-iscomposing+xml",
  "a=accept-wrapped-types:text/plain", "a=max-size:3000", "a=sendrecv", "",
].join("\r\n");

// Made anew for each test.
export let world;
export let session;
export let chats;
export let signal;

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
export function listen(chat) {
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
export function fromServer(type, action, id, { control = {}, header = {}, payload } = {}) {
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
export function established(sdp = SERVER_SDP, make = () => chats.createChat("bob"), header = {}) {
  const chat = make();
  const told = listen(chat);
  chat.start();
  const [start] = signal.take();
  fromServer("response", "start", chat.subSessionId, {
    control: { correlation_id: start.control.correlation_id, message_state: "final" },
    header: { response_code: 200, ...header },
    payload: { sdp },
  });
  signal.take();
  told.splice(0);
  return { chat, told, start };
}

/** The same, with the MSRP connection up. */
export function open(sdp, make, header) {
  const all = established(sdp, make, header);
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
export function incoming({ sdp = SERVER_SDP, header = {}, payload = {}, id = "c3d1", correlation = "s8" } = {}) {
  fromServer("request", "start", id, {
    control: { correlation_id: correlation, message_state: "initial" },
    header: { initiator: "bob@localhost", target: "alice@localhost", ...header },
    payload: { sdp, ...payload },
  });
}

/** The MSRP connection comes up; `payload` has our description. Speaks for the other side of it. */
export function bound({ payload }) {
  const media = world.socket;
  const [, own] = /a=path:(\S+)/.exec(payload.sdp);
  const paths = `To-Path: ${own}\r\nFrom-Path: ${PEER_PATH}`;
  const text = () => media.take().map((octets) => decoder.decode(octets)).join("");
  const respond = (tid) => media.receives(`MSRP ${tid} 200 OK\r\n${paths}\r\n-------${tid}$\r\n`);
  let sent = 0;
  const send = (body, contentType = "message/cpim") => {
    sent += 1;
    media.receives(encoder.encode(`MSRP peer${sent}x SEND\r\n${paths}\r\nMessage-ID: in${sent}\r\n`
      + `Content-Type: ${contentType}\r\n\r\n${body}\r\n-------peer${sent}x$\r\n`));
  };
  media.opens();
  respond(/^MSRP (\S+) SEND/.exec(text())[1]);
  return { text, respond, send };
}
