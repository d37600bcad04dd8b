// Two who call each other at the same moment: each refuses the other's invitation, and one calls again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { chats, fromServer, incoming, listen, SERVER_SDP, signal, world } from "./chat-world.js";

const SAID = { content: "Hi Alice", message_id: "m7", date_time: "2024-05-01T10:00:00.000Z", notify: ["delivery", "display"] };

/** alice calls bob; what is sent from then on is given by `take`. */
function calling(message) {
  const chat = chats.createChat("bob");
  const told = listen(chat);
  chats.onIncomingChat = () => told.push("incoming");
  const id = chat.start(null, null, message);
  const take = () => signal.take().filter(({ header }) => header?.action === "start").map(({ control, header }) => [
    control.subsession_id === chat.subSessionId ? "ours" : "theirs", header.action,
    header.response_code ?? header.error_code ?? 0,
  ]);
  let correlation = signal.take().at(-1).control.correlation_id;
  const refused = (code = 486) => {
    fromServer("error", "start", chat.subSessionId, { control: { correlation_id: correlation }, header: { error_code: code } });
    correlation = undefined;
  };
  world.tick();
  told.splice(0);
  return { chat, told, id, take, refused };
}

test("an invitation that crosses ours is refused, its message kept, and ours made again", () => {
  const { chat, told, id, take, refused } = calling("Hi Bob");
  incoming({ payload: { message: SAID } });
  assert.deepEqual(take(), [["theirs", "start", 180], ["theirs", "start", 486]]);
  assert.deepEqual(told.splice(0), [["message", "text/plain", "Hi Alice"]]);
  refused();
  assert.deepEqual(told.splice(0), [["sent", id]], "it was kept over there, too");
  assert.deepEqual(take(), []);
  world.advance(5000);
  const [[whose, action], ...more] = take();
  assert.deepEqual([whose, action, more], ["ours", "start", []]);
  assert.equal(chat.getState().state, "STARTED");
});

test("whoever waits before calling again takes the other side's call", () => {
  const { chat, told, take, refused } = calling();
  incoming();
  refused();
  take();
  incoming({ id: "c3d2", correlation: "s9", payload: { message: SAID } });
  assert.deepEqual(signal.take().map(({ header }) => header.response_code), [180, 200]);
  assert.deepEqual(told.splice(0), [["message", "text/plain", "Hi Alice"], "RESPONDED 200"]);
  assert.equal(chat.subSessionId, "c3d2");
  fromServer("message", "complete", "c3d2", { control: { correlation_id: "s9" } });
  assert.equal(chat.getState().state, "ESTABLISHED");
  world.advance(60_000);
  assert.deepEqual(take(), [], "nothing is called again");
});

test("a call that is refused because theirs waits here goes on by theirs", () => {
  chats.onIncomingChat = () => {};
  incoming({ payload: { message: SAID } });
  signal.take();
  const { chat, told, take, refused } = calling();
  refused();
  assert.deepEqual(take(), [["ours", "start", 200]]);
  assert.deepEqual(told.splice(0), ["RESPONDED 200"]);
  assert.equal(chat.getInitiator(), "bob@localhost");
  fromServer("message", "complete", "c3d1", { control: { correlation_id: "s8" }, payload: { sdp: SERVER_SDP } });
  assert.equal(chat.getState().state, "ESTABLISHED");
});

test("busy is busy where nothing has crossed, and what the user takes back is not called again", () => {
  const first = calling();
  first.refused();
  assert.equal(first.chat.getState().status.code, 486);
  const second = calling();
  incoming();
  second.refused();
  second.chat.end();
  second.take();
  world.advance(60_000);
  assert.deepEqual(second.take(), []);
});
