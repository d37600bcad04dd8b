import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { AuthHandler, Message, SESSIONSTATE, Session, setLogLevel } from "../src/wsc.js";
import { SESSION_EDGES, nextSessionState } from "../src/connection-state.js";
import { connectResponse, fakeWorld } from "./fake-world.js";

setLogLevel(10);
const URL = "ws://localhost:8080/ws/webrtc/demo";
let world;

beforeEach(() => {
  world = fakeWorld();
});

/** A session and what it told. */
function session(user = "alice", ...more) {
  const told = [];
  const made = new Session(
    user, URL, () => told.push("success"), (error) => told.push(["failure", error.code]), ...more,
  );
  made.onSessionStateChange = (state) => told.push(state);
  return { made, told };
}

function connected() {
  const all = session();
  world.socket.opens();
  world.socket.receives(connectResponse());
  world.socket.take();
  all.told.length = 0;
  return all;
}

/** A frame of the application's own package. */
function frame(type = "message", action = "notify") {
  return new Message({ control: { type, package_type: "custom" }, header: { action } });
}

/** A frame of the server's. */
function serverFrame(sequence, more = {}) {
  return {
    control: { type: "message", package_type: "custom", session_id: "b2f1", sequence, ...more },
    header: { action: "notify" },
  };
}

test("the first frame is a connect with number 1, over one of the two subprotocols", () => {
  const { made, told } = session("alice");
  assert.deepEqual(world.socket.protocols, ["webrtc.oracle.com", "jsonrtc"]);
  assert.equal(world.socket.url, URL);
  world.socket.opens();
  assert.deepEqual(world.socket.take(), [{
    control: {
      type: "request", package_type: "register", sequence: 1, correlation_id: "c1", version: "1.0",
    },
    header: { action: "connect", initiator: "alice", target: "alice" },
  }]);
  assert.equal(made.getSessionState(), "NONE");
  world.socket.receives(connectResponse());
  assert.deepEqual(told, ["CONNECTED", "success"]);
  assert.equal(made.getUserName(), "alice@localhost");
  assert.equal(made.getSessionId(), "b2f1");
});

test("without a name, parties are left out; headers and payload of the application go along", () => {
  session("", undefined, { "x-app": 1, action: "stays connect" }, { device: {} });
  world.socket.opens();
  const [{ header, payload }] = world.socket.take();
  assert.deepEqual(header, { action: "connect", "x-app": 1 });
  assert.deepEqual(payload, { device: {} });
});

test("connected settles: with the session, or with what went wrong", async () => {
  const { made } = connected();
  assert.equal(await made.connected, made);
  const { made: failing } = session();
  world.socket.goes(1006);
  await assert.rejects(failing.connected, { code: 1001 });
});

test("a socket that cannot be opened fails the session", () => {
  const { told } = session();
  world.socket.goes(1006);
  assert.deepEqual(told, ["FAILED", ["failure", 1001], "CLOSED"]);
  world.advance(100000);
  assert.equal(world.sockets.length, 1);
});

test("a URL nobody can open fails in the next task, not in the constructor", () => {
  world.refuseUrl = true;
  const { told } = session();
  assert.deepEqual(told, []);
  world.tick();
  assert.deepEqual(told, ["FAILED", ["failure", 1001], "CLOSED"]);
});

test("a session to be restored without stored data fails with 1301", () => {
  const { told } = session("alice", "b2f1");
  world.tick();
  assert.deepEqual(told, ["FAILED", ["failure", 1301], "CLOSED"]);
});

test("a refused connect fails with the server's code", () => {
  const { told } = session();
  world.socket.opens();
  world.socket.receives({
    control: { type: "error", package_type: "register", sequence: 1, ack_sequence: 1 },
    header: { action: "connect", error_code: 403, reason: "no" },
  });
  assert.deepEqual(told, ["FAILED", ["failure", 403], "CLOSED"]);
});

