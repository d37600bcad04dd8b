// The namespace has every name of the API, and callbacks are there to be set.

import assert from "node:assert/strict";
import { test } from "node:test";
import { wsc } from "../src/wsc.js";
import { CLASSES, CONSTANTS, FUNCTIONS } from "./api-names.js";
import { fakeWorld } from "./fake-world.js";

/** What a class needs to make one. */
function makers() {
  const session = new wsc.Session("alice", "ws://localhost/ws/webrtc/demo");
  const channel = { label: "notes", readyState: "connecting", close() {} };
  return {
    Session: () => session,
    AuthHandler: () => new wsc.AuthHandler(session),
    CapabilityPackage: () => new wsc.CapabilityPackage(session),
    CapabilityExchange: () => new wsc.CapabilityExchange({ session, packageType: "capability" }),
    MessagingPackage: () => new wsc.MessagingPackage(session),
    Messaging: () => new wsc.Messaging(session, "messaging"),
    ChatPackage: () => new wsc.ChatPackage(session),
    Chat: () => new wsc.Chat(session, "bob"),
    FileTransferPackage: () => new wsc.FileTransferPackage(session),
    FileTransfer: () => new wsc.FileTransfer(session, "bob"),
    CallPackage: () => new wsc.CallPackage(session),
    Call: () => new wsc.Call(session, null, "alice", "bob"),
    DataTransfer: () => new wsc.DataTransfer(channel),
    MessageAlertPackage: () => new wsc.MessageAlertPackage(session),
    Subscription: () => new wsc.Subscription(session, "a", "b", {}),
    MessageSummary: () => new wsc.MessageSummary("a", "b", {}),
  };
}

fakeWorld();
const made = makers();

for (const [name, { members = [], callbacks = [], statics = [] }] of Object.entries(CLASSES)) {
  test(`${name} has all its names`, () => {
    assert.equal(typeof wsc[name], "function");
    const one = made[name] ? made[name]() : new wsc[name]();
    assert.ok(one instanceof wsc[name]);
    assert.deepEqual([...members, ...callbacks].filter((member) => !(member in one)), []);
    assert.deepEqual(statics.filter((member) => typeof wsc[name][member] !== "function"), []);
    for (const callback of callbacks) assert.equal(one[callback], undefined, `${callback} is the page's to set`);
  });
}

test("the functions are there", () => {
  assert.deepEqual(FUNCTIONS.filter((name) => typeof wsc[name] !== "function"), []);
});

for (const [name, values] of Object.entries(CONSTANTS)) {
  test(`${name} has all its values`, () => {
    const wanted = Array.isArray(values) ? Object.fromEntries(values.map((value) => [value, value])) : values;
    for (const [member, value] of Object.entries(wanted)) assert.equal(wsc[name][member], value, member);
  });
}
