// What goes through a chat, and its media when they are lost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader } from "../src/msrp/reader.js";
import { established, fromServer, open, PEER_PATH, SERVER_SDP, session, signal, world } from "./chat-world.js";

const decoder = new TextDecoder();

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

test("media that cannot be opened, however often it is tried, are an ERROR", () => {
  const { told } = established();
  for (let attempts = 0; attempts < 3; attempts += 1) {
    assert.deepEqual(told, []);
    world.socket.goes(1006);
    world.advance(600);
  }
  assert.deepEqual(told, ["connection ERROR"]);
});

test("a connection that breaks before it is up is made again at the same place", () => {
  const { told } = established();
  const { url } = world.socket;
  world.socket.goes(1006);
  world.advance(600);
  assert.equal(world.socket.url, url);
  world.socket.opens();
  const [bind] = world.socket.take();
  assert.match(decoder.decode(bind), /^MSRP \w+ SEND/);
  assert.deepEqual(told, []);
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