test("a challenged connect is repeated with number 2 and what the application answered", async () => {
  const { made, told } = session();
  const handler = new AuthHandler(made);
  const asked = [];
  handler.refresh = (type, challenge) => {
    asked.push([type, challenge.realm]);
    return asked.length === 1 ? undefined : { username: "alice", response: "r" };
  };
  world.socket.opens();
  world.socket.take();
  world.socket.receives({
    control: { type: "error", package_type: "register", sequence: 1, ack_sequence: 1 },
    header: { action: "connect", error_code: 401, authenticate: { realm: "localhost" } },
  });
  await new Promise(setImmediate);
  assert.deepEqual(asked, [["SERVICE", "localhost"], ["SERVICE", "localhost"]]);
  const [again] = world.socket.take();
  assert.equal(again.control.sequence, 2);
  assert.equal(again.control.ack_sequence, 1);
  assert.deepEqual(again.header.authorization, { username: "alice", response: "r" });
  const response = connectResponse();
  response.control.sequence = 2;
  response.control.ack_sequence = 2;
  world.socket.receives(response);
  assert.deepEqual(told, ["CONNECTED", "success"]);
});

test("a challenge nobody answers fails with its code", async () => {
  const { made, told } = session();
  new AuthHandler(made).refresh = () => null;
  world.socket.opens();
  world.socket.receives({
    control: { type: "error", package_type: "register", sequence: 1 },
    header: { action: "connect", error_code: 407 },
  });
  await new Promise(setImmediate);
  world.tick();
  assert.deepEqual(told, ["FAILED", ["failure", 407], "CLOSED"]);
});

test("frames from before the session is up follow the connect", () => {
  const { made } = session();
  made.sendMessage(frame("request"));
  world.socket.opens();
  assert.equal(world.socket.take().length, 1);
  world.socket.receives(connectResponse());
  const [sent] = world.socket.take();
  assert.equal(sent.control.sequence, 2);
  assert.equal(sent.control.correlation_id, "c2");
  assert.equal(sent.control.session_id, "b2f1");
  assert.equal(sent.control.ack_sequence, 1);
});

test("frames reach their package once, and are confirmed by the next frame", () => {
  const { made } = connected();
  const got = [];
  made.registerPackage({ packageType: "custom", onMessage: (m) => got.push(m.control.sequence) });
  world.socket.receives(serverFrame(2));
  world.socket.receives(serverFrame(2));
  world.socket.receives(serverFrame("3"));
  assert.deepEqual(got, [2, 3]);
  made.sendMessage(frame());
  const [{ control }] = world.socket.take();
  assert.equal(control.sequence, 2);
  assert.equal(control.ack_sequence, 3);
});

test("an exception in a package or a callback stays there", () => {
  const { made } = connected();
  let calls = 0;
  made.registerPackage({ packageType: "custom", onMessage: () => { calls += 1; throw new Error("x"); } });
  world.socket.receives(serverFrame(2));
  world.socket.receives(serverFrame(3));
  assert.equal(calls, 2);
  made.onSessionStateChange = () => { throw new Error("x"); };
  world.socket.goes(1006);
  assert.equal(made.getSessionState(), "RECONNECTING");
});

test("requests for a package nobody has are answered 404, the rest is ignored", () => {
  connected();
  world.socket.receives(serverFrame(2));
  world.socket.receives(serverFrame(3, { type: "request", correlation_id: "s3" }));
  const [error] = world.socket.take();
  assert.equal(error.control.type, "error");
  assert.equal(error.control.correlation_id, "s3");
  assert.equal(error.header.error_code, 404);
});

test("texts that are no frames are ignored", () => {
  const { made } = connected();
  for (const text of ["", "ping", "[]", "null", "{}", "{", '"x"', '{"control":3}']) {
    world.socket.receives(text);
  }
  world.socket.receives(new ArrayBuffer(3));
  assert.equal(made.getSessionState(), "CONNECTED");
});

