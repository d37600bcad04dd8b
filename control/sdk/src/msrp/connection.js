//! The WebSocket of one MSRP session, and its clock (RFC 7977). A message is a frame.

import { openDirectly } from "../direct-socket.js";
import { environment } from "../environment.js";
import { startTimer, stopTimer, turn } from "../events.js";
import { log } from "../log.js";
import { Endpoint } from "./endpoint.js";

const SUBPROTOCOL = "msrp";
/** Our close code for a session that can't go on; any code but 1000 would do. */
const CLOSE_BROKEN = 4000;
/** Our close code for a socket that another has replaced. */
const CLOSE_REPLACED = 4001;
/** How often the first connection is tried, and milliseconds between, spread by chance over as many again. */
const ATTEMPTS_MAX = 3;
const AGAIN_MS = 300;
const encoder = new TextEncoder();

/**
 * @typedef {object} MsrpHooks
 * @property {() => void} open messages may flow
 * @property {(orderly: boolean, status: number, reason: string) => void} closed
 * @property {(reason: string) => void} lost the socket went; {@link MsrpConnection.move} brings another
 * @property {import("./endpoint.js").EndpointHooks["message"]} message
 * @property {import("./endpoint.js").EndpointHooks["piece"]} [piece]
 * @property {import("./endpoint.js").EndpointHooks["aborted"]} [aborted]
 * @property {import("./endpoint.js").EndpointHooks["progress"]} [progress]
 * @property {import("./endpoint.js").EndpointHooks["sent"]} sent
 * @property {import("./endpoint.js").EndpointHooks["failed"]} failed
 */

/** An MSRP session over a WebSocket of its own. */
export class MsrpConnection {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {any} */
  #timer;
  /** When that calls the endpoint. */
  #timerAt = Infinity;
  /** Whether a socket of ours was ever open. */
  #wasOpen = false;
  #attempts = 0;
  #endpoint;
  #hooks;

  /**
   * @param {import("./endpoint.js").EndpointSettings} settings
   * @param {MsrpHooks} hooks
   */
  constructor(settings, hooks) {
    this.#hooks = hooks;
    this.#endpoint = new Endpoint(settings, {
      transmit: (octets) => {
        if (this.#socket?.readyState === 1) this.#socket.send(octets);
      },
      bound: () => hooks.open(),
      message: hooks.message,
      piece: hooks.piece,
      aborted: hooks.aborted,
      progress: hooks.progress,
      sent: hooks.sent,
      failed: hooks.failed,
      broken: (status, reason) => this.#broken(status, reason),
    });
  }

  /**
   * Opens the socket. Throws if the URL is unusable.
   * @param {string} url
   */
  open(url) {
    const former = this.#forget();
    if (former && former.readyState < 2) former.close(CLOSE_REPLACED, "");
    this.#attempts += 1;
    const socket = openDirectly(url) ?? environment.openSocket(url, [SUBPROTOCOL]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => turn(() => {
      this.#wasOpen = true;
      this.#endpoint.opened(environment.now());
      this.#schedule();
    });
    socket.onmessage = (event) => turn(() => {
      const { data } = event;
      const octets = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
      this.#endpoint.receive(octets, environment.now());
      this.#schedule();
    });
    socket.onclose = (event) => turn(() => {
      log("info", `a chat's socket is gone (${event.code} ${event.reason})`);
      this.#forget();
      const orderly = event.code === 1000;
      const reason = event.reason || (orderly ? "closed" : "the connection was lost");
      if (this.#wasOpen && !orderly) {
        this.#endpoint.lost();
        this.#hooks.lost(reason);
      } else if (!orderly && this.#attempts < ATTEMPTS_MAX) {
        this.#timer = startTimer(() => this.open(url), AGAIN_MS * (1 + environment.chance()));
      } else {
        this.#endpoint.close(481, reason);
        this.#hooks.closed(orderly, 481, reason);
      }
    });
  }

  /**
   * Goes on over another socket and path; what was not answered is sent again. Throws if the URL is
   * unusable.
   * @param {string} url
   * @param {string[]} remotePath
   */
  move(url, remotePath) {
    this.#endpoint.lost();
    this.#endpoint.moved(remotePath);
    this.open(url);
  }

  /**
   * @param {import("./endpoint.js").Outgoing} outgoing
   * @returns {boolean} false if nothing more is taken
   */
  send(outgoing) {
    const taken = this.#endpoint.send(outgoing, environment.now());
    this.#schedule();
    return taken;
  }

  /** More of what is being sent is there. */
  resume() {
    this.#endpoint.resume(environment.now());
    this.#schedule();
  }

  /** @param {string} messageId of a message that is not to be sent to its end */
  abort(messageId) {
    this.#endpoint.abort(messageId);
  }

  /**
   * Ends it in good order; what is open fails. `closed` is not called.
   * @param {number} status
   * @param {string} reason
   */
  close(status, reason) {
    const socket = this.#forget();
    this.#endpoint.close(status, reason);
    if (socket && socket.readyState < 2) socket.close(1000, "");
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #broken(status, reason) {
    const socket = this.#forget();
    if (socket && socket.readyState < 2) socket.close(CLOSE_BROKEN, "");
    this.#hooks.closed(false, status, reason);
  }

  /** @returns {WebSocket | null} the socket, which no longer reports anything */
  #forget() {
    stopTimer(this.#timer);
    this.#timerAt = Infinity;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = null;
      socket.onmessage = null;
      socket.onclose = null;
    }
    return socket;
  }

  /** A timer that is early starts another: with each answer the time is later, and most are never up. */
  #schedule() {
    const deadline = this.#endpoint.deadline();
    if (deadline === null || !this.#socket || this.#timerAt <= deadline) return;
    stopTimer(this.#timer);
    this.#timerAt = deadline;
    this.#timer = startTimer(() => {
      this.#timerAt = Infinity;
      this.#endpoint.tick(environment.now());
      this.#schedule();
    }, Math.max(0, deadline - environment.now()));
  }
}
