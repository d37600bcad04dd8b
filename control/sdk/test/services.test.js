import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import {
  CapabilityExchange, CapabilityPackage, ChatPackage, MessagingPackage, Session, setLogLevel, wsc,
} from "../src/wsc.js";
import { connectResponse, fakeWorld } from "./fake-world.js";

setLogLevel(10);
let world;
let session;
let signal;
let sequence;

beforeEach(() => {
  world = fakeWorld();
  session = new Session("alice", "ws://localhost/ws/webrtc/demo");
  signal = world.socket;
  sequence = 1;
});

/** The session is up. Returns its connect. */
function connected() {
  signal.opens();
  const [connect] = signal.take();
  signal.receives(connectResponse());
  world.tick();
  return connect;
}

/** A frame of the server's. */
function comes(type, packageType, id, header, { payload, correlation } = {}) {
  sequence += 1;
  signal.receives({
    control: {
      type, package_type: packageType, session_id: "b2f1", subsession_id: id, sequence, ack_sequence: 9,
      correlation_id: correlation ?? `s${sequence}`, version: "1.0",
      ...(type === "response" ? { message_state: "final" } : {}),
    },
    header,
    payload,
  });
  world.tick();
}

/** Answers a frame of ours. */
function answers(asked, type, header, payload) {
  const { package_type, subsession_id, correlation_id } = asked.control;
  comes(type, package_type, subsession_id, { ...asked.header, ...header }, { payload, correlation: correlation_id });
}

const settle = () => new Promise((resolve) => { setImmediate(resolve); });

test("the patent's capability example: its own subsession, callbacks after the call", async () => {
  const capabilityPackage = new wsc.CapabilityPackage(session);
  connected();
  const exchange = capabilityPackage.createCapabilityExchange();
  exchange.enquiry("File transfer", "bob1@example.com");
  const told = [];
  exchange.onQueryResponse = (query) => told.push(query);
  const [asked] = signal.take();
  assert.equal(asked.control.package_type, "capability");
  assert.equal(asked.control.type, "request");
  assert.deepEqual(asked.header, {
    action: "enquiry", initiator: "alice@localhost", target: "bob1@example.com", enquiry_data: "File transfer",
  });
  answers(asked, "response", { response_code: 200, enquiry_data: "IM/CHAT", offline: true });
  assert.equal(told.length, 1);
  assert.deepEqual({ ...told[0] }, {
    ssid: asked.control.subsession_id, initiator: "alice@localhost", target: "bob1@example.com",
    initiatorCapability: "File transfer", targetCapability: "IM/CHAT", offline: true, blocked: undefined,
  });
  assert.equal(session.hasSubSessions(), false);
});

test("an enquiry that fails tells onError, and its promise", async () => {
  const exchange = new CapabilityPackage(session).createCapabilityExchange();
  connected();
  const errors = [];
  exchange.onError = ({ action, errorCode, errorReason }) => errors.push([action, errorCode, errorReason]);
  const query = exchange.enquiry("", "bob");
  const [asked] = signal.take();
  answers(asked, "error", { error_code: 480, reason: "Temporarily Unavailable" });
  assert.deepEqual(errors, [["enquiry", 480, "Temporarily Unavailable"]]);
  await assert.rejects(query, { errorCode: 480 });
  assert.throws(() => exchange.enquiry("IM", " "), /somebody to ask/);
});

test("who asks is answered by the newest that wants to hear of it, or by the packages there are", () => {
  const capability = new CapabilityPackage(session);
  new ChatPackage(session);
  new MessagingPackage(session);
  const connect = connected();
  assert.equal(connect.header.enquiry_data, "IM/CHAT,Standalone message");
  const ask = () => comes("request", "capability", "q1", {
    action: "enquiry", initiator: "bob@localhost", target: "alice@localhost", enquiry_data: "VS",
  });
  ask();
  let [answer] = signal.take();
  assert.equal(answer.control.type, "response");
  assert.equal(answer.control.correlation_id, `s${sequence}`);
  assert.equal(answer.header.enquiry_data, "IM/CHAT,Standalone message");
  assert.equal(answer.header.initiator, "bob@localhost");
  const exchange = capability.createCapabilityExchange();
  exchange.onQueryRequest = (query) => {
    assert.deepEqual([query.ssid, query.initiator, query.initiatorCapability], ["q1", "bob@localhost", "VS"]);
    exchange.respond(query, "");
    assert.throws(() => exchange.respond(query, ""), /was answered/);
  };
  ask();
  [answer] = signal.take();
  assert.equal(answer.header.enquiry_data, "");
});

test("inside a chat an exchange of its own asks and answers, in the chat's subsession", () => {
  const chats = new ChatPackage(session);
  new CapabilityPackage(session);
  connected();
  const chat = chats.createChat("bob@localhost");
  chat.start();
  signal.take();
  const exchange = new CapabilityExchange(chat);
  const told = [];
  exchange.onQueryResponse = ({ targetCapability }) => told.push(targetCapability);
  exchange.enquiry("IM/CHAT,VS");
  const [asked] = signal.take();
  assert.deepEqual([asked.control.package_type, asked.control.subsession_id, asked.header.target],
    ["chat", chat.subSessionId, "bob@localhost"]);
  answers(asked, "response", { enquiry_data: "VS" });
  assert.deepEqual(told, ["VS"]);
  exchange.onQueryRequest = (query) => exchange.respond(query, "Image share");
  comes("request", "chat", chat.subSessionId, { action: "enquiry", initiator: "bob@localhost" });
  const [answer] = signal.take();
  assert.deepEqual([answer.control.package_type, answer.header.enquiry_data], ["chat", "Image share"]);
  assert.equal(session.getSubSession(chat.subSessionId), chat);
});

