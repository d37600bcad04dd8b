//! A call: its signalling, over a peer connection that goes from browser to browser. Not here: tracks, channels and
//! candidates (`call-peer.js`), finding the call of a frame (`call-package.js`).

import { CallConfig, EVERYTHING, configOf, conflictOf, fitting, readCallConfig, receiving } from "./call-config.js";
import { CallFrames } from "./call-frames.js";
import { CallPeer } from "./call-peer.js";
import { CallState, isFinal, nextCallState } from "./call-state.js";
import { ACTION, CALLSTATE, MEDIASTREAMEVENT, MESSAGESTATE } from "./constants.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";
import { fire, turn } from "./events.js";
import { CallMedia } from "./local-media.js";
import { log } from "./log.js";

/** What the server calls itself when it takes back a change. */
const CANCELLING = "##re-invite_cancel@server##";
/** States in which the call may be changed. @type {string[]} */
const CHANGEABLE = [CALLSTATE.ESTABLISHED, CALLSTATE.UPDATED, CALLSTATE.UPDATE_FAILED];

/** @typedef {import("./message.js").Message} Message */
/** @typedef {Record<string, any> | null} Headers */
/** @typedef {MediaStream | MediaStream[] | null} Streams */

/** A call. Made by `CallPackage.createCall`, or handed to `onIncomingCall`. */
export class Call {
  #session;
  #frames;
  #state = new CallState(CALLSTATE.NONE);
  /** What is agreed on. */
  #config;
  /** What the application wants. */
  #wanted;
  /** What the other side has said last. */
  #remoteConfig = new CallConfig();
  /** @type {CallPeer | null} */
  #peer = null;
  #media = new CallMedia((event, stream) => fire(this, "onMediaStreamEvent", event, stream, {}));
  #incoming = false;
  /** The request that opened it, ours or theirs. @type {Message | null} */
  #opening = null;
  /** A change of ours without an answer. @type {{ request: Message, before: CallConfig } | null} */
  #change = null;
  /** A change of theirs without an answer. @type {Message | null} */
  #asked = null;
  #restarted = false;
  #begun = false;
  /** @type {((error: ErrorInfo) => void) | undefined} */
  #errorCallback;
  /** @type {{ resolve: (call: Call) => void, reject: (error: ErrorInfo) => void }[]} */
  #waiting = [];

  /**
   * @param {import("./client.js").Session} session
   * @param {CallConfig | null} callConfig
   * @param {string} caller
   * @param {string} callee
   */
  constructor(session, callConfig, caller, callee) {
    this.#session = session;
    this.#config = readCallConfig(callConfig);
    this.#wanted = this.#config;
    this.#frames = new CallFrames(session, caller, callee);
    /** Milliseconds between two looks at candidates, in browsers that need it; none does. */
    this.iceCheckInterval = 2000;
    /** What it is for, if not for people to talk: stands in its description (`s=`). */
    this.purpose = "";
    /** `off`, `half` or `full`. */
    this.trickleIceMode = "off";
    /** The signalling changed. @type {((callState: CallState, extHeaders: Headers) => void) | undefined} */
    this.onCallStateChange = this.onCallStateChange;
    /** A stream came or went, of MEDIASTREAMEVENT.
     * @type {((event: string, stream: MediaStream | undefined, extHeaders: Headers) => void) | undefined} */
    this.onMediaStreamEvent = this.onMediaStreamEvent;
    /** The other side wants a change: accept or decline it. Without it, the library accepts what fits.
     * @type {((remoteCallConfig: CallConfig, extHeaders: Headers) => void) | undefined} */
    this.onUpdate = this.onUpdate;
    /** There is a data channel. @type {((dataTransfer: import("./data-transfer.js").DataTransfer) => void) | undefined} */
    this.onDataTransfer = this.onDataTransfer;
  }

  /** Id of the subsession. */
  get subSessionId() {
    return this.#frames.subSessionId;
  }