test("what came is acknowledged after the acknowledgement interval, once", () => {
  const { made } = connected();
  made.registerPackage({ packageType: "custom", onMessage() {} });
  world.socket.receives(serverFrame(2));
  // Pongs keep the socket alive meanwhile.
  for (let at = 0; at < 130; at += 1) {
    world.advance(1000);
    world.socket.receives("pong");
  }
  const acks = world.socket.take().filter((sent) => sent !== "ping");
  assert.deepEqual(acks, [{
    control: {
      type: "acknowledgement", package_type: "register", session_id: "b2f1", ack_sequence: 2,
      version: "1.0",
    },
    header: { action: "connect", initiator: "alice@localhost", target: "alice@localhost" },
  }]);
});

test("a ping goes out when nothing came for the interval; faster with a subsession", () => {
  const { made } = connected();
  world.advance(9999);
  assert.deepEqual(world.socket.take(), []);
  world.advance(1);
  assert.deepEqual(world.socket.take(), ["ping"]);
  world.socket.receives("pong");
  made.putSubSession("custom", "x", { subSessionId: "x", onMessage() {} });
  world.advance(3000);
  assert.deepEqual(world.socket.take(), ["ping"]);
  world.socket.receives("pong");
  made.setBusyPingInterval(5);
  assert.equal(made.busyPingInterval, 1000);
});

test("two missed pings lose the socket; the retry comes within 250 ms", () => {
  const { told } = connected();
  world.advance(30000);
  assert.deepEqual(told, ["RECONNECTING"]);
  assert.equal(world.sockets[0].closed.code, 4100, "1000 would end the session");
  world.advance(250);
  assert.equal(world.sockets.length, 2);
});

test("a resume tells what was received and what is unconfirmed, then sends that again in order", () => {
  const { made, told } = connected();
  made.registerPackage({ packageType: "custom", onMessage() {} });
  for (let at = 0; at < 3; at += 1) made.sendMessage(frame("request"));
  world.socket.receives(serverFrame(2, { ack_sequence: 2 }));
  world.socket.goes(1006);
  made.sendMessage(frame("request"));
  world.advance(250);
  world.socket.opens();
  assert.deepEqual(world.socket.take(), [{
    control: { type: "request", package_type: "register", session_id: "b2f1", version: "1.0" },
    header: {
      action: "connect", initiator: "alice@localhost", target: "alice@localhost",
      cslr: 2, cslw: 3, csuw: 5,
    },
  }]);
  world.socket.receives({
    control: { type: "response", package_type: "register", session_id: "b2f1", ack_sequence: 3 },
    header: { action: "connect", response_code: 200, sslr: 3 },
  });
  assert.deepEqual(told, ["RECONNECTING", "CONNECTED"]);
  assert.deepEqual(world.socket.take().map(({ control }) =>
    [control.sequence, control.correlation_id, control.ack_sequence]), [[4, "c4", 2], [5, "c5", 2]]);
  made.sendMessage(frame());
  assert.equal(world.socket.take()[0].control.sequence, 6);
});

test("with everything confirmed the window's lower edge lies above the upper one", () => {
  connected();
  world.socket.goes(4001);
  world.advance(250);
  world.socket.opens();
  const [{ header }] = world.socket.take();
  assert.deepEqual([header.cslr, header.cslw, header.csuw], [1, 2, 1]);
});

test("another session id in the answer drops the subsessions and counts anew", () => {
  const { made, told } = connected();
  let cleared = 0;
  made.registerPackage({ packageType: "custom", onMessage() {}, clear: () => { cleared += 1; } });
  made.putSubSession("custom", "x", { subSessionId: "x", onMessage() {} });
  made.sendMessage(frame());
  made.sendMessage(frame());
  world.socket.goes(1006);
  world.advance(250);
  world.socket.opens();
  world.socket.take();
  world.socket.receives(connectResponse("alice@localhost", "77aa"));
  assert.deepEqual(told, ["RECONNECTING", "CONNECTED", "success"]);
  assert.equal(cleared, 1);
  assert.deepEqual(made.getAllSubSessions(), []);
  made.sendMessage(frame());
  const sent = world.socket.take();
  assert.equal(sent.length, 1);
  assert.equal(sent[0].control.sequence, 2);
  assert.equal(sent[0].control.session_id, "77aa");
});

