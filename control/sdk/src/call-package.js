//! The package of calls.

import { configOf } from "./call-config.js";
import { Call } from "./call.js";
import { ACTION, CALLSTATE } from "./constants.js";
import { ERRORCODE } from "./errors.js";
import { fire, later } from "./events.js";
import { log } from "./log.js";

/** Ways in which candidates may travel. */
const TRICKLE_MODES = ["off", "half", "full"];

/** All calls of a session. */
export class CallPackage {
  #session;
  #trickleIceMode = "off";
  /** @type {Map<string, (call: Call) => void>} */
  #takers = new Map();

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "call") {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    /** What users of the package can do. @type {string[]} */
    this.services = [];
    /** Somebody calls: accept or decline it, now or later.
     * @type {((call: Call, remoteCallConfig: import("./call-config.js").CallConfig,
     *   extHeaders: Record<string, any>) => void) | undefined} */
    this.onIncomingCall = this.onIncomingCall;
    /** A call came back after a reload of the page. @type {((call: Call) => void) | undefined} */
    this.onResurrect = this.onResurrect;
    session.registerPackage(this);
  }

  /**
   * @param {string} target whom to call, such as `bob@example.com`
   * @param {import("./call-config.js").CallConfig | null} [callConfig] what this end sends and takes; audio if left out
   * @param {(error: import("./errors.js").ErrorInfo) => void} [errorCallback] hears what goes wrong from now on
   * @returns {Call} not started yet
   */
  createCall(target, callConfig, errorCallback) {
    if (typeof target !== "string" || target.trim() === "") throw new Error("wsc: there must be somebody to call");
    const call = this.#make(callConfig ?? null, this.#session.getUserName(), target.trim());
    call.errorCallback = errorCallback;
    return call;
  }

  /**
   * Makes a call; overridable to make an extended one.
   * @param {import("./client.js").Session} session
   * @param {import("./call-config.js").CallConfig | null} callConfig
   * @param {string} caller
   * @param {string} callee
   * @returns {Call}
   */
  prepareCall(session, callConfig, caller, callee) {
    return new Call(session, callConfig, caller, callee);
  }

  /** @returns {Call[]} the calls that are not over */
  getCalls() {
    return /** @type {any[]} */ (this.#session.getSubSessionsByPackageType(this.packageType).values())
      .filter((one) => typeof one.getCallState === "function");
  }

  /**
   * Stores a call.
   * @param {string} id
   * @param {Call} call
   */
  putCall(id, call) {
    this.#session.putSubSession(this.packageType, id, call);
  }

  /** @param {string} mode `off` (at first), `half` or `full`; for calls made from now on */
  setTrickleIceMode(mode) {
    if (!TRICKLE_MODES.includes(mode)) throw new TypeError(`wsc: not a mode: ${mode}`);
    this.#trickleIceMode = mode;
  }

  /**
   * Calls with this purpose go to somebody else than `onIncomingCall`.
   * @param {string} purpose
   * @param {(call: Call) => void} taker
   */
  setTaker(purpose, taker) {
    this.#takers.set(purpose, taker);
    this.services = ["Data channel"];
  }

  /** Hangs up all calls. */
  close() {
    this.getCalls().forEach((call) => call.end());
  }

  /** Frees everything without a word to the server. */
  clear() {
    this.getCalls().forEach((call) => call.clear());
  }

  /** @param {Record<string, any>} data what a reload has left; nothing is kept over one yet */
  onRehydration(data) {
    log("warn", "calls do not come back after a reload", data.subSessionId);
  }

  /**
   * Takes a frame of the package.
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const known = this.#session.getSubSession(id);
    const opens = message.isRequest() && message.header.action === ACTION.START && id !== "";
    if (known) known.onMessage(message);
    else if (opens) this.#ring(message);
    else if (message.isRequest()) this.#session.sendError(message, 481, "no such subsession");
  }

  /** @param {import("./message.js").Message} request */
  #ring(request) {
    const { initiator = "", target = "" } = request.header;
    const call = this.#make(null, initiator, target);
    call.onMessage(request);
    if (call.getCallState().state !== CALLSTATE.RESPONDED) return;
    const purpose = /^s=(direct)\s*$/m.exec(request.payload.sdp)?.[1];
    const taker = purpose && this.#takers.get(purpose);
    if (taker) {
      later(() => taker(call));
    } else if (purpose) {
      call.decline(488);
    } else if (typeof this.onIncomingCall === "function") {
      fire(this, "onIncomingCall", call, configOf(request.payload.sdp), request.getExtHeaders());
    } else {
      log("warn", "a call came in and nobody has set onIncomingCall");
      call.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE);
    }
  }

  /**
   * @param {import("./call-config.js").CallConfig | null} callConfig
   * @param {string} caller
   * @param {string} callee
   * @returns {Call}
   */
  #make(callConfig, caller, callee) {
    const call = this.prepareCall(this.#session, callConfig, caller, callee);
    call.packageType = this.packageType;
    call.trickleIceMode = this.#trickleIceMode;
    return call;
  }
}
