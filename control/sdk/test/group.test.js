// A group as a page has it: made, joined, more people, who is there, who says what.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bound, chats, fromServer, incoming, listen, open, SERVER_SDP, signal, world } from "./chat-world.js";

const GROUP = { id: "g1", focus: "sip:gc-1@focus.example.com", conversation: "c1" };
const FOCUS_SDP = SERVER_SDP
  .replace("a=accept-types:text/plain message/cpim application/im-iscomposing+xml", "a=accept-types:message/cpim")
  .replace("a=accept-wrapped-types:text/plain", "a=accept-wrapped-types:*");

/** A group that is up, of alice, bob and carol. */
function group() {
  const all = open(FOCUS_SDP, () => chats.createGroup(["bob", "carol"]), { group: GROUP });
  all.chat.onParticipantsChange = (people) => all.told.push(people.map(({ user, state }) => `${user} ${state}`));
  all.chat.onChatMessage = ({ from, fromName, content }) => all.told.push([from, fromName, content]);
  all.chat.onMessageTyping = (by) => all.told.push(`${by} types`);
  all.chat.onMessageTypingStop = (by) => all.told.push(`${by} does not type`);
  all.chat.onMessageStatus = (id, status, by) => all.told.push([id, status, by]);
  return all;
}

function envelope(from, content, { to = "<sip:anonymous@anonymous.invalid>", type = "text/plain", more = "" } = {}) {
  return `From: ${from}\r\nTo: ${to}\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m7\r\n`
    + `DateTime: 2024-05-01T10:00:00.000Z\r\n${more}\r\nContent-Type: ${type}\r\n\r\n${content}`;
}

test("making a group names whom to invite, and its answer names the group", () => {
  const { chat, start } = group();
  assert.deepEqual(start.header, {
    action: "start", initiator: "alice@localhost", target: "conference-factory", participants: ["bob", "carol"],
  });
  assert.match(start.payload.sdp, /\r\na=accept-types:message\/cpim\r\na=accept-wrapped-types:text\/plain application/);
  assert.deepEqual(chat.getGroup(), GROUP);
  assert.equal(chat.isGroup(), true);
});

test("the roster is told whole, each time it changes", () => {
  const { chat, told } = group();
  const participants = [{ user: "bob@x", state: "joined", name: "Bob" }, { user: "tel:+1", state: "invited" }];
  fromServer("message", "roster", chat.subSessionId, { payload: { participants } });
  world.tick();
  assert.deepEqual(told, [["bob@x joined", "tel:+1 invited"]]);
  assert.deepEqual(chat.getParticipants(), participants);
});

test("more people are a start in the open subsession", async () => {
  const { chat } = group();
  const [taken, full] = [chat.addParticipants(["dave"]), chat.addParticipants(["erin"])];
  const [first, second] = signal.take();
  assert.equal(first.control.type, "request");
  assert.equal(first.control.message_state, "subsequent");
  assert.equal(first.control.subsession_id, chat.subSessionId);
  assert.deepEqual(first.header.participants, ["dave"]);
  fromServer("response", "start", chat.subSessionId, {
    control: { correlation_id: first.control.correlation_id, message_state: "final" }, header: { response_code: 202 },
  });
  fromServer("error", "start", chat.subSessionId, {
    control: { correlation_id: second.control.correlation_id }, header: { error_code: 403, reason: "The group is full" },
  });
  await taken;
  await assert.rejects(full, { code: 403 });
  assert.equal(chat.getState().state, "ESTABLISHED");
  const waits = chat.addParticipants(["frank"]);
  fromServer("message", "shutdown", chat.subSessionId);
  await assert.rejects(waits, { code: 481 });
});

test("what is sent is in an envelope that names the user, and asks for delivery only", () => {
  const { chat, take } = group();
  const id = chat.send("Hello");
  chat.indicateTyping();
  const [said, typing] = take().map(({ body, headers }) => [new TextDecoder().decode(body), headers.get("content-type")]);
  assert.equal(said[1], "message/cpim");
  assert.match(said[0], /^From: <sip:alice@localhost>\r\nTo: <sip:anonymous@anonymous\.invalid>\r\n/);
  assert.match(said[0], new RegExp(`imdn\\.Message-ID: ${id}\r\n`));
  assert.match(said[0], /imdn\.Disposition-Notification: positive-delivery\r\n/);
  assert.match(typing[0], /^From: <sip:alice@localhost>\r\n[^]*Content-Type: application\/im-iscomposing\+xml/);
});

test("who says something is who its envelope names, and is told that it is there", () => {
  const { told, receive, take } = group();
  const more = "imdn.Disposition-Notification: positive-delivery, display\r\n";
  receive(envelope('"B. Ob" <sip:bob@localhost;user=phone>', "Hi", { more }), "message/cpim");
  world.tick();
  assert.deepEqual(told.splice(0), [["bob@localhost", "B. Ob", "Hi"]]);
  const note = new TextDecoder().decode(take().find(({ method }) => method === "SEND").body);
  assert.match(note, /^From: <sip:alice@localhost>\r\nTo: <sip:bob@localhost;user=phone>\r\n/);
  assert.match(note, /<message-id>m7<[^]*<delivered\/>/);
});

test("of notes about messages only those for the user count", () => {
  const { told, receive } = group();
  const xml = '<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>m1</message-id><datetime>x</datetime>'
    + "<delivery-notification><status><delivered/></status></delivery-notification></imdn>";
  const note = (to) => receive(envelope("<sip:bob@localhost>", xml, { to, type: "message/imdn+xml" }), "message/cpim");
  note("<sip:carol@localhost>");
  note("<SIP:alice@LOCALHOST;user=phone>");
  world.tick();
  assert.deepEqual(told, [["m1", "delivered", "bob@localhost"]]);
});