test("many are asked a few at a time", async () => {
  const exchange = new CapabilityPackage(session).createCapabilityExchange();
  connected();
  const names = Array.from({ length: 20 }, (_, at) => `user${at}`);
  const all = exchange.enquiryAll("IM", names);
  let most = 0;
  const asked = [];
  for (let turn = 0; turn < 60 && asked.length < 20; turn += 1) {
    await settle();
    world.advance(125);
    await settle();
    const frames = signal.take();
    most = Math.max(most, frames.length);
    for (const frame of frames) {
      asked.push(frame.header.target);
      const even = asked.length % 2 === 0;
      if (even) answers(frame, "response", { enquiry_data: "VS" });
      else answers(frame, "error", { error_code: 404, reason: "Not Found" });
    }
  }
  assert.deepEqual(asked, names);
  assert.ok(most <= 2, `${most} at once`);
  const results = await all;
  assert.deepEqual(results.map((one) => one.errorCode ?? one.targetCapability).slice(0, 2), [404, "VS"]);
});

test("somebody is blocked, and the answer says who is", async () => {
  const capability = new CapabilityPackage(session);
  connected();
  const blocked = capability.block("bob@localhost");
  const [asked] = signal.take();
  assert.deepEqual([asked.header.action, asked.header.blocked], ["block", true]);
  answers(asked, "response", { response_code: 200 }, { blocked: ["bob@localhost"] });
  assert.deepEqual(await blocked, ["bob@localhost"]);
});

test("the patent's messaging example: made on the class, a text out, its answer", async () => {
  const messagingPackage = new wsc.MessagingPackage(session);
  connected();
  const messaging = wsc.MessagingPackage.createMessaging();
  const id = messaging.send("See you at noon", "bob@example.com", { subject: "Lunch" });
  const told = [];
  messaging.onSuccessResponse = ({ msgId }) => told.push(["ok", msgId]);
  messaging.onErrorResponse = ({ msgId }, code, reason) => told.push([code, reason, msgId]);
  messaging.onMessageStatus = (msgId, status, by) => told.push([msgId, status, by]);
  const [sent] = signal.take();
  assert.deepEqual([sent.control.type, sent.control.subsession_id, sent.header.action, sent.header.subject],
    ["request", id, "send", "Lunch"]);
  assert.deepEqual(sent.payload, { content: "See you at noon" });
  assert.equal(messaging.getMessage(id).content, "See you at noon");
  const outcome = messaging.sent(id);
  answers(sent, "response", { response_code: 200 });
  await outcome;
  assert.equal(messaging.getMessage(id), undefined);
  comes("message", "messaging", "r1", { action: "report", initiator: "bob@example.com" },
    { payload: { message_id: id, kind: "display", status: "displayed" } });
  assert.deepEqual(told, [["ok", id], [id, "displayed", "bob@example.com"]]);
  assert.equal(messagingPackage.packageType, "messaging");
});

test("a message that fails, and one that never had an answer", async () => {
  const messaging = new MessagingPackage(session).createMessaging();
  connected();
  const told = [];
  messaging.onErrorResponse = ({ target }, code, reason) => told.push([target, code, reason]);
  messaging.send("x", "bob");
  answers(signal.take()[0], "error", { error_code: 404, reason: "Not Found" });
  const waits = messaging.sent(messaging.send("x", "carol"));
  session.close();
  world.tick();
  assert.deepEqual(told, [["bob", 404, "Not Found"], ["carol", 1001, "the session is over"]]);
  await assert.rejects(waits, { code: 1001 });
  assert.throws(() => messaging.send("", "bob"), TypeError);
});

test("a message comes in: accepted, rejected, shown", () => {
  const messaging = new MessagingPackage(session).createMessaging();
  connected();
  const heard = [];
  messaging.onNewMessage = (message, extHeaders) => heard.push([message, extHeaders]);
  const arrives = (id, payload) => comes("request", "messaging", id,
    { action: "send", initiator: "bob@localhost", target: "alice@localhost", subject: "Hi" }, { payload });
  arrives("m1", { content: "Hello", message_id: "x7", date_time: "d", notify: ["delivery", "display"] });
  const [[message, extHeaders]] = heard;
  assert.deepEqual([message.msgId, message.initiator, message.content, message.dateTime, extHeaders.subject],
    ["m1", "bob@localhost", "Hello", "d", "Hi"]);
  messaging.accept(message);
  messaging.accept(message);
  let frames = signal.take();
  assert.deepEqual(frames.map(({ control, header }) => [control.type, header.response_code]), [["response", 200]]);
  messaging.displayed(message);
  messaging.displayed(message);
  frames = signal.take();
  assert.deepEqual(frames.map(({ control, header, payload }) => [control.type, header.action, header.target, payload]), [
    ["message", "report", "bob@localhost",
      { message_id: "x7", date_time: "d", kind: "display", status: "displayed" }],
  ]);
  arrives("m2", { content: "again" });
  messaging.displayed(heard[1][0]);
  messaging.reject(heard[1][0]);
  const [refused] = signal.take();
  assert.deepEqual([refused.control.type, refused.header.error_code, refused.header.reason], ["error", 603, "Decline"]);
  arrives("m3", { content: "late" });
  comes("message", "messaging", "m3", { action: "shutdown" });
  messaging.accept(heard[2][0]);
  assert.deepEqual(signal.take(), []);
  assert.equal(session.hasSubSessions(), false);
});

test("a message nobody wants to hear of is refused", () => {
  new MessagingPackage(session);
  connected();
  comes("request", "messaging", "m1", { action: "send", initiator: "bob" }, { payload: { content: "x" } });
  assert.equal(signal.take()[0].header.error_code, 480);
});
