// What is most easily got wrong about texts between pages and handsets: envelopes (RFC 3862), notes about messages
// (RFC 5438), typing (RFC 3994). Of groups the same is in group.test.js.

import assert from "node:assert/strict";
import { test } from "node:test";
import { unwrapCpim, wrapCpim } from "../src/cpim.js";
import { established, open, PEER_PATH, SERVER_SDP, world } from "./chat-world.js";

const ENVELOPES = SERVER_SDP.replace("a=accept-types:text/plain message/cpim", "a=accept-types:message/cpim")
  .replace("a=accept-wrapped-types:text/plain", "a=accept-wrapped-types:text/plain message/imdn+xml");
const decoder = new TextDecoder();
const read = (text) => unwrapCpim(new TextEncoder().encode(text.replaceAll("\n", "\r\n")));
const ASKS = "NS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: m1\nDateTime: 2024-05-01T10:00:00.000Z\n"
  + "imdn.Disposition-Notification: positive-delivery, display\n";

/** What a page in a chat of envelopes tells, and the bodies it sends. */
function chatting() {
  const all = open(ENVELOPES);
  all.chat.onMessageStatus = (id, status) => all.told.push([id, status]);
  const receive = (text, type = "message/cpim") => all.receive(text.replaceAll("\n", "\r\n"), type);
  const taken = () => all.take().filter(({ method }) => method === "SEND").map(({ body }) => decoder.decode(body));
  return { ...all, receive, taken };
}

test("in a chat of two the envelope names nobody; the signalling does", () => {
  const { chat, taken } = chatting();
  chat.send("Hi");
  assert.match(taken()[0], /^From: <sip:anonymous@anonymous\.invalid>\r\nTo: <sip:anonymous@anonymous\.invalid>\r\n/);
});

test("RFC 5438, 6.1: the prefix is what NS says; without NS it is imdn", () => {
  const named = "NS: cpm <http://www.openmobilealliance.org/cpm/>\ncpm.Payload-Type: text\nNS: foo <urn:ietf:params:imdn>\n";
  assert.equal(read(`${named}foo.Message-ID: m1\nimdn.Message-ID: other\n\nContent-Type: text/plain\n\nx`).messageId, "m1");
  assert.equal(read("imdn.Message-ID: m2\n\nContent-Type: text/plain\n\nx").messageId, "m2");
});

test("RFC 3862, 2.2: names in the envelope compare with case, names of MIME headers without", () => {
  const { contentType, dateTime, content } = read("DATETIME: x\nDateTime: y\n\nCONTENT-type: text/html\nContent-length: 1\n\n<b/>");
  assert.deepEqual([contentType, dateTime, decoder.decode(content)], ["text/html", "y", "<b/>"]);
});

test("RFC 3862, 4.7: what is required and not known refuses the message; what is only there does not", () => {
  const { told, receive, take } = chatting();
  receive("Require: MyFeature.VitalHeader\nNS: MyFeature <mid:x@id.foo.com>\n\nContent-Type: text/plain\n\nsecret");
  assert.equal(take()[0].status, 415);
  receive("Require: DateTime, imdn.Message-ID\nNS: imdn <urn:ietf:params:imdn>\nX.Odd: 1\n\nContent-Type: text/plain\n\nfine");
  world.tick();
  assert.deepEqual(told, [["message", "text/plain", "fine"]]);
});

test("content of blanks is content, and Content-Length does not say where it ends", () => {
  assert.equal(decoder.decode(read("From: <sip:a@x>\n\nContent-Type: text/plain\nContent-Length: 1\n\n   ").content), "   ");
});

test("a transfer encoding inside the envelope is taken off", () => {
  const { content } = read("From: <sip:a@x>\n\nContent-Transfer-Encoding: BASE64\n\naGV\nsbG8=");
  assert.equal(decoder.decode(content), "hello");
});

test("types compare without case, with and without blanks before parameters", () => {
  const { told, receive } = chatting();
  receive("From: <sip:a@x>\n\nContent-type: Text/Plain; charset=UTF-8\n\nHi", "Message/CPIM");
  world.tick();
  assert.deepEqual(told, [["message", "text/plain", "Hi"]]);
});