test("attempts come every two seconds until the time is over", () => {
  const { told } = connected();
  world.socket.goes(1006);
  world.advance(250);
  for (let at = 0; at < 40; at += 1) {
    if (world.socket.readyState === 0) world.socket.goes(1006);
    world.advance(2000);
  }
  assert.deepEqual(told, ["RECONNECTING", "FAILED", ["failure", 1001]]);
  assert.ok(world.sockets.length > 25 && world.sockets.length < 35, `${world.sockets.length}`);
  assert.equal(world.timers.length, 0, "nothing goes on after the end");
});

test("an attempt that hangs is dropped and followed by the next", () => {
  connected();
  world.socket.goes(1006);
  world.advance(250);
  const hanging = world.socket;
  world.advance(10000);
  assert.equal(hanging.readyState, 3);
  assert.equal(world.sockets.length, 3);
});

test("a resume refused with 503 is tried again, with another code it fails", () => {
  const { told } = connected();
  world.socket.goes(1006);
  world.advance(250);
  world.socket.opens();
  const refusal = (code) => ({
    control: { type: "error", package_type: "register" },
    header: { action: "connect", error_code: code },
  });
  world.socket.receives(refusal(503));
  world.advance(2000);
  assert.equal(world.sockets.length, 3);
  world.socket.opens();
  world.socket.receives(refusal(400));
  assert.deepEqual(told, ["RECONNECTING", "FAILED", ["failure", 400]]);
});

test("close codes of the server: orderly end, moved away, policy", () => {
  for (const [code, expected] of [
    [1000, ["CLOSED"]], [1001, ["SUSPENDED"]], [4000, ["SUSPENDED"]],
    [4008, ["FAILED", ["failure", 1001]]],
  ]) {
    const { told } = connected();
    world.socket.goes(code);
    assert.deepEqual(told, expected, `${code}`);
  }
});

test("error 500 is fatal for the session", () => {
  const { made, told } = connected();
  world.socket.receives({
    control: { type: "error", package_type: "call", sequence: 2 },
    header: { action: "start", error_code: 500, reason: "broken" },
  });
  assert.deepEqual(told, [["failure", 500], "CLOSED"]);
  assert.throws(() => made.sendMessage(frame()), /CLOSED/);
});

test("close ends with code 1000 and tells in the next task", () => {
  const { made, told } = connected();
  made.close();
  assert.deepEqual(world.socket.closed, { code: 1000, reason: "Normal close" });
  assert.deepEqual(told, []);
  world.tick();
  assert.deepEqual(told, ["CLOSED"]);
  assert.equal(world.timers.length, 0);
  made.close();
  world.tick();
  assert.deepEqual(told, ["CLOSED"]);
});

test("the frames nobody confirms are bounded", () => {
  const { made } = connected();
  assert.throws(() => {
    for (let at = 0; at < 2000; at += 1) made.sendMessage(frame());
  }, /1000/);
});

test("two packages of one type are an error", () => {
  const { made } = connected();
  made.registerPackage({ packageType: "custom", onMessage() {} });
  assert.throws(() => made.registerPackage({ packageType: "custom", onMessage() {} }));
});

test("every edge of the table leads to a known state, and final states stay", () => {
  const events = ["connected", "refused", "lost", "resumed", "given-up", "moved", "ended", "fatal", "close", "restored", "parked"];
  for (const [state, edges] of Object.entries(SESSION_EDGES)) {
    for (const [event, next] of Object.entries(edges)) {
      assert.ok(events.includes(event), event);
      assert.ok(Object.hasOwn(SESSIONSTATE, next), next);
    }
    for (const event of events) {
      assert.equal(nextSessionState(state, event), edges[event] ?? state);
    }
  }
  for (const event of events) assert.equal(nextSessionState("CLOSED", event), "CLOSED");
});
