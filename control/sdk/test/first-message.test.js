// The first message of a chat, which goes along with the invitation.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bound, chats, fromServer, incoming, listen, SERVER_SDP, signal, world } from "./chat-world.js";

const SAID = {
  content: "Hi Alice", message_id: "m7", date_time: "2024-05-01T10:00:00.000Z", notify: ["delivery", "display"],
};

/** Starts a chat with a first message; `answers` answers the last start. */
function asking(message) {
  const chat = chats.createChat("bob");
  const told = listen(chat);
  chat.onMessageStatus = (id, status) => told.push([status, id]);
  const id = chat.start(null, null, message);
  const take = () => signal.take().filter(({ header }) => header.action === "start");
  let [start] = take();
  const answers = (type, header, payload) => {
    fromServer(type, "start", chat.subSessionId, {
      control: {
        correlation_id: start.control.correlation_id,
        message_state: header.response_code === 180 ? "subsequent" : "final",
      },
      header, payload,
    });
    [start] = [...take(), start];
  };
  return { chat, told, id, answers, start: () => start };
}

/** A frame outside of any chat that says what became of a message. */
function reports(message_id, status) {
  fromServer("message", "report", "q1", {
    control: { package_type: "messaging" }, header: { initiator: "bob@localhost" }, payload: { message_id, status },
  });
}

/** A chat comes in with a first message; what it tells. */
function invited(said = SAID) {
  const told = [];
  chats.onIncomingChat = (chat) => {
    told.push("incoming", chat.getFirstMessage()?.content);
    chat.onChatMessage = ({ content }) => told.push(content);
    chat.onStateChange = ({ state, status }) => told.push(`${state} ${status.code}`);
    told.chat = chat;
  };
  incoming({ payload: { message: said } });
  return told;
}

test("it goes along with the invitation, and is sent when that has got there", () => {
  const { told, id, answers, start } = asking("Hi Bob");
  assert.deepEqual(start().payload.message, { content: "Hi Bob", message_id: id });
  world.tick();
  assert.deepEqual(told.splice(0), ["STARTED"]);
  answers("response", { response_code: 180 });
  answers("response", { response_code: 200 }, { sdp: SERVER_SDP });
  assert.equal(told.filter(([what]) => what === "sent").length, 1);
  assert.deepEqual(told[0], ["sent", id]);
});

test("what became of it is told by whatever way, also when the chat was declined", async () => {
  const { chat, told, id, answers } = asking({ contentType: "text/html", content: "<b>Hi</b>" });
  reports(id, "delivered");
  answers("response", { response_code: 180 });
  await chat.sent(id);
  answers("error", { error_code: 603, reason: "Decline" });
  reports(id, "displayed");
  reports("m0", "displayed");
  assert.deepEqual(told.splice(0), [
    "STARTED", ["delivered", id], ["sent", id], "RESPONDED 180", "FAILED 603", ["displayed", id],
  ]);
});

test("an invitation that gets nowhere takes it along", async () => {
  const { chat, told, id, answers } = asking("Hi Bob");
  answers("error", { error_code: 404, reason: "Not Found" });
  assert.deepEqual(told.splice(0), ["STARTED", "FAILED 404", ["failed", id, 404]]);
  await assert.rejects(chat.sent(id), { code: 404 });
});

test("RFC 3261, 21.4.13: who takes no message with the invitation is asked without, and gets it later", () => {
  for (const code of [413, 415, 513]) {
    const { chat, told, id, answers, start } = asking("Hi Bob");
    const refused = start();
    answers("error", { error_code: code, reason: "No" });
    assert.deepEqual(start().payload, { sdp: refused.payload.sdp });
    assert.equal(start().control.subsession_id, chat.subSessionId);
    answers("response", { response_code: 200 }, { sdp: SERVER_SDP });
    assert.deepEqual(told.splice(0), ["STARTED", "RESPONDED 200", "ESTABLISHED", "connection CONNECTING"]);
    assert.match(bound(refused).text(), /\r\n\r\nHi Bob\r\n/);
    assert.throws(() => chat.start(), /started already/);
    assert.ok(id);
  }
});

test("refused for good it has failed", () => {
  const { told, id, answers } = asking("Hi Bob");
  answers("error", { error_code: 415, reason: "No" });
  answers("error", { error_code: 415, reason: "No" });
  assert.deepEqual(told.splice(0), ["STARTED", "FAILED 415", ["failed", id, 415]]);
});

test("it goes along with the making of a group, and where it is no text is sent once the chat is up", () => {
  const group = chats.createGroup(["carol"]);
  const id = group.start(null, null, "Hi all");
  const chat = chats.createChat("bob");
  chat.start(null, null, { contentType: "image/png", content: Uint8Array.of(1) });
  assert.deepEqual(signal.take().map(({ payload }) => payload.message), [{ content: "Hi all", message_id: id }, undefined]);
  assert.throws(() => chats.createChat("bob").start(null, null, 7), TypeError);
});

test("one that comes is there with the invitation, before it is accepted", () => {
  const told = invited();
  assert.deepEqual(told.splice(0), ["incoming", "Hi Alice", "Hi Alice"]);
  const page = told.chat;
  page.decline();
  world.tick();
  assert.deepEqual(told.splice(0), ["FAILED 603"]);
  assert.deepEqual(invited({ content: 7 }).splice(0), ["incoming", undefined]);
});

test("that it was seen is told by signalling while there is no connection, and once", () => {
  const { chat } = invited();
  signal.take();
  chat.displayed(chat.getFirstMessage());
  chat.displayed(chat.getFirstMessage());
  const [report, ...more] = signal.take();
  assert.deepEqual(more, []);
  const { message_id, date_time } = SAID;
  assert.deepEqual(report.payload, { message_id, date_time, kind: "display", status: "displayed" });
  assert.deepEqual([report.control.type, report.control.package_type], ["message", "messaging"]);
  assert.deepEqual([report.header.action, report.header.target], ["report", "bob@localhost"]);
  assert.notEqual(report.control.subsession_id, chat.subSessionId);
});

test("nobody is told who has not asked", () => {
  const { chat } = invited({ ...SAID, notify: ["delivery"] });
  signal.take();
  chat.displayed(chat.getFirstMessage());
  assert.deepEqual(signal.take(), []);
});

test("over the connection, if there is one", () => {
  const told = invited();
  told.chat.accept();
  const [answer] = signal.take().slice(-1);
  fromServer("message", "complete", "c3d1", { control: { correlation_id: "s8" } });
  const { text } = bound(answer);
  told.chat.displayed(told.chat.getFirstMessage());
  assert.deepEqual(signal.take(), []);
  assert.match(text(), /<message-id>m7<\/message-id>[^]*<displayed\/>/);
});

test("a newer invitation of the same one takes the place of the older, which nobody has answered", () => {
  const told = invited();
  const older = told.chat;
  signal.take();
  chats.onIncomingChat = () => told.push("newer");
  incoming({ id: "c3d2", correlation: "s9", payload: { message: { ...SAID, message_id: "m8" } } });
  const [, refusal] = signal.take();
  assert.deepEqual([refusal.control.subsession_id, refusal.header.error_code], ["c3d1", 486]);
  assert.equal(older.getState().state, "FAILED");
  assert.ok(told.includes("newer"));
});