test("each member types on their own", () => {
  const { told, receive } = group();
  const types = (who, state) => receive(envelope(`<sip:${who}@x>`,
    `<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>${state}</state></isComposing>`,
    { type: "application/im-iscomposing+xml" }), "message/cpim");
  types("bob", "active");
  types("carol", "active");
  types("bob", "idle");
  receive(envelope("<sip:carol@x>", "Hi"), "message/cpim");
  world.tick();
  assert.deepEqual(told, ["bob@x types", "carol@x types", "bob@x does not type", "carol@x does not type",
    ["carol@x", undefined, "Hi"]]);
});

test("what comes without an envelope is refused", () => {
  const { told, receive, take } = group();
  receive("Hi");
  assert.equal(take()[0].status, 415);
  assert.deepEqual(told, []);
});

test("an invitation into a group says who else is asked, and one comes back by its name", () => {
  let arrived;
  chats.onIncomingChat = (chat) => { arrived = chat; };
  incoming({ sdp: FOCUS_SDP, header: { group: GROUP, participants: ["bob@x"], subject: "Hike" } });
  world.tick();
  const told = listen(arrived);
  assert.equal(arrived.isGroup(), true);
  assert.deepEqual(arrived.getParticipants(), [{ user: "bob@x", state: "invited" }]);
  signal.take();
  arrived.accept();
  assert.match(signal.take()[0].payload.sdp, /\r\na=accept-types:message\/cpim\r\n/);
  fromServer("message", "shutdown", arrived.subSessionId, { header: { reason: "gone" } });
  world.tick();
  assert.equal(told.at(-1), "ENDED");
  assert.equal(arrived.getState().status.reason, "gone");

  chats.rejoinGroup(arrived.getGroup()).start();
  chats.rejoinGroup(GROUP, ["bob"]).start();
  const [rejoin, restart] = signal.take();
  assert.deepEqual(rejoin.header.group, GROUP);
  assert.equal(rejoin.header.participants, undefined);
  assert.deepEqual(restart.header.participants, ["bob"]);
  assert.deepEqual(restart.header.group, GROUP);
});

/** An invitation into a group with a first message; the chat, what it was told, and how its group gets up. */
function invitedWith(message, id = "c3d1") {
  const told = [];
  let chat;
  chats.onIncomingChat = (one) => {
    chat = one;
    told.push("incoming");
    chat.onChatMessage = ({ from, fromName, content }) => told.push([from, fromName, content]);
  };
  incoming({ id, sdp: FOCUS_SDP, header: { group: GROUP, participants: ["carol@localhost"] }, payload: { message } });
  world.tick();
  signal.take();
  const joins = () => {
    chat.accept();
    const [answer] = signal.take();
    fromServer("message", "complete", chat.subSessionId, { control: { correlation_id: "s8" } });
    return bound(answer);
  };
  return { chat, told, joins };
}

const FIRST = {
  content: "Hi all", message_id: "m1", date_time: "2024-05-01T10:00:00.000Z", notify: ["delivery", "display"],
  from: "sip:carol@localhost;user=phone", from_name: "C. Arol",
};

test("a first message of an invitation is there once, under its author's name, before all that comes later", () => {
  const { told, joins } = invitedWith(FIRST);
  const { send } = joins();
  send(envelope("<sip:bob@localhost>", "Later"));
  world.tick();
  assert.deepEqual(told, [
    "incoming", ["carol@localhost", "C. Arol", "Hi all"], ["bob@localhost", undefined, "Later"],
  ]);
});

test("its author is told by the focus, once the user is in the group, also what was seen before that", () => {
  for (const before of [true, false]) {
    const { chat, joins } = invitedWith(FIRST, `seen ${before}`);
    const first = chat.getFirstMessage();
    if (before) chat.displayed(first);
    assert.deepEqual(signal.take(), [], "the focus is not there yet");
    const { text } = joins();
    if (!before) chat.displayed(first);
    chat.displayed(first);
    const notes = text();
    for (const status of ["delivered", "displayed"]) {
      assert.equal(notes.split(`<${status}/>`).length, 2, `${status}, once`);
    }
    assert.match(notes, /From: <sip:alice@localhost>\r\nTo: <sip:carol@localhost;user=phone>\r\n/);
    assert.match(notes, /<message-id>m1</);
    assert.deepEqual(signal.take(), []);
  }
});

test("a first message that names nobody in a group is whose invitation it is", () => {
  assert.deepEqual(invitedWith({ content: "Hi" }).told, ["incoming", ["bob@localhost", undefined, "Hi"]]);
});

test("an invitation into a group does not take the place of one to a chat of two", () => {
  let earlier;
  chats.onIncomingChat = (chat) => { earlier = chat; };
  incoming({ payload: { message: { content: "Hi" } } });
  signal.take();
  chats.onIncomingChat = () => {};
  incoming({ id: "c3d2", correlation: "s9", sdp: FOCUS_SDP, header: { group: GROUP }, payload: { message: FIRST } });
  world.tick();
  assert.equal(signal.take().some(({ control }) => control.type === "error"), false);
  assert.equal(earlier.getState().state, "RESPONDED");
});

test("nobody, and a chat that is not up, is not added to", () => {
  assert.throws(() => chats.createGroup([" "]), /somebody to invite/);
  const chat = chats.createGroup(["bob"]);
  chat.start();
  assert.throws(() => chat.addParticipants(["carol"]), /not up/);
});
