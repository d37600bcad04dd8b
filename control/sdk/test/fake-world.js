// Sockets, clock and timers for tests: nothing happens until the test says so.

import { environment } from "../src/environment.js";

/** A WebSocket of three calls (new, send, close) and three events (open, message, close). */
export class FakeSocket {
  readyState = 0;
  binaryType = "blob";
  sent = [];
  closed = null;
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
  }

  send(data) {
    if (this.readyState !== 1) throw new Error("not open");
    // A browser has taken them when this returns.
    this.sent.push(ArrayBuffer.isView(data) ? data.slice() : data);
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new Error(`a browser refuses close code ${code}`);
    }
    this.readyState = 3;
    this.closed = { code, reason };
  }

  // What the test does.

  opens() {
    this.readyState = 1;
    this.onopen?.({});
  }

  receives(data) {
    this.onmessage?.({ data: typeof data === "object" && !ArrayBuffer.isView(data)
      && !(data instanceof ArrayBuffer) ? JSON.stringify(data) : data });
  }

  goes(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** Takes what was sent since the last time, as objects where it is JSON. */
  take() {
    return this.sent.splice(0).map((data) =>
      (typeof data === "string" && data.startsWith("{") ? JSON.parse(data) : data));
  }
}

/** @type {any} */
let earlier = null;

/** Puts the fakes in place. */
export function fakeWorld() {
  // What an earlier test left waiting must not wait for ever.
  earlier?.tick();
  const world = {
    now: 1000,
    sockets: [],
    timers: [],
    refuseUrl: false,

    /** The newest socket. */
    get socket() {
      return world.sockets.at(-1);
    },

    /** Lets time pass; runs what is due, in order. */
    advance(ms) {
      const until = world.now + ms;
      for (;;) {
        const due = world.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        world.timers.splice(world.timers.indexOf(due), 1);
        world.now = Math.max(world.now, due.at);
        due.callback();
      }
      world.now = until;
    },

    /** Runs what waits for the next task. */
    tick() {
      world.advance(0);
    },
  };
  environment.openSocket = (url, protocols) => {
    if (world.refuseUrl) throw new SyntaxError("bad URL");
    const socket = new FakeSocket(url, protocols);
    world.sockets.push(socket);
    return socket;
  };
  environment.now = () => world.now;
  environment.startTimer = (callback, ms) => {
    const timer = { callback, at: world.now + ms };
    world.timers.push(timer);
    return timer;
  };
  environment.stopTimer = (timer) => {
    const at = world.timers.indexOf(timer);
    if (at >= 0) world.timers.splice(at, 1);
  };
  environment.chance = () => 0.5;
  earlier = world;
  let seed = 7;
  environment.randomOctets = (count) => Uint8Array.from({ length: count }, () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed >> 16;
  });
  return world;
}

/** The server's answer to the first connect. */
export function connectResponse(user = "alice@localhost", session = "b2f1") {
  return {
    control: {
      type: "response", package_type: "register", session_id: session, sequence: 1,
      ack_sequence: 1, correlation_id: "c1", message_state: "final", version: "1.0",
    },
    header: { action: "connect", initiator: user, target: user, response_code: 200 },
  };
}
