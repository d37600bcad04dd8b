//! The session: a relation to the server that outlives its sockets.
//!
//! Numbers and keeps the frames (`sequence.js`), moves through the states (`connection-state.js`),
//! hands what comes to its package. Not here: sockets (`connection.js`), which packages and
//! subsessions there are (`packages.js`), chats (`chat.js`).

import { Challenges } from "./auth.js";
import { answer } from "./capability.js";
import { isOver, meaningOfClose, nextSessionState } from "./connection-state.js";
import { Connection } from "./connection.js";
import { ACTION, MESSAGETYPE, SESSIONSTATE } from "./constants.js";
import { environment } from "./environment.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";
import { fire, guarded, later, startTimer, stopTimer } from "./events.js";
import { IceServers } from "./ice.js";
import { log } from "./log.js";
import { Message, PROTOCOL_VERSION, errorTo, readMessage } from "./message.js";
import { PackageHost } from "./packages.js";
import { Sequence } from "./sequence.js";
import { forget, keep, readImage, recall, restoreSequence } from "./session-store.js";

/** The first attempt to reconnect comes within this time, spread by chance. */
const FIRST_RETRY_MS_MAX = 250;
/** No ping interval may be shorter. */
const PING_INTERVAL_MS_MIN = 1000;

/** @typedef {import("./session-store.js").SessionImage} SessionImage */

/** A session with the server. */
export class Session extends PackageHost {
  #userName;
  #success;
  #failure;
  /** @type {string} */
  #state = SESSIONSTATE.NONE;
  #sequence = new Sequence();
  /** Frames of the application from before the session was up. @type {Message[]} */
  #early = [];
  /** @type {Connection} */
  #connection;
  /** Whether the answer to a connect is still to come. */
  #connecting = true;
  #challenges = new Challenges();
  /** @type {any} */
  #authHandler = null;
  #iceServers = new IceServers();
  /** @type {any} */
  #authorization;
  /** @type {string | undefined} */
  #wscId;
  /** @type {any} */
  #giveUpTimer;
  /** @type {any} */
  #ackTimer;
  #extHeaders;
  #extPayloads;
  /** What it goes on with, until the server agrees. @type {SessionImage | null} */
  #image = null;
  #handedOver = false;
  /** Who waits for the hibernation. @type {((error: ErrorInfo | null) => void) | null} */
  #hibernating = null;
  /** @type {(session: Session) => void} */
  #resolveConnected = () => {};
  /** @type {(error: ErrorInfo) => void} */
  #rejectConnected = () => {};