  /** Type of the package it belongs to. */
  get packageType() {
    return this.#frames.packageType;
  }

  set packageType(type) {
    this.#frames.packageType = type;
  }

  /**
   * Calls.
   * @param {Streams} [localMediaStreams] what is sent; without it the library takes microphone and camera as the config says
   * @param {Headers} [extHeaders] for the other side
   */
  start(localMediaStreams, extHeaders) {
    if (this.#begun) throw new Error("wsc: it was started already");
    this.#begun = true;
    this.#step(async () => {
      const peer = await this.#connect(localMediaStreams);
      peer.trickles = this.trickleIceMode === "full";
      await peer.apply(this.#config, this.#media.streams);
      const sdp = named(await peer.describe("offer"), this.purpose);
      if (isFinal(this.#state.state)) return;
      this.#opening = this.#frames.request(MESSAGESTATE.INITIAL, sdp, extHeaders);
      this.#session.sendMessage(this.#opening);
      this.#session.putSubSession(this.packageType, this.subSessionId, this);
      this.#move("started");
    });
  }

  /**
   * Accepts a call that came in, or a change.
   * @param {CallConfig | null} [callConfig] what this end sends and takes; as much as fits if it is left out
   * @param {Streams} [localMediaStreams]
   * @param {Headers} [extHeaders] for the other side
   * @throws {Error} if there is nothing to accept, or the config is no answer to the other side's
   */
  accept(callConfig, localMediaStreams, extHeaders) {
    const request = this.#unanswered();
    const changes = request === this.#asked;
    const own = changes ? receiving(this.#wanted) : EVERYTHING;
    const config = callConfig ? readCallConfig(callConfig) : fitting(this.#remoteConfig, own);
    const conflict = conflictOf(this.#remoteConfig, config);
    if (conflict !== "") throw new Error(`wsc: ${conflict}`);
    this.#begun = true;
    this.#config = config;
    if (callConfig || !changes) this.#wanted = config;
    this.#step(async () => {
      const peer = await this.#connect(localMediaStreams);
      const { sdp } = request.payload;
      const takesTrickle = /\na=ice-options:[^\r\n]*\btrickle\b/.test(sdp);
      peer.trickles = this.trickleIceMode !== "off" && takesTrickle;
      await peer.describes("offer", sdp);
      await peer.apply(config, this.#media.streams);
      const answer = await peer.describe("answer");
      if (isFinal(this.#state.state)) return;
      this.#session.sendMessage(this.#frames.response(request, MESSAGESTATE.FINAL, answer, extHeaders));
      if (!changes) this.#move("responded", 200, "OK");
    });
  }

  /**
   * Refuses a call that came in, or a change.
   * @param {number} [code] 603 (declined), 486 (busy) or 600 (busy everywhere)
   * @param {Headers} [extHeaders] for the other side
   */
  decline(code = ERRORCODE.DECLINED, extHeaders) {
    const request = this.#unanswered();
    this.#session.sendError(request, code, "Decline", extHeaders);
    if (request === this.#asked) {
      this.#asked = null;
      this.#move("update-failed", code, "Decline");
    } else {
      this.#finish("refused", code, "Decline");
    }
  }

  /**
   * Asks for other media in the open call.
   * @param {CallConfig | null} callConfig
   * @param {Streams} [localStreams]
   * @param {Headers} [extHeaders] for the other side
   * @returns {Promise<Call>} rejects with an ErrorInfo, and the call goes on as it was
   */
  update(callConfig, localStreams, extHeaders) {
    return this.#renegotiate(readCallConfig(callConfig, this.#config), localStreams, extHeaders, {});
  }

  /**
   * Brings the media back where they were lost.
   * @param {() => void} [successCallback]
   * @param {(error: ErrorInfo) => void} [failureCallback]
   */
  resume(successCallback, failureCallback) {
    this.#renegotiate(this.#config, null, null, { iceRestart: true })
      .then(() => successCallback?.(), (error) => failureCallback?.(error));
  }

  /**
   * Hangs up, takes back the asking, or declines.
   * @param {Headers} [extHeaders] for the other side
   */
  end(extHeaders) {
    if (isFinal(this.#state.state)) return;
    if (this.#incoming && this.#state.status.code === 180) {
      this.decline(ERRORCODE.DECLINED, extHeaders);
      return;
    }
    if (this.#opening && !this.#session.withdraw(this.#opening)) {
      const open = this.#state.state !== CALLSTATE.STARTED && this.#state.state !== CALLSTATE.RESPONDED;
      const of = open ? null : this.#opening;
      this.#session.sendMessage(this.#frames.message(ACTION.SHUTDOWN, of, extHeaders));
    }
    this.#finish("ended", undefined, "ended by this side");
  }

  /** @returns {CallState} */
  getCallState() {
    return this.#state;
  }

  /** @returns {CallConfig} what this end sends and takes */
  getCallConfig() {
    return this.#config;
  }

  /** @returns {string} */
  getCaller() {
    return this.#frames.initiator;
  }

  /** @returns {string} the caller's name, as the network tells it; empty if it tells none */
  getCallerName() {
    return this.#frames.initiatorName;
  }

  /** @returns {string} */
  getCallee() {
    return this.#frames.target;
  }

  /** @returns {RTCPeerConnection | null} null before there is one */
  getPeerConnection() {
    return this.#peer?.connection ?? null;
  }

  /**
   * @param {string} label
   * @returns {import("./data-transfer.js").DataTransfer | null}
   */
  getDataTransfer(label) {
    return this.#peer?.transfer(label) ?? null;
  }

  /** @param {number} ms */
  setIceCheckInterval(ms) {
    if (!(ms > 0)) throw new RangeError("wsc: an interval is longer than nothing");
    this.iceCheckInterval = ms;
  }

  /** @returns {number} milliseconds */
  getIceCheckInterval() {
    return this.iceCheckInterval;
  }

  // For package developers.

  /** @param {((error: ErrorInfo) => void) | undefined} callback hears what goes wrong after the creation */
  set errorCallback(callback) {
    this.#errorCallback = callback;
  }

  /** What a CapabilityExchange inside it needs to know. */
  capabilityContext() {
    return { session: this.#session, packageType: this.packageType, peer: this.#frames.peer(this.#incoming) };
  }

  /**
   * Takes a frame of this subsession.
   * @param {Message} message
   */
  onMessage(message) {
    const { action } = message.header;
    const starts = action === ACTION.START;
    if (message.isRequest()) {
      if (!starts) this.#session.sendError(message, 405, "unknown action");
      else if (!this.#opening) this.#arrive(message);
      else this.#changeAsked(message);
    } else if (starts && (message.isResponse() || message.isError())) {
      this.#answered(message);
    } else if (action === ACTION.TRICKLE && message.isMessage()) {
      this.#peer?.learn(message.payload?.candidates);
    } else if (action === ACTION.COMPLETE && message.isMessage()) {
      this.#completed();
    } else if (action === ACTION.SHUTDOWN && message.isMessage()) {
      this.#shutDown(message);
    }
  }

  /** Frees everything without a word to the server. */
  clear() {
    this.#finish("ended", ERRORCODE.WEBSOCKET_ERROR, "the session is over");
  }

  /** @returns {object} what is worth knowing, without secrets */
  toJSON() {
    const { subSessionId } = this;
    return { subSessionId, initiator: this.getCaller(), target: this.getCallee(), state: this.#state.state };
  }

  // Answers to what this end has asked.

  /** @param {Message} message */
  #answered(message) {
    const { correlation_id: id, message_state } = message.control;
    const change = this.#change;
    if (change && (id === undefined || id === change.request.control.correlation_id)) {
      if (message.isError()) this.#changeRefused(message.header.error_code, message.header.reason);
      else if (message_state === MESSAGESTATE.FINAL) this.#changed(message);
    } else if (!this.#incoming && (id === undefined || id === this.#opening?.control.correlation_id)) {
      if (message.isError()) this.#refused(message);
      else if (message_state === MESSAGESTATE.FINAL) this.#accepted(message);
      else this.#progress(message);
    }
  }

  /** @param {Message} message */
  #progress(message) {
    const sdp = message.payload?.sdp;
    const code = message.header.response_code ?? (sdp ? 183 : 180);
    if (code === 183) this.#session.sendMessage(this.#frames.prack(message));
    if (sdp) this.#step((peer) => peer.describes("pranswer", sdp));
    this.#move("responded", code, message.header.reason, message.getExtHeaders());
  }

  /** @param {Message} message */
  #accepted(message) {
    if (this.#state.state === CALLSTATE.ESTABLISHED || isFinal(this.#state.state)) return;
    const { response_code: code = 200, reason } = message.header;
    this.#move("responded", code, reason, message.getExtHeaders());
    this.#step(async (peer) => {
      const sdp = message.payload?.sdp ?? peer.connection.pendingRemoteDescription?.sdp;
      if (typeof sdp !== "string") throw new ErrorInfo(488, "the answer has no description");
      this.#remoteConfig = configOf(sdp);
      await peer.describes("answer", sdp);
      if (isFinal(this.#state.state)) return;
      message.complete(this.#session);
      this.#move("completed");
    });
  }

  /** @param {Message} message */
  #refused(message) {
    const { error_code: code = 0, reason = "" } = message.header;
    const cancelled = code === ERRORCODE.REQUEST_TERMINATED;
    this.#finish(cancelled ? "ended" : "refused", code, reason, message.getExtHeaders());
  }

  // What comes in.

  /** @param {Message} request */
  #arrive(request) {
    this.#incoming = true;
    this.#opening = request;
    this.#frames.opened(request);
    const sdp = request.payload?.sdp;
    if (typeof sdp !== "string" || sdp === "") {
      this.#session.sendError(request, 488, "no session description");
      this.#finish("ended", 488, "no session description");
      return;
    }
    this.#remoteConfig = configOf(sdp);
    this.#session.putSubSession(this.packageType, this.subSessionId, this);
    this.#move("started");
    this.#session.sendMessage(this.#frames.response(request, MESSAGESTATE.SUBSEQUENT, undefined, null));
    this.#move("responded", 180, "Ringing");
  }

  /** @returns {CallConfig} what the other side has said last, as it sees it */
  getRemoteCallConfig() {
    return this.#remoteConfig;
  }

  /** @param {Message} request */
  #changeAsked(request) {
    const sdp = request.payload?.sdp;
    if (this.#change || this.#asked) {
      this.#session.sendError(request, 491, "Glare");
      return;
    }
    if (!CHANGEABLE.includes(this.#state.state) || typeof sdp !== "string") {
      this.#session.sendError(request, 488, "the call cannot be changed now");
      return;
    }
    const before = this.#remoteConfig;
    this.#asked = request;
    this.#remoteConfig = configOf(sdp);
    this.#move("updating", undefined, undefined, request.getExtHeaders());
    const { audioConfig, videoConfig } = this.#remoteConfig;
    const same = audioConfig === before.audioConfig && videoConfig === before.videoConfig;
    if (!same && typeof this.onUpdate === "function") {
      fire(this, "onUpdate", this.#remoteConfig, request.getExtHeaders());
    } else {
      this.accept(null, null, null);
    }
  }

  #completed() {
    if (this.#asked) {
      this.#asked = null;
      this.#move("updated");
    } else if (this.#incoming && this.#state.status.code === 200) {
      this.#move("completed");
    }
  }

  /** @param {Message} message */
  #shutDown(message) {
    if (message.header.initiator === CANCELLING) {
      if (!this.#asked) return;
      this.#asked = null;
      this.#move("update-failed", ERRORCODE.REQUEST_TERMINATED, "taken back");
      return;
    }
    const open = this.#state.state !== CALLSTATE.STARTED && this.#state.state !== CALLSTATE.RESPONDED;
    const reason = message.header.reason ?? (open ? "shutdown" : "cancelled");
    this.#finish("ended", undefined, reason, message.getExtHeaders());
  }

  /** @returns {Message} what came in and still waits for the application */
  #unanswered() {
    const rings = this.#incoming && !this.#begun && this.#state.status.code === 180;
    const request = this.#asked ?? (rings ? this.#opening : null);
    if (!request) throw new Error("wsc: there is nothing to answer");
    return request;
  }

  // Changes of ours.

  /**
   * @param {CallConfig} config
   * @param {Streams | undefined} streams
   * @param {Headers | undefined} extHeaders
   * @param {{ iceRestart?: boolean }} options
   * @returns {Promise<Call>}
   */
  #renegotiate(config, streams, extHeaders, options) {
    if (this.#change || this.#asked || !CHANGEABLE.includes(this.#state.state)) {
      throw new Error("wsc: the call cannot be changed now");
    }
    const before = this.#config;
    this.#config = config;
    const request = this.#frames.request(MESSAGESTATE.SUBSEQUENT, "", extHeaders);
    this.#change = { request, before };
    this.#move("updating");
    const settled = new Promise((resolve, reject) => { this.#waiting.push({ resolve, reject }); });
    settled.catch(() => {});
    this.#step(async () => {
      const peer = await this.#connect(streams);
      peer.trickles = this.trickleIceMode !== "off";
      await peer.apply(config, this.#media.streams);
      request.payload = { sdp: await peer.describe("offer", options) };
      if (!isFinal(this.#state.state)) this.#session.sendMessage(request);
    }, (error) => this.#changeRefused(error.code, error.reason));
    return settled;
  }

  /** @param {Message} message */
  #changed(message) {
    const sdp = message.payload?.sdp;
    this.#step(async (peer) => {
      this.#remoteConfig = configOf(sdp);
      await peer.describes("answer", sdp);
      if (isFinal(this.#state.state)) return;
      message.complete(this.#session);
      this.#change = null;
      this.#wanted = this.#config;
      this.#move("updated");
      for (const { resolve } of this.#waiting.splice(0)) resolve(this);
    }, (error) => this.#changeRefused(error.code, error.reason));
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #changeRefused(code = 0, reason = "") {
    const change = this.#change;
    if (!change) return;
    this.#change = null;
    this.#config = change.before;
    this.#step(async (peer) => {
      const { audioConfig, videoConfig } = change.before;
      await peer.rollBack(new CallConfig(audioConfig, videoConfig), this.#media.streams);
    });
    this.#move("update-failed", code, reason);
    for (const { reject } of this.#waiting.splice(0)) reject(new ErrorInfo(code, reason));
  }

  // Both.

  /**
   * The peer connection, with what is sent at hand.
   * @param {Streams} [given]
   * @returns {Promise<CallPeer>}
   */
  async #connect(given) {
    await this.#media.take(this.#config, given);
    if (!this.#peer) {
      const iceServers = await this.#session.iceServers();
      // It may have ended meanwhile.
      if (isFinal(this.#state.state)) throw new ErrorInfo(ERRORCODE.REQUEST_TERMINATED, "it is over");
      this.#peer = new CallPeer({ iceServers }, {
        candidates: (lines) => this.#session.sendMessage(this.#frames.trickle(lines, this.#incoming)),
        remoteAdded: (stream) => fire(this, "onMediaStreamEvent", MEDIASTREAMEVENT.REMOTE_STREAM_ADDED, stream, {}),
        remoteRemoved: (stream) => fire(this, "onMediaStreamEvent", MEDIASTREAMEVENT.REMOTE_STREAM_REMOVED, stream, {}),
        dataTransfer: (transfer) => fire(this, "onDataTransfer", transfer),
        failed: () => this.#unreachable(),
      });
    }
    return this.#peer;
  }

  /** No way between the two works any more: the caller tries anew once. */
  #unreachable() {
    const error = new ErrorInfo(ERRORCODE.PEERCONNECTION_ERROR, "no way to the other side works");
    if (!this.#restarted && !this.#incoming && CHANGEABLE.includes(this.#state.state) && !this.#asked) {
      this.#restarted = true;
      this.#renegotiate(this.#config, null, null, { iceRestart: true });
    } else {
      this.#tell(error);
    }
  }

  /**
   * Does something with the peer connection, after all that is under way; what goes wrong ends the call, unless
   * `failed` knows better.
   * @param {(peer: CallPeer) => Promise<void>} step
   * @param {(error: ErrorInfo) => void} [failed]
   */
  #step(step, failed = (error) => this.#broken(error)) {
    const run = async () => {
      if (isFinal(this.#state.state)) return;
      await step(/** @type {CallPeer} */ (this.#peer));
    };
    const error = (/** @type {any} */ thrown) => turn(() => {
      if (isFinal(this.#state.state)) return;
      log("warn", "a step of a call failed", thrown);
      failed(thrown instanceof ErrorInfo ? thrown
        : new ErrorInfo(ERRORCODE.PEERCONNECTION_ERROR, String(thrown?.message ?? thrown)));
    });
    this.#queue = this.#queue.then(run).catch(error);
  }

  /** @type {Promise<void>} */
  #queue = Promise.resolve();

  /** @param {ErrorInfo} error that ends it */
  #broken(error) {
    const opening = this.#opening;
    if (opening && this.#incoming && !isFinal(this.#state.state) && this.#state.status.code === 180) {
      this.#session.sendError(opening, 488, "the media cannot be set up");
    } else if (opening && !this.#session.withdraw(opening)) {
      const open = CHANGEABLE.includes(this.#state.state) || this.#state.state === CALLSTATE.UPDATING;
      this.#session.sendMessage(this.#frames.message(ACTION.SHUTDOWN, open ? null : opening, null));
    }
    this.#finish("refused", error.code, error.reason);
    this.#tell(error);
  }

  /** @param {ErrorInfo} error */
  #tell(error) {
    fire({ errorCallback: () => this.#errorCallback?.call(this, error) }, "errorCallback");
  }

  /**
   * @param {import("./call-state.js").CallEvent} event
   * @param {number} [code]
   * @param {string} [reason]
   * @param {Headers} [extHeaders]
   */
  #move(event, code, reason, extHeaders = {}) {
    const next = nextCallState(this.#state.state, event);
    if (next === null) return;
    this.#state = new CallState(next, code, reason);
    fire(this, "onCallStateChange", this.#state, extHeaders);
  }

  /**
   * @param {"refused" | "ended"} event
   * @param {number} [code]
   * @param {string} [reason]
   * @param {Headers} [extHeaders]
   */
  #finish(event, code, reason = "", extHeaders = {}) {
    if (isFinal(this.#state.state)) return;
    this.#session.removeSubSession(this.subSessionId);
    this.#move(event, code, reason, extHeaders);
    for (const { reject } of this.#waiting.splice(0)) reject(new ErrorInfo(code ?? 487, reason));
    this.#peer?.close();
    this.#media.end();
  }
}

/**
 * @param {string} sdp
 * @param {string} purpose
 * @returns {string} the description with the purpose as the session's name
 */
function named(sdp, purpose) {
  return purpose === "" ? sdp : sdp.replace(/^s=.*$/m, `s=${purpose}`);
}