test("RFC 5438, 7.2.1: a note has a name of its own, asks for nothing, and there is one of a kind", () => {
  const { chat, receive, taken } = chatting();
  let message;
  chat.onChatMessage = (come) => { message = come; };
  receive(`${ASKS}\nContent-Type: text/plain\n\nHi`);
  world.tick();
  chat.displayed(message);
  chat.displayed(message);
  const [delivered, displayed, ...more] = taken();
  assert.deepEqual(more, []);
  for (const [note, word] of [[delivered, "delivered"], [displayed, "displayed"]]) {
    assert.match(note, /\r\nContent-Type: message\/imdn\+xml\r\nContent-Disposition: notification\r\n/);
    assert.match(note, new RegExp(`<message-id>m1</message-id>[^]*<${word}/>`));
    assert.doesNotMatch(note, /Disposition-Notification/);
    assert.notEqual(/imdn\.Message-ID: (\S+)/.exec(note)[1], "m1");
  }
});

test("RFC 5438, 7.2.1: a note goes back the way its message came", () => {
  const { receive, taken } = chatting();
  const routes = "imdn.Original-To: <sip:all@x>\nimdn.IMDN-Record-Route: Store <sip:a@x;lr>\nimdn.IMDN-Record-Route: <sip:b@x>";
  receive(`${ASKS.trimEnd()}\n${routes}\n\nContent-Type: text/plain\n\nHi`);
  world.tick();
  const [note] = taken();
  assert.match(note, /\r\nimdn\.IMDN-Route: <sip:a@x;lr>\r\nimdn\.IMDN-Route: <sip:b@x>\r\n\r\n/);
  assert.match(note, /<original-recipient-uri>sip:all@x<\/original-recipient-uri>/);
});

test("RFC 5438, 7.2.1: nothing is said about a note, whatever it asks for", () => {
  const { told, receive, taken } = chatting();
  const note = '<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>m9</message-id><datetime>x</datetime>'
    + "<display-notification><status><displayed/></status></display-notification></imdn>";
  receive(`${ASKS}\nContent-Type: message/imdn+xml\n\n${note}`);
  world.tick();
  assert.deepEqual(told, [["m9", "displayed"]]);
  assert.deepEqual(taken(), []);
});

test("what asks for notes is a note only by what is inside", () => {
  const { told, receive } = chatting();
  receive(`${ASKS}\nContent-Type: text/plain\n\n<imdn>`);
  world.tick();
  assert.deepEqual(told, [["message", "text/plain", "<imdn>"]]);
});

test("an answer of the next hop is no delivery", () => {
  const { chat, told, take, respond } = chatting();
  const id = chat.send("Hi");
  respond(take()[0]);
  world.tick();
  assert.deepEqual(told, [["sent", id]]);
});

test("typing asks for no note, and an unknown state means that nobody types", () => {
  const { chat, told, receive, taken } = chatting();
  chat.indicateTyping();
  assert.doesNotMatch(taken()[0], /imdn/);
  const types = (state) => receive('<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
    + `<state>${state}</state></isComposing>`, "application/im-iscomposing+xml");
  types("active");
  types("pondering");
  world.tick();
  assert.deepEqual(told, ["typing", "typing stopped"]);
});

test("RFC 4975, 13: an envelope is put around before the message is cut", () => {
  const octets = wrapCpim("text/plain", new TextEncoder().encode("x".repeat(2500)), new Date(0), null);
  assert.ok(octets.length < 3000);
  const { chat, take } = chatting();
  chat.send("x".repeat(2500));
  const chunks = take().map(({ body }) => decoder.decode(body));
  assert.equal(chunks.filter((chunk) => chunk.startsWith("From: ")).length, 1);
  assert.ok(chunks.slice(1).every((chunk) => /^x+$/.test(chunk)));
});

test("a note about what came before the connection was known to be up is sent then", () => {
  const { start } = established(ENVELOPES);
  const [, own] = /a=path:(\S+)/.exec(start.payload.sdp);
  const media = world.socket;
  media.opens();
  const written = () => media.take().map((octets) => decoder.decode(octets)).join("");
  const [, binding] = /^MSRP (\S+) SEND/.exec(written());
  const paths = `To-Path: ${own}\r\nFrom-Path: ${PEER_PATH}`;
  const body = `${ASKS}\nContent-Type: text/plain\n\nHi`.replaceAll("\n", "\r\n");
  media.receives(new TextEncoder().encode(`MSRP early1 SEND\r\n${paths}\r\nMessage-ID: in1\r\nByte-Range: 1-${body.length}/${body.length}\r\n`
    + `Content-Type: message/cpim\r\n\r\n${body}\r\n-------early1$\r\n`));
  world.tick();
  assert.doesNotMatch(written(), /delivered/);
  media.receives(new TextEncoder().encode(`MSRP ${binding} 200 OK\r\n${paths}\r\n-------${binding}$\r\n`));
  world.tick();
  assert.match(written(), /<delivered\/>/);
});
