import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { classicScript } from "../build/classic.js";
import * as door from "../src/wsc.js";
import { FakeSocket, connectResponse } from "./fake-world.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("the namespace holds every public name, and only those", () => {
  const names = Object.keys(door).filter((name) => name !== "wsc").sort();
  assert.deepEqual(Object.keys(door.wsc).sort(), names);
  for (const name of names) assert.equal(door.wsc[name], door[name], name);
});

test("the classic script is what the modules give", () => {
  assert.equal(readFileSync(join(ROOT, "src/wsc.global.js"), "utf8"), classicScript());
});

test("the classic script sets wsc at once, and works by itself", async () => {
  const sockets = [];
  class WebSocket extends FakeSocket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }
  }
  const context = createContext({
    console, WebSocket, TextEncoder, TextDecoder, performance, setTimeout, clearTimeout,
    crypto: { getRandomValues: (octets) => octets.fill(3) },
  });
  runInContext(classicScript(), context);
  assert.deepEqual(Object.keys(context.wsc).sort(), Object.keys(door.wsc).sort());
  const states = runInContext(`
    const states = [];
    const session = new wsc.Session("alice", "ws://localhost/ws/webrtc/demo");
    const chats = new wsc.ChatPackage(session);
    session.onSessionStateChange = (state) => states.push(state);
    states`, context);
  sockets[0].opens();
  sockets[0].receives(connectResponse());
  runInContext('const chat = chats.createChat("bob"); chat.start();', context);
  assert.equal(sockets[0].take().at(-1).header.action, "start");
  runInContext("session.close()", context);
  await new Promise((resolve) => { setTimeout(resolve, 1); });
  assert.deepEqual([...states], ["CONNECTED", "CLOSED"]);
});

test("tsc writes declarations that a strict program can use", () => {
  const out = mkdtempSync(join(tmpdir(), "wsc-types-"));
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [tsc, "-p", ROOT, "--outDir", out], { stdio: "pipe" });
    const program = join(out, "program.ts");
    writeFileSync(program, `
      import { Chat, ChatPackage, ErrorInfo, Session, wsc } from "./wsc.js";
      const session = new Session("alice", "ws://localhost/", null, (error: ErrorInfo) => error.code);
      const chats = new ChatPackage(session);
      chats.onIncomingChat = (chat: Chat, headers) => chat.accept(null, headers);
      const chat: Chat = chats.createChat("bob");
      chat.onStateChange = ({ state, status }) => state === wsc.CALLSTATE.FAILED && status.code;
      chat.onChatMessage = ({ contentType, content }) => [contentType, content];
      const id: string = chat.send({ contentType: "text/plain", content: "x" });
      const fate: Promise<void> = chat.sent(id);
      class Mine extends Chat {}
      new Mine(session, "bob").end();
      export { fate };
    `);
    execFileSync(process.execPath, [
      tsc, "--noEmit", "--strict", "--target", "ES2022", "--lib", "ES2022,DOM",
      "--module", "ES2022", "--moduleResolution", "bundler", program,
    ], { stdio: "pipe" });
  } catch (error) {
    assert.fail(String(error.stdout ?? error));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
