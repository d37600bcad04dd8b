//! The socket of a session: one at a time, watched by pings, opened again when asked.
//! Not here: what is said over it (`client.js`), when to give up (`client.js`).

import { environment } from "./environment.js";
import { startTimer, stopTimer, turn } from "./events.js";
import { log } from "./log.js";

/** Offered in this order. */
const SUBPROTOCOLS = ["webrtc.oracle.com", "jsonrtc"];
/** An attempt that has not come to a session within this time is dropped. */
const ATTEMPT_MS_MAX = 8000;
/** A peer is silent if nothing came for this many ping intervals. */
const SILENCE_INTERVALS = 1.2;
/** Our close code for a socket over which nothing comes any more; any code but 1000 would do. */
const CLOSE_SILENT = 4100;

/**
 * @typedef {object} ConnectionHooks
 * @property {() => void} opened the socket is open
 * @property {(text: string) => void} received a text came that is not a pong
 * @property {(code: number, reason: string) => void} lost the socket is gone
 * @property {() => number} pingInterval milliseconds, asked anew for each ping
 * @property {() => number} retryCount pings without an answer after which the socket is lost
 */

/** Opens, watches and loses sockets to one URL. */
export class Connection {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {any} */
  #attemptTimer;
  /** @type {any} */
  #retryTimer;
  /** @type {any} */
  #pingTimer;
  #heardAt = 0;
  #misses = 0;
  #url;
  #hooks;

  /**
   * @param {string} url
   * @param {ConnectionHooks} hooks
   */
  constructor(url, hooks) {
    this.#url = url;
    this.#hooks = hooks;
  }

  /** Opens a socket. Throws if the URL is unusable. */
  open() {
    this.drop();
    const socket = environment.openSocket(this.#url, SUBPROTOCOLS);
    this.#socket = socket;
    this.#attemptTimer = startTimer(() => this.#giveUp("no answer"), ATTEMPT_MS_MAX);
    socket.onopen = () => turn(() => this.#hooks.opened());
    socket.onmessage = (event) => turn(() => this.#hear(event.data));
    socket.onclose = (event) => turn(() => {
      this.drop();
      this.#hooks.lost(event.code, event.reason);
    });
  }

  /**
   * Opens a socket after a pause.
   * @param {number} ms
   */
  openIn(ms) {
    stopTimer(this.#retryTimer);
    this.#retryTimer = startTimer(() => this.open(), ms);
  }

  /** The session is up: from now on the socket is watched. */
  watch() {
    stopTimer(this.#attemptTimer);
    this.#heard();
  }

  /**
   * @param {string} text
   * @returns {boolean} whether there was an open socket to send it on
   */
  send(text) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(text);
    return true;
  }

  /**
   * Closes the socket and forgets it; no hook is called any more.
   * @param {number} [code]
   * @param {string} [reason]
   */
  drop(code = CLOSE_SILENT, reason = "dropped") {
    stopTimer(this.#attemptTimer);
    stopTimer(this.#retryTimer);
    stopTimer(this.#pingTimer);
    this.#pingTimer = undefined;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    if (socket.readyState < 2) socket.close(code, reason);
  }

  /** @param {any} data */
  #hear(data) {
    if (this.#pingTimer !== undefined) this.#heard();
    if (typeof data !== "string") {
      log("warn", "a binary message came over the session's socket; ignored");
    } else if (data !== "pong") {
      this.#hooks.received(data);
    }
  }

  #heard() {
    this.#heardAt = environment.now();
    this.#misses = 0;
    stopTimer(this.#pingTimer);
    this.#pingTimer = startTimer(() => this.#ping(), this.#hooks.pingInterval());
  }

  #ping() {
    const interval = this.#hooks.pingInterval();
    if (environment.now() - this.#heardAt > interval * SILENCE_INTERVALS) this.#misses += 1;
    if (this.#misses >= this.#hooks.retryCount()) {
      this.#giveUp("no answer to pings");
      return;
    }
    this.send("ping");
    this.#pingTimer = startTimer(() => this.#ping(), interval);
  }

  /** @param {string} reason */
  #giveUp(reason) {
    this.drop(CLOSE_SILENT, reason);
    this.#hooks.lost(1006, reason);
  }
}
