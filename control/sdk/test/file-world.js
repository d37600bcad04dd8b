// A page's file transfers in the tests: a session that is up, and what the server and the far end say in one.

import { beforeEach } from "node:test";
import { FileTransferPackage, Session, setLogLevel } from "../src/wsc.js";
import { Reader } from "../src/msrp/reader.js";
import { connectResponse, fakeWorld } from "./fake-world.js";

setLogLevel(10);
const encoder = new TextEncoder();
const PEER_PATH = "msrp://127.0.0.1:20010/s9f4;ws";
export const sdp = (direction, lines = []) => [
  "v=0", "o=- 7 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
  "m=message 20010 TCP/MSRP *", `a=path:${PEER_PATH}`, "a=ws-resource-path:/msrp/7f3c9a52e1",
  "a=setup:passive", "a=accept-types:*", `a=${direction}`, ...lines, "",
].join("\r\n");
// Of "abcde".
export const SHA_1 = "03:DE:6C:57:0B:FE:24:BF:C3:28:CC:D7:CA:46:B7:6E:AD:AF:43:34";
export const SELECTOR = `a=file-selector:name:"b%22e/../ach 1.jpg" type:image/jpeg size:5 hash:sha-1:${SHA_1}`;

// Made anew for each test.
export let world;
export let session;
export let files;
export let signal;
let sequence;

beforeEach(() => {
  world = fakeWorld();
  session = new Session("alice", "ws://localhost/ws/webrtc/demo");
  files = new FileTransferPackage(session);
  signal = world.socket;
  signal.opens();
  signal.receives(connectResponse());
  signal.take();
  sequence = 1;
});

export function fromServer(type, action, id, { control = {}, header = {}, payload } = {}) {
  sequence += 1;
  signal.receives({
    control: { type, package_type: "file_transfer", session_id: "b2f1", subsession_id: id, sequence, ...control },
    header: { action, initiator: "alice@localhost", target: "bob", ...header },
    payload,
  });
  world.tick();
}

/** Sets all callbacks; returns what they told. */
export function listen(transfer) {
  const told = [];
  transfer.onFileData = ({ range, content }) => told.push(["data", { ...range }, content.slice()]);
  transfer.onProgress = ({ range }) => told.push(["progress", range.end, range.total]);
  transfer.onFileTransferSuccess = (id) => told.push(["success", id]);
  transfer.onFileTransferFailure = (id, status, reason) => told.push(["failure", id, status, reason]);
  return told;
}

/** The media socket, bound. */
export function bound(localSdp) {
  const media = world.socket;
  const reader = new Reader(1 << 22);
  const localUri = /a=path:(\S+)/.exec(localSdp)[1];
  const take = () => media.take().flatMap((octets) => reader.push(octets));
  const respond = (frame, status = 200) => media.receives(
    `MSRP ${frame.tid} ${status} x\r\nTo-Path: ${localUri}\r\nFrom-Path: ${PEER_PATH}\r\n-------${frame.tid}$\r\n`,
  );
  let tids = 0;
  const chunk = (body, range, flag, id = "f1") => {
    tids += 1;
    media.receives(encoder.encode(
      `MSRP tid${tids}x SEND\r\nTo-Path: ${localUri}\r\nFrom-Path: ${PEER_PATH}\r\nMessage-ID: ${id}\r\n`
      + `Byte-Range: ${range}\r\nContent-Type: image/jpeg\r\n\r\n${body}\r\n-------tid${tids}x${flag}\r\n`,
    ));
    world.tick();
    return take().map(({ status }) => status);
  };
  media.opens();
  respond(take()[0]);
  world.tick();
  return { media, take, respond, chunk };
}

/** Starts a transfer of a file without hashes, and lets it be accepted. */
export function sending(blob, props) {
  const transfer = files.createFileTransfer("bob");
  transfer.setChunkSize(4);
  transfer.start({ file: blob, props: { hashes: [], ...props } });
  return accepted(transfer);
}

/** A transfer that was started is accepted, with these lines of its description or those that an answer must have. */
export function accepted(transfer, lines, direction) {
  const told = listen(transfer);
  const start = answered(transfer, lines, direction);
  return { transfer, told, start, ...bound(start.payload.sdp) };
}

/** The same, as far as the answer. */
export function answered(transfer, lines, direction = "recvonly") {
  const [start] = signal.take().filter(({ payload }) => payload?.sdp).slice(-1);
  const repeated = start.payload.sdp.split("\r\n").filter((line) => /^a=file-(selector|transfer-id|range):/.test(line));
  fromServer("response", "start", transfer.subSessionId, {
    control: { correlation_id: start.control.correlation_id, message_state: "final" },
    header: { response_code: 200 }, payload: { sdp: sdp(direction, lines ?? repeated) },
  });
  signal.take();
  return start;
}

/** A file that comes in is accepted. */
export function taking(transfer, config, id = "c3d1") {
  const told = listen(transfer);
  transfer.accept(config);
  const answer = signal.take().at(-1).payload.sdp;
  fromServer("message", "complete", id);
  return { told, answer, ...bound(answer) };
}

/** A file comes in. */
export function offered(lines = [SELECTOR, "a=file-transfer-id:t1"], direction = "sendonly", id = "c3d1", more = {}) {
  fromServer("request", "start", id, {
    control: { correlation_id: "s8", message_state: "initial" },
    header: { initiator: "bob@localhost", target: "alice@localhost" }, payload: { sdp: sdp(direction, lines), ...more },
  });
}

export const settle = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => { setImmediate(resolve); });
  world.tick();
};

