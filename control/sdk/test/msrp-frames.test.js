import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestWriter, readByteRange, writeResponse } from "../src/msrp/frame.js";
import { FramingLost, Reader } from "../src/msrp/reader.js";
import { readUri, sameUri } from "../src/msrp/uri.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const OURS = "msrp://x7.invalid:2855/own;ws";
const THEIRS = "msrp://media.example.com:40001/Ab3d;ws";

/** A request as text; body null: none. */
function request(body, { tid = "t4Kz81Qm", flag = "$", method = "SEND", more = "" } = {}) {
  const head = `MSRP ${tid} ${method}\r\nTo-Path: ${OURS}\r\nFrom-Path: ${THEIRS}\r\n`
    + `Message-ID: Mx77\r\n${more}`;
  return body === null
    ? `${head}-------${tid}${flag}\r\n`
    : `${head}Content-Type: text/plain\r\n\r\n${body}\r\n-------${tid}${flag}\r\n`;
}

/** What a reader makes of the pieces. */
function read(...pieces) {
  const reader = new Reader(1 << 20);
  return pieces.flatMap((piece) =>
    reader.push(typeof piece === "string" ? encoder.encode(piece) : piece));
}

function bodies(frames) {
  return frames.map(({ body }) => (body === null ? null : decoder.decode(body)));
}

const NEAR_MISSES = [
  "\r\n-------t4Kz81Qmx",
  "\r\n-------t4Kz81Qm$x\r\n",
  "ends in a CR\r",
  "ends in a line break\r\n",
  "dashes\r\n-------",
  "an unfinished end-line\r\n-------t4Kz81Qm",
  "a foreign one\r\n-------other$\r\nMSRP other SEND\r\n\r\n",
  "not at a line's start -------t4Kz81Qm$\r\n",
  "bare\r-------t4Kz81Qm$\r\nand\n-------t4Kz81Qm$\r\n",
  "an illegal flag\r\n-------t4Kz81Qm*\r\n",
  "\u0000",
  "\r\n\r\r\n-------\r\n",
  "grüße 🌉",
];

test("a body is what stands before the end-line, whatever it resembles", () => {
  for (const body of NEAR_MISSES) {
    const frames = read(request(body));
    assert.deepEqual(bodies(frames), [body], JSON.stringify(body));
    assert.equal(frames[0].fault, "");
  }
});

test("every split of the octets gives the same frames", () => {
  for (const body of NEAR_MISSES) {
    const octets = encoder.encode(request(body) + request(null));
    for (let at = 0; at <= octets.length; at += 1) {
      const frames = read(octets.slice(0, at), octets.slice(at));
      assert.deepEqual(bodies(frames), [body, null], `split at ${at}`);
    }
    assert.deepEqual(bodies(read(...Array.from(octets, (octet) => Uint8Array.of(octet)))), [body, null]);
  }
});

test("rfc7977 5.1: a message of a WebSocket is one frame, and where it is not, what it holds is found all the same", () => {
  const whole = (text) => new Reader(1 << 20).push(encoder.encode(text), true);
  for (const body of [...NEAR_MISSES, ""]) assert.deepEqual(bodies(whole(request(body))), [body], JSON.stringify(body));
  assert.deepEqual(bodies(whole(request(null))), [null]);
  assert.deepEqual(bodies(whole(request("one") + request("two", { tid: "other" }))), ["one", "two"]);
  const reader = new Reader(1 << 20);
  const octets = encoder.encode(request("one"));
  assert.deepEqual(reader.push(octets.subarray(0, -20), true), []);
  assert.deepEqual(bodies(reader.push(octets.subarray(-20), true)), ["one"]);
  // Its end-line stands in it: then it can't have come over a relay, which has searched it.
  const body = "x\r\n-------t4Kz81Qm$\r\ny";
  assert.deepEqual(bodies(whole(request(body))), [body]);
});

test("an empty body may be written in two ways, and differs from none", () => {
  const twoLines = request("");
  const oneLine = twoLines.replace("\r\n\r\n\r\n", "\r\n\r\n");
  assert.notEqual(oneLine, twoLines);
  assert.deepEqual(bodies(read(twoLines, oneLine, request(null))), ["", "", null]);
});

test("flags, ids with every character, odd case and blanks", () => {
  for (const flag of ["$", "+", "#"]) assert.equal(read(request("x", { flag }))[0].flag, flag);
  for (const tid of ["a.-+", "1%=z", "a".repeat(64)]) assert.equal(read(request("x", { tid }))[0].tid, tid);
  const [frame] = read(request("x").replace("Message-ID: ", "message-id:  "));
  assert.equal(frame.headers.get("message-id"), "Mx77");
});

test("a response is read with its status and comment", () => {
  const [frame] = read(`MSRP u9Lw52Rd 481 Far leg lost\r\nTo-Path: ${OURS}\r\nFrom-Path: ${THEIRS}\r\n-------u9Lw52Rd$\r\n`);
  assert.deepEqual([frame.method, frame.status, frame.comment], ["", 481, "Far leg lost"]);
});

