// Several files by one transfer: each in a session of its own, all told by the one that the application holds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bound, files, fromServer, listen, sdp, settle, signal, world } from "./file-world.js";

const config = (text, more = {}) => ({ file: new Blob([text]), props: { name: `${text[0]}.txt`, hashes: [], ...more } });

/** Starts a transfer of these; gives it, what it tells, its states, and the offers. */
function sends(...configs) {
  const transfer = files.createFileTransfer("bob");
  transfer.setChunkSize(4);
  const told = listen(transfer);
  const states = [];
  transfer.onStateChange = ({ state, status }) => states.push(`${state} ${status.code ?? ""}`.trim());
  transfer.start(configs, { subject: "both" });
  world.tick();
  return { transfer, told, states, offers: signal.take() };
}

const frame = (type, offer, header, more = {}) => fromServer(type, "start", offer.control.subsession_id, {
  control: { correlation_id: offer.control.correlation_id, ...more.control }, header, payload: more.payload,
});

/** The other side takes what is offered; gives its media. */
function takes(offer) {
  const repeated = offer.payload.sdp.split("\r\n").filter((line) => /^a=file-(selector|transfer-id):/.test(line));
  frame("response", offer, { response_code: 200 }, {
    control: { message_state: "final" }, payload: { sdp: sdp("recvonly", repeated) },
  });
  signal.take();
  return bound(offer.payload.sdp);
}

/** All of a file is answered. */
async function arrives({ take, respond }) {
  await settle();
  for (const chunk of take()) respond(chunk);
  world.tick();
}

test("rfc5547 8.7: each file is offered in a session of its own, and one transfer tells of all", async () => {
  const configs = [config("abcde"), config("xyz")];
  const { transfer, told, states, offers } = sends(...configs);
  assert.deepEqual(offers.map(({ header }) => [header.action, header.target, header.subject]), Array(2).fill(["start", "bob", "both"]));
  assert.equal(new Set(offers.map(({ control }) => control.subsession_id)).size, 2);
  assert.deepEqual(transfer.getFileConfigs(), configs);
  const [first, second] = configs.map(({ fileTransferId }) => fileTransferId);
  assert.deepEqual(offers.map(({ payload }) => /a=file-transfer-id:(\S+)/.exec(payload.sdp)[1]), [first, second]);
  const connections = [];
  transfer.onConnectionStateChange = ({ state, fileTransferId }) => connections.push([state, fileTransferId]);
  await arrives(takes(offers[1]));
  assert.deepEqual(told, [["progress", 3, 3], ["success", second]]);
  assert.equal(transfer.getState().state, "ESTABLISHED");
  await arrives(takes(offers[0]));
  assert.deepEqual(told.slice(2), [["progress", 4, 5], ["progress", 5, 5], ["success", first]]);
  assert.deepEqual(states, ["STARTED", "RESPONDED 200", "ESTABLISHED", "ENDED"]);
  assert.deepEqual(connections.filter(([state]) => state === "OPEN"), [["OPEN", second], ["OPEN", first]]);
  assert.deepEqual(signal.take().map(({ header }) => header.action), ["shutdown"]);
  assert.deepEqual(files.getFileTransfers(), []);
});

test("what one of them is refused says nothing of the others", async () => {
  const { transfer, told, states, offers } = sends(config("abc"), config("xyz"));
  frame("error", offers[0], { error_code: 603, reason: "Decline" });
  assert.deepEqual(told, [["failure", transfer.getFileConfigs()[0].fileTransferId, 603, "Decline"]]);
  assert.equal(transfer.getState().state, "STARTED");
  await arrives(takes(offers[1]));
  assert.equal(told.at(-1)[0], "success");
  assert.equal(states.at(-1), "ENDED");
});

test("where all are refused it has failed", () => {
  const { told, states, offers } = sends(config("abc"), config("xyz"));
  for (const offer of offers) frame("error", offer, { error_code: 486, reason: "Busy" });
  assert.deepEqual([told.map(([, , status]) => status), states], [[486, 486], ["STARTED", "FAILED 486"]]);
});

test("one of them is given up by its configuration, and all without one", async () => {
  const configs = [config("abcde"), config("xyz"), config("123")];
  const { transfer, told, offers } = sends(...configs);
  takes(offers[0]);
  await settle();
  transfer.abort(configs[0]);
  world.tick();
  assert.deepEqual(told.map(([what, id, status]) => [what, id, status]), [["failure", configs[0].fileTransferId, 487]]);
  assert.equal(transfer.getState().state, "ESTABLISHED");
  assert.equal(files.getFileTransfers().length, 2);
  transfer.abort([configs[0]]);
  transfer.abort([]);
  assert.equal(files.getFileTransfers().length, 2);
  transfer.abort();
  assert.equal(transfer.getState().state, "ENDED");
  world.tick();
  assert.deepEqual(told.map(([what, id]) => [what, id]), configs.map(({ fileTransferId }) => ["failure", fileTransferId]));
  assert.deepEqual(signal.take().map(({ header }) => header.action), ["shutdown", "shutdown", "shutdown"]);
});

test("end() ends all at once, also before they are offered", async () => {
  const { transfer, told, states, offers } = sends(config("abc", { hashes: undefined }), config("xyz"));
  assert.equal(offers.length, 1);
  transfer.end();
  assert.equal(transfer.getState().state, "ENDED");
  await settle();
  assert.deepEqual(told.map(([what, , status]) => [what, status]), [["failure", 487], ["failure", 487]]);
  assert.deepEqual(states, ["STARTED", "ENDED"]);
  assert.deepEqual(signal.take().map(({ header }) => header.action), ["shutdown"]);
});

test("all are started or none, and each once", () => {
  const start = (...configs) => files.createFileTransfer("bob").start(configs);
  const twice = config("abc");
  assert.throws(() => start(config("abc"), { props: {} }), TypeError);
  assert.throws(() => start(twice, twice), /a configuration of its own/);
  assert.throws(() => start(config("abc", { hashes: undefined }), config("xyz", { icon: 7 })), /an icon/);
  assert.deepEqual(signal.take(), []);
  const { transfer } = sends(config("abc"), config("xyz"));
  assert.throws(() => transfer.start([config("1"), config("2")]), /started already/);
});

test("what was cut off of several is resumed by the transfer of that file", async () => {
  const { transfer, offers } = sends(config("abcde"), config("xyz"));
  const { take, respond, media } = takes(offers[0]);
  await settle();
  respond(take()[0]);
  media.goes(1000);
  world.tick();
  signal.take();
  const [{ fileTransferId }] = transfer.getFileConfigs();
  assert.equal(transfer.getFileTransfer("no such"), null);
  files.resume(transfer.getFileTransfer(fileTransferId));
  world.tick();
  assert.match(signal.take().at(-1).payload.sdp, /a=file-range:5-5\r\n/);
});

test("several are for the same group, as the one transfer is", () => {
  const transfer = files.createGroupFileTransfer({ id: "g1", focus: "sip:f@h", conversation: "c1" });
  transfer.start([config("abc"), config("xyz")]);
  assert.deepEqual(signal.take().map(({ header }) => header.group.id), ["g1", "g1"]);
});
