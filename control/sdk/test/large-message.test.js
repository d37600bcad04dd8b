// Texts that are too long for a MESSAGE: each has a session of its own, of which pages see nothing.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { MessagingPackage } from "../src/wsc.js";
import { bound, fromServer, SERVER_SDP, session, signal, world } from "./chat-world.js";

const LONG = `${"long ".repeat(300)}end`;
let messaging;
let told;

beforeEach(() => {
  messaging = new MessagingPackage(session).createMessaging();
  told = [];
  messaging.onSuccessResponse = ({ msgId }) => told.push(["ok", msgId]);
  messaging.onErrorResponse = ({ msgId }, code, reason) => told.push([code, reason, msgId]);
  messaging.onMessageStatus = (msgId, status) => told.push([status, msgId]);
});

const about = (package_type, control) => ({ control: { package_type, ...control } });

/** Sends the long text; the network answers its session so. */
function sending(type, header, payload) {
  const id = messaging.send(LONG, "bob", { subject: "Hike" });
  const [start] = signal.take();
  fromServer(type, "start", id, {
    control: { package_type: "messaging", correlation_id: start.control.correlation_id, message_state: "final" },
    header, payload,
  });
  return { id, start };
}

const bodies = (text) => [...text.matchAll(/\r\nContent-Type: ([^\r]*)\r\n\r\n/g)].map(([, type]) => type);

test("CPM's large mode: a session that sends one text in an envelope, and ends", () => {
  const { id, start } = sending("response", { response_code: 200 }, { sdp: SERVER_SDP });
  assert.deepEqual([start.control.package_type, start.control.subsession_id], ["messaging", id]);
  assert.deepEqual([start.header.action, start.header.target, start.header.subject], ["start", "bob", "Hike"]);
  assert.match(start.payload.sdp, /\r\na=accept-types:message\/cpim text\/plain[^]*\r\na=sendonly\r\n/);
  signal.take();
  assert.equal(messaging.getMessage(id).content, LONG);
  const { text, respond } = bound(start);
  const sent = text();
  assert.deepEqual(bodies(sent)[0], "message/cpim");
  assert.match(sent, new RegExp(`imdn.Message-ID: ${id}\\r\\n`));
  assert.match(sent, /From: <sip:alice@localhost>\r\nTo: <sip:bob>/);
  for (const [, tid] of sent.matchAll(/MSRP (\S+) SEND/g)) respond(tid);
  world.tick();
  const [end] = signal.take();
  assert.deepEqual([end.header.action, end.control.subsession_id], ["shutdown", id]);
  fromServer("message", "report", "q9", { ...about("messaging"), payload: { message_id: id, status: "delivered" } });
  world.tick();
  assert.deepEqual(told, [["ok", id], ["delivered", id]]);
});

test("whoever knows no such sessions gets a MESSAGE, under the same id", async () => {
  for (const code of [405, 415, 488, 501, 606]) {
    const { id } = sending("error", { error_code: code, reason: "No" });
    world.tick();
    const [send] = signal.take();
    assert.deepEqual([send.header.action, send.control.subsession_id, send.payload], ["send", id, { content: LONG }]);
    fromServer("response", "send", id, {
      ...about("messaging", { correlation_id: send.control.correlation_id, message_state: "final" }),
      header: { response_code: 200 },
    });
    assert.deepEqual(told.splice(0), [["ok", id]]);
  }
});

test("whoever is not there does not get it at all", async () => {
  const { id } = sending("error", { error_code: 404, reason: "Not Found" });
  const outcome = messaging.sent(id);
  world.tick();
  await assert.rejects(outcome, { code: 404 });
  assert.deepEqual(told, [[404, "Not Found", id]]);
});

/** A long text comes in; `judge` is the page's word on it. */
function comes(judge, notify = "positive-delivery, negative-delivery, display") {
  messaging.onNewMessage = (message) => {
    told.push([message.initiator, message.content.length]);
    judge(message);
  };
  const header = { initiator: "bob@localhost", target: "alice@localhost" };
  fromServer("request", "start", "l1", {
    ...about("messaging", { correlation_id: "s8", message_state: "initial" }), header, payload: { sdp: SERVER_SDP.replace("sendrecv", "sendonly") },
  });
  const [ringing, answer] = signal.take();
  assert.deepEqual([ringing.header.response_code, answer.header.response_code], [180, 200]);
  assert.match(answer.payload.sdp, /\r\na=recvonly\r\n/);
  fromServer("message", "complete", "l1", about("messaging", { correlation_id: "s8" }));
  const media = bound(answer);
  media.send(`From: <sip:bob@localhost>\r\nTo: <sip:alice@localhost>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m7\r\n`
    + `DateTime: 2024-05-01T10:00:00.000Z\r\nimdn.Disposition-Notification: ${notify}\r\n\r\nContent-Type: text/plain\r\n\r\n${LONG}`);
  world.tick();
  return media;
}

test("one that comes is taken by itself and told as any other; what the page makes of it is reported", () => {
  const { text, send } = comes((message) => {
    messaging.accept(message);
    messaging.displayed(message);
  });
  assert.match(text(), / 200 /);
  assert.deepEqual(told.splice(0), [["bob@localhost", LONG.length]]);
  const reports = signal.take().filter(({ header }) => header.action === "report");
  assert.deepEqual(reports.map(({ payload: { message_id, status } }) => [message_id, status]), [["m7", "delivered"], ["m7", "displayed"]]);
  assert.ok(reports.every(({ header }) => header.target === "bob@localhost"));
  send("From: <sip:bob@localhost>\r\n\r\nContent-Type: text/plain\r\n\r\nagain");
  assert.match(text(), / 413/, "one session, one message");
  fromServer("message", "shutdown", "l1", about("messaging"));
  world.advance(2000);
  assert.equal(session.hasSubSessions(), false);
});

test("one that the page does not take has failed, if its sender wants to know", () => {
  comes((message) => messaging.reject(message));
  const [, report] = signal.take();
  assert.deepEqual([report.payload.kind, report.payload.status], ["delivery", "failed"]);
});

test("one whose sender wants to know nothing goes to the user's other pages, and that is all", () => {
  comes((message) => messaging.accept(message), "processing");
  const [copy, ...more] = signal.take();
  assert.deepEqual(more, []);
  assert.deepEqual([copy.header.action, copy.header.target], ["copy", "bob@localhost"]);
  const { content, message_id: id, notify } = copy.payload;
  assert.deepEqual([content, id, notify], [LONG, "m7", []]);
});

test("what is no text is refused", () => {
  messaging.onNewMessage = () => told.push("told");
  const { text, send } = comes(() => {});
  text();
  told.splice(0);
  send("nothing");
  assert.match(text(), / 413| 400/);
  assert.deepEqual(told, []);
});