test("what can be framed but not understood has a fault", () => {
  for (const text of [
    request("x").replace("To-Path", "From-Path"),
    request("x").replace(/To-Path.*\r\n/, ""),
    request("x").replace("Message-ID: Mx77", "no colon"),
    request("x").replace("Content-Type: text/plain\r\n", ""),
    request(null, { more: "Content-Type: text/plain\r\n" }),
    request("x", { more: "X-A: 1\r\n".repeat(70) }),
    request("x").replace(OURS, Array(9).fill(OURS).join(" ")),
  ]) {
    const [frame] = read(text);
    assert.notEqual(frame.fault, "", text);
    assert.equal(frame.tid, "t4Kz81Qm");
  }
});

test("what is no MSRP, or has no bounds, loses the framing", () => {
  for (const text of [
    "GET / HTTP/1.1\r\n", "MSRP \r\n", "msrp a SEND\r\n", "MSRP a send\r\n", "MSRP a 20\r\n",
    `MSRP abcd SEND\r\nX: ${"a".repeat(9000)}`, `MSRP abcd SEND\r\n${"X: a\r\n".repeat(4000)}`,
  ]) {
    assert.throws(() => read(text), FramingLost, text.slice(0, 30));
  }
  const reader = new Reader(1000);
  assert.throws(() => reader.push(encoder.encode(request("x".repeat(2000)).slice(0, 1500))), FramingLost);
});

test("what is written can be read", () => {
  const writer = new RequestWriter();
  // A longer one before it, in the same place.
  writer.write({
    tid: "long1234", method: "SEND", toPath: [THEIRS], fromPath: OURS, headers: [["X", "ü".repeat(3000)]],
    contentType: "a/b", body: new Uint8Array(9000), flag: "$",
  });
  const octets = writer.write({
    tid: "abcd1234", method: "SEND", toPath: [THEIRS, "msrp://far.example.com:1/x;tcp"],
    fromPath: OURS, headers: [["Message-ID", "m1"], ["Byte-Range", "1-3/3"]],
    contentType: "application/octet-stream", body: Uint8Array.of(0, 255, 13), flag: "+",
  });
  const [frame] = read(octets);
  assert.equal(frame.fault, "");
  assert.deepEqual(frame.toPath, [THEIRS, "msrp://far.example.com:1/x;tcp"]);
  assert.deepEqual([...frame.body], [0, 255, 13]);
  assert.equal(frame.flag, "+");
});

test("rfc4975 7.2: a SEND is answered to the next hop, other requests along the whole path", () => {
  const two = `${THEIRS} msrp://far.example.com:1/x;tcp`;
  for (const [method, expected] of [["SEND", THEIRS], ["NICKNAME", two]]) {
    const [frame] = read(request(null, { method }).replace(THEIRS, two));
    assert.equal(
      decoder.decode(writeResponse(frame, 200, "OK", OURS)),
      `MSRP t4Kz81Qm 200 OK\r\nTo-Path: ${expected}\r\nFrom-Path: ${OURS}\r\n-------t4Kz81Qm$\r\n`,
    );
  }
});

test("byte ranges, good and bad", () => {
  assert.deepEqual(readByteRange("1-25/25"), { start: 1, end: 25, total: 25 });
  assert.deepEqual(readByteRange("2049-*/*"), { start: 2049, end: null, total: null });
  assert.deepEqual(readByteRange("1-0/0"), { start: 1, end: 0, total: 0 });
  assert.deepEqual(readByteRange(undefined), { start: 1, end: null, total: null });
  for (const bad of ["0-1/1", "3-1/5", "1-6/5", "9-9/5", "1-2", "a-b/c", "1-2/3 ", `1-2/${"9".repeat(20)}`, ""]) {
    assert.equal(readByteRange(bad), null, bad);
  }
});

test("rfc4975 6.1: which URIs are the same", () => {
  const base = "msrps://media.example.com:40001/Ab3d;ws";
  for (const same of [
    "MSRPS://MEDIA.example.com:40001/Ab3d;WS", "msrps://user@media.example.com:40001/Ab3d;ws;x=1",
  ]) assert.ok(sameUri(base, same), same);
  for (const other of [
    "msrp://media.example.com:40001/Ab3d;ws", "msrps://media.example.com/Ab3d;ws",
    "msrps://media.example.com:40001/ab3d;ws", "msrps://media.example.com:40001/Ab3d;tcp",
    "msrps://media.example.com:40001;ws", "nonsense",
  ]) assert.ok(!sameUri(base, other), other);
  assert.deepEqual(readUri("msrp://[2001:DB8::1]:2855/a/b+c=;tcp"), {
    scheme: "msrp", host: "[2001:db8::1]", port: "2855", sessionId: "a/b+c=", transport: "tcp",
  });
});