  /**
   * Opens the socket and returns; packages and handlers are made right after, in the same turn.
   *
   * @param {string} userName wanted identity, may be empty; the server's answer decides
   * @param {string} webSocketUri such as `wss://rtc.example.com/ws/webrtc/demo`
   * @param {(() => void) | null} [successCallback] connected, for the first time or afresh
   * @param {((error: ErrorInfo) => void) | null} [failureCallback] it failed for good
   * @param {string | null} [sessionId] of a stored session to be restored
   * @param {Record<string, any> | null} [extHeaders] sent with the connect
   * @param {any} [extPayloads] payload of the connect
   * @param {SessionImage | string | null} [stateInfo] what {@link Session.exportState} gave on another device
   */
  constructor(
    userName, webSocketUri, successCallback, failureCallback, sessionId, extHeaders, extPayloads, stateInfo,
  ) {
    super();
    this.#userName = userName ?? "";
    this.#success = successCallback;
    this.#failure = failureCallback;
    this.#extHeaders = extHeaders;
    this.#extPayloads = extPayloads;
    /** Given by the server. @type {string | null} */
    this.sessionId = null;
    /** Where the session's sockets go. */
    this.webSocketUri = webSocketUri;
    /** Milliseconds between acknowledgement frames. */
    this.ackInterval = 60000;
    /** Milliseconds between pings while a subsession exists. */
    this.busyPingInterval = 3000;
    /** Milliseconds between pings while none exists. */
    this.idlePingInterval = 10000;
    /** Milliseconds between attempts to reconnect, after the first. */
    this.reConnectInterval = 2000;
    /** Milliseconds after which reconnecting is given up. */
    this.reConnectTime = 60000;
    /** Missed pings before the socket counts as lost. */
    this.retryCount = 2;
    /** Seconds for which the server keeps the session while it hibernates. @type {number | undefined} */
    this.timeToLive = undefined;
    /** The server would like it to hibernate. @type {((params: { ttl?: number }) => void) | undefined} */
    this.onHibernateRequest = this.onHibernateRequest;
    /** It hibernates. @type {((params: { ttl: number }) => void) | undefined} */
    this.onHibernated = this.onHibernated;
    /** Every change of state. @type {((sessionState: string) => void) | undefined} */
    this.onSessionStateChange = this.onSessionStateChange;
    /**
     * Settles with the first connect. @type {Promise<Session>}
     */
    this.connected = new Promise((resolve, reject) => {
      this.#resolveConnected = resolve;
      this.#rejectConnected = reject;
    });
    this.connected.catch(() => {});
    this.#connection = new Connection(webSocketUri, {
      opened: () => this.#connect(),
      received: (text) => this.#receive(text),
      lost: (code, reason) => this.#lost(code, reason),
      pingInterval: () => this.#pingInterval(),
      retryCount: () => this.retryCount,
    });
    if (sessionId || stateInfo) {
      const image = stateInfo ? readImage(stateInfo) : recall(sessionId ?? "");
      if (!image) {
        const reason = "no stored data of that session";
        later(() => this.#fail("refused", new ErrorInfo(ERRORCODE.RESTORE_FAILED, reason)));
        return;
      }
      this.#restore(image, Boolean(stateInfo));
    }
    environment.onLeave(() => this.saveToStorage());
    try {
      this.#connection.open();
    } catch (error) {
      log("error", "the session's URL is unusable", error);
      const reason = `cannot open a WebSocket to ${webSocketUri}`;
      later(() => this.#fail("refused", new ErrorInfo(ERRORCODE.WEBSOCKET_ERROR, reason)));
    }
  }

  /** Ends the session and all it has. The server is told by close code 1000. */
  close() {
    if (this.#state === SESSIONSTATE.CLOSED) return;
    this.#release(1000, "Normal close");
    this.#rejectConnected(new ErrorInfo(ERRORCODE.REQUEST_TERMINATED, "closed"));
    this.#state = nextSessionState(this.#state, "close");
    fire(this, "onSessionStateChange", this.#state);
  }

  /** @returns {string | null} */
  getSessionId() {
    return this.sessionId;
  }

  /** @returns {string} the identity in force */
  getUserName() {
    return this.#userName;
  }

  /** @returns {string} one of SESSIONSTATE */
  getSessionState() {
    return this.#state;
  }

  /** @param {number} ms at least 1000 */
  setIdlePingInterval(ms) {
    this.idlePingInterval = Math.max(ms, PING_INTERVAL_MS_MIN);
  }

  /** @param {number} ms at least 1000 */
  setBusyPingInterval(ms) {
    this.busyPingInterval = Math.max(ms, PING_INTERVAL_MS_MIN);
  }

  /** @param {number} ms */
  setReconnectInterval(ms) {
    this.reConnectInterval = ms;
  }

  /** @param {number} ms */
  setReconnectTime(ms) {
    this.reConnectTime = ms;
  }

  /**
   * Parks the session: the server keeps it, and nothing comes in until it is woken.
   * @param {number} timeToLiveSeconds how long it is to be kept
   * @param {((error: ErrorInfo | null) => void) | null} [callback] null: it hibernates
   */
  hibernate(timeToLiveSeconds, callback) {
    this.#hibernating = callback ?? (() => {});
    this.sendMessage(new Message({
      control: { type: MESSAGETYPE.REQUEST, package_type: "register" },
      header: {
        action: ACTION.HIBERNATE, initiator: this.#userName, target: this.#userName, ttl: timeToLiveSeconds,
      },
    }));
  }

  /** Ends the hibernation; so does sending something. */
  wake() {
    if (this.#state === SESSIONSTATE.HIBERNATED) this.#reconnect();
  }

  /**
   * What another device needs to go on with this session; once it has, this one is SUSPENDED.
   * @returns {SessionImage} as good as a password
   */
  exportState() {
    if (this.sessionId === null) throw new Error("wsc: there is no session yet");
    const subSessions = this.getAllSubSessions().map((subSession) => ({
      packageType: this.packageTypeOf(subSession.subSessionId) ?? "",
      subSessionId: subSession.subSessionId,
      data: JSON.parse(JSON.stringify(subSession)),
    })).filter(({ subSessionId }) => subSessionId !== "");
    return {
      sessionId: this.sessionId, userName: this.#userName, wscId: this.#wscId, sequence: this.#sequence.image(), subSessions,
    };
  }

  /** Keeps the session for the page that comes after this one in the same tab; the library does so when the page goes. */
  saveToStorage() {
    if (this.sessionId !== null && !isOver(this.#state) && !keep(this.exportState())) {
      log("warn", "the session could not be kept", ERRORCODE.SAVE_FAILED);
    }
  }

  // For package developers.

  /** @param {any} handler an AuthHandler */
  setAuthHandler(handler) {
    this.#authHandler = handler;
  }

  /** @returns {Promise<RTCIceServer[]>} STUN and TURN servers for a call */
  iceServers() {
    return this.#iceServers.get(this, this.#authHandler);
  }

  /**
   * @override
   * @param {string} packageType
   * @param {string} id
   * @param {import("./packages.js").SubSession} subSession
   */
  putSubSession(packageType, id, subSession) {
    const first = !this.hasSubSessions();
    super.putSubSession(packageType, id, subSession);
    // From now on pings go out at the faster pace.
    if (first && this.#state === SESSIONSTATE.CONNECTED) this.#connection.watch();
  }

  /** @returns {string} the correlation id of the next request; nothing is used up */
  genNewCorrelationId() {
    return `c${this.#sequence.lastSent + 1}`;
  }

  /** @returns {number} */
  getLastOutboundSeq() {
    return this.#sequence.lastSent;
  }

  /**
   * Numbers and sends a frame, or keeps it until the session is up again.
   * @param {Message} message
   */
  sendMessage(message) {
    if (isOver(this.#state)) throw new Error(`wsc: the session is ${this.#state}`);
    if (this.#state === SESSIONSTATE.NONE) {
      this.#early.push(message);
      return;
    }
    if (!message.isACK()) {
      this.#sequence.stamp(message);
      if (message.isRequest()) {
        message.control.correlation_id ??= `c${message.control.sequence}`;
      }
    }
    if (this.#state === SESSIONSTATE.CONNECTED) this.#transmit(message);
    else this.wake();
  }

  /**
   * Takes back a frame that waits for the session to be up.
   * @param {Message} message
   * @returns {boolean} whether it waited
   */
  withdraw(message) {
    const at = this.#early.indexOf(message);
    if (at >= 0) this.#early.splice(at, 1);
    return at >= 0;
  }

  /**
   * Changes the state and fires the event.
   * @param {string} state one of SESSIONSTATE
   */
  setSessionState(state) {
    if (state === this.#state) return;
    this.#state = state;
    fire(this, "onSessionStateChange", state);
  }

  // Going on.

  /**
   * @param {SessionImage} image
   * @param {boolean} handedOver by another device
   */
  #restore(image, handedOver) {
    this.#image = image;
    this.#handedOver = handedOver;
    this.sessionId = image.sessionId;
    this.#wscId = image.wscId;
    this.#userName = image.userName;
    restoreSequence(image, this.#sequence);
    this.#state = nextSessionState(this.#state, "restored");
    later(() => fire(this, "onSessionStateChange", SESSIONSTATE.RELOADING));
  }

  /**
   * What was going on in the former page: packages that know how take it up, the rest is ended.
   * @param {SessionImage} image
   */
  #rehydrate({ subSessions }) {
    for (const { packageType, subSessionId, data } of subSessions) {
      const owner = /** @type {any} */ (this.getPackage(packageType));
      guarded("onRehydration", () => owner?.onRehydration?.(data));
      if (this.getSubSession(subSessionId)) continue;
      const { initiator, target, group } = data ?? {};
      this.sendMessage(new Message({
        control: { type: MESSAGETYPE.MESSAGE, package_type: packageType, subsession_id: subSessionId },
        // Of a group this page is not done with it.
        header: { action: ACTION.SHUTDOWN, initiator, target, ...(group ? { reason: "asleep" } : {}) },
      }));
    }
  }

  /** @param {Message} message about hibernating */
  #hibernation(message) {
    const { ttl, error_code: code = 0, reason } = message.header;
    const callback = this.#hibernating;
    if (message.isRequest()) {
      this.sendError(message, 405, "only the page decides");
      fire(this, "onHibernateRequest", { ttl });
      return;
    }
    this.#hibernating = null;
    if (message.isResponse()) {
      this.timeToLive = ttl;
      stopTimer(this.#ackTimer);
      this.#connection.drop(1000, "Hibernating");
      this.setSessionState(nextSessionState(this.#state, "parked"));
      fire(this, "onHibernated", { ttl });
    }
    const error = message.isError() ? new ErrorInfo(code, reason) : null;
    this.#callBack(callback, error);
  }

  // Connecting.

  #connect() {
    this.#connecting = true;
    const user = this.#userName || undefined;
    const message = new Message({
      control: { type: MESSAGETYPE.REQUEST, package_type: "register" },
      header: { action: ACTION.CONNECT, initiator: user, target: user },
    });
    if (this.#authorization) message.header.authorization = this.#authorization;
    if (this.sessionId !== null) {
      message.control.wsc_id = this.#wscId;
      if (this.#handedOver && this.#image) message.header.handover = true;
      Object.assign(message.header, this.#sequence.marks());
    } else {
      const services = this.services();
      if (services !== "") message.header.enquiry_data = services;
      message.addExtHeaders(this.#extHeaders);
      message.payload = this.#extPayloads ?? undefined;
      this.#sequence.unconfirmed = [];
      this.#sequence.stamp(message);
      message.control.correlation_id = `c${message.control.sequence}`;
    }
    this.#transmit(message);
  }

  /** @param {Message} message the answer to a connect */
  #answered(message) {
    if (message.isError()) {
      this.#refused(message);
      return;
    }
    const { session_id, wsc_id, sequence } = message.control;
    const resumed = this.sessionId !== null && session_id === this.sessionId;
    const lost = this.sessionId !== null && !resumed;
    if (!session_id) {
      this.#fail("refused", new ErrorInfo(400, "the server gave no session id"));
      return;
    }
    this.#connecting = false;
    this.#authorization = undefined;
    this.#challenges = new Challenges();
    stopTimer(this.#giveUpTimer);
    this.sessionId = session_id;
    this.#wscId = wsc_id ?? this.#wscId;
    this.#userName = message.header.initiator ?? this.#userName;
    if (lost) {
      log("warn", "the server gave a fresh session for the lost one");
      this.clearSubSessions();
      this.#sequence.restart();
    }
    if (resumed) {
      this.#sequence.confirm(message.header.sslr ?? message.control.ack_sequence);
    } else {
      this.#sequence.receive(sequence);
      this.#sequence.confirm(this.#sequence.lastSent);
    }
    this.#iceServers.learn(message.payload);
    this.#connection.watch();
    this.#scheduleAck();
    this.setSessionState(nextSessionState(this.#state, resumed || lost ? "resumed" : "connected"));
    for (const kept of this.#sequence.unconfirmed) this.#transmit(kept);
    for (const early of this.#early.splice(0)) this.sendMessage(early);
    const restored = this.#image;
    this.#image = null;
    if (resumed && restored) this.#rehydrate(restored);
    if (!resumed || restored) {
      this.#resolveConnected(this);
      this.#callBack(this.#success);
    }
  }

  /** @param {Message} message the error that answers a connect */
  async #refused(message) {
    const { error_code: code = ERRORCODE.SYSTEM_ERROR, reason = "", authenticate } = message.header;
    if (code === ERRORCODE.UNAUTHORIZED || code === ERRORCODE.PROXYAUTH_REQUIRED) {
      const authorization = await this.#challenges.answer(this.#authHandler, authenticate);
      if (isOver(this.#state)) return;
      if (authorization) {
        this.#authorization = authorization;
        this.#sequence.receive(message.control.sequence);
        this.#connect();
        return;
      }
    }
    if (code === 503 && this.#state === SESSIONSTATE.RECONNECTING) {
      this.#connection.drop();
      this.#retry(this.reConnectInterval);
      return;
    }
    const event = this.#state === SESSIONSTATE.NONE ? "refused" : "given-up";
    this.#fail(event, new ErrorInfo(code, reason));
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    const event = meaningOfClose(code);
    log("info", `the session's socket is gone (${code} ${reason})`);
    if (this.#state === SESSIONSTATE.NONE) {
      const why = reason || "the server cannot be reached";
      this.#fail("lost", new ErrorInfo(ERRORCODE.WEBSOCKET_ERROR, why));
    } else if (event === "lost") {
      this.#reconnect();
    } else if (event === "given-up") {
      this.#fail(event, new ErrorInfo(ERRORCODE.WEBSOCKET_ERROR, reason || "ended by the server"));
    } else {
      this.#end(event);
    }
  }

  #reconnect() {
    this.#connecting = true;
    if (this.#state === SESSIONSTATE.RECONNECTING) {
      this.#retry(this.reConnectInterval);
      return;
    }
    stopTimer(this.#ackTimer);
    this.#giveUpTimer = startTimer(() => {
      const reason = "the connection was lost and did not come back";
      this.#fail("given-up", new ErrorInfo(ERRORCODE.WEBSOCKET_ERROR, reason));
    }, this.reConnectTime);
    this.#retry(environment.chance() * FIRST_RETRY_MS_MAX);
    this.setSessionState(nextSessionState(this.#state, "lost"));
  }

  /** @param {number} ms */
  #retry(ms) {
    this.#connection.openIn(ms);
  }

  // Frames.

  /** @param {string} text */
  #receive(text) {
    const message = readMessage(text);
    if (!message) {
      log("warn", "a text came that is no frame; ignored");
      return;
    }
    if (message.isError() && message.header.error_code === ERRORCODE.SYSTEM_ERROR) {
      const { reason = "system error" } = message.header;
      this.#fail("fatal", new ErrorInfo(ERRORCODE.SYSTEM_ERROR, reason));
      return;
    }
    const { control, header } = message;
    const answersConnect = control.package_type === "register"
      && header.action === ACTION.CONNECT && (message.isResponse() || message.isError());
    if (this.#connecting) {
      if (answersConnect) this.#answered(message);
      else log("warn", "a frame came before the answer to the connect; ignored");
      return;
    }
    // Old servers put the request's number into the response and no ack_sequence.
    const confirmed = control.ack_sequence
      ?? (message.isResponse() || message.isACK() ? control.sequence : undefined);
    this.#sequence.confirm(confirmed);
    if (message.isACK()) return;
    const verdict = this.#sequence.receive(control.sequence);
    if (verdict === "duplicate") return;
    if (verdict === "gap") log("warn", `frames are missing before ${control.sequence}`);
    if (answersConnect && message.isError()) {
      this.#fail("fatal", new ErrorInfo(header.error_code ?? 500, header.reason ?? ""));
      return;
    }
    this.#dispatch(message);
  }

  /** @param {Message} message */
  #dispatch(message) {
    const { control } = message;
    control.package_type ??= this.packageTypeOf(control.subsession_id ?? "");
    const packageType = control.package_type ?? "register";
    if (packageType === "register") {
      if (message.header.action === ACTION.ICE_ENQUIRY) this.#iceServers.learn(message.payload);
      else if (message.header.action === ACTION.HIBERNATE) this.#hibernation(message);
      return;
    }
    if (message.header.action === ACTION.ENQUIRY && packageType !== "capability") {
      this.#enquiry(message);
      return;
    }
    if (message.header.action === ACTION.REPORT && this.takeReport(message)) return;
    const handler = this.getPackage(packageType);
    if (handler) {
      guarded(`package ${packageType}`, () => handler.onMessage(message));
    } else if (message.isRequest()) {
      this.sendError(message, 404, "package not available");
    }
  }

  /**
   * An enquiry inside another package's subsession, or its answer.
   * @param {Message} message
   */
  #enquiry(message) {
    const exchange = this.exchangeOf(message.control.subsession_id ?? "");
    const capability = /** @type {any} */ (this.getPackage("capability"));
    if (exchange) exchange.onMessage(message);
    else if (message.isRequest() && capability) capability.asked(message);
    else if (message.isRequest()) answer(this, message, this.services());
  }

  /**
   * Answers a request with an error.
   * @param {Message} request
   * @param {number} code
   * @param {string} [reason]
   * @param {Record<string, any> | null} [extHeaders]
   */
  sendError(request, code, reason, extHeaders) {
    this.sendMessage(errorTo(request, code, reason, extHeaders));
  }

  /** @param {Message} message */
  #transmit(message) {
    const { control } = message;
    if (this.sessionId !== null) control.session_id = this.sessionId;
    control.version = PROTOCOL_VERSION;
    const received = this.#sequence.lastReceived;
    const confirms = received > 0 && !message.isReconnect()
      && !(message.isACK() && control.sequence !== undefined);
    if (confirms) control.ack_sequence = received;
    if (this.#connection.send(JSON.stringify(message)) && confirms) {
      this.#sequence.lastConfirmed = received;
    }
  }

  #scheduleAck() {
    stopTimer(this.#ackTimer);
    this.#ackTimer = startTimer(() => {
      if (this.#sequence.lastReceived > this.#sequence.lastConfirmed) this.#acknowledge();
      this.#scheduleAck();
    }, this.ackInterval);
  }

  #acknowledge() {
    this.sendMessage(new Message({
      control: { type: MESSAGETYPE.ACK, package_type: "register" },
      header: { action: ACTION.CONNECT, initiator: this.#userName, target: this.#userName },
    }));
  }

  // Keeping alive, and the end.

  #pingInterval() {
    const wanted = this.hasSubSessions() ? this.busyPingInterval : this.idlePingInterval;
    return Math.max(wanted, PING_INTERVAL_MS_MIN);
  }

  /**
   * @param {import("./connection-state.js").SessionEvent} event
   * @param {ErrorInfo} error
   */
  #fail(event, error) {
    if (isOver(this.#state)) return;
    this.#release();
    this.#rejectConnected(error);
    const wasNone = this.#state === SESSIONSTATE.NONE;
    const next = nextSessionState(this.#state, event);
    if (next === SESSIONSTATE.FAILED) this.setSessionState(next);
    this.#callBack(this.#failure, error);
    // CLOSED is the last that is heard of a session.
    if (wasNone || next === SESSIONSTATE.CLOSED) this.setSessionState(SESSIONSTATE.CLOSED);
  }

  /** @param {import("./connection-state.js").SessionEvent} event */
  #end(event) {
    this.#release();
    this.setSessionState(nextSessionState(this.#state, event));
  }

  /**
   * Frees everything this session holds here.
   * @param {number} [code]
   * @param {string} [reason]
   */
  #release(code, reason) {
    if (this.sessionId !== null) forget(this.sessionId);
    stopTimer(this.#giveUpTimer);
    stopTimer(this.#ackTimer);
    this.#connection.drop(code, reason);
    this.#early = [];
    this.clearSubSessions();
  }

  /**
   * @param {((...args: any[]) => void) | null | undefined} callback
   * @param {...any} args
   */
  #callBack(callback, ...args) {
    fire({ callback }, "callback", ...args);
  }
}
