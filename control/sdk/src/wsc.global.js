// Made by build/classic.js from the modules beside it; change those, not this.
(function () {
"use strict";
const modules = {};

modules["environment.js"] = (function () {
//! Everything the library takes from its surroundings: sockets, clock, timers, chance.
//! Tests put their own in place; no other module names these globals.

const environment = {
  /**
   * @param {string} url
   * @param {string[]} protocols
   * @returns {WebSocket} throws a SyntaxError if the URL is unusable
   */
  openSocket: (url, protocols) => new WebSocket(url, protocols),

  /**
   * @param {RTCConfiguration} configuration
   * @returns {RTCPeerConnection}
   */
  openPeer: (configuration) => new RTCPeerConnection(configuration),

  /** @returns {boolean} whether there can be calls at all */
  hasPeers: () => typeof RTCPeerConnection === "function",

  /**
   * @param {{ audio: boolean, video: boolean }} what
   * @returns {Promise<MediaStream>} rejects if the user or the machine does not give it
   */
  captureMedia: (what) => navigator.mediaDevices.getUserMedia(what),

  /**
   * @param {MediaStreamTrack[]} tracks
   * @returns {MediaStream}
   */
  makeStream: (tracks) => new MediaStream(tracks),

  /**
   * @param {string} text of its script
   * @returns {Worker} throws where there is none; where the page's policy forbids it, its `onerror` is called
   */
  openWorker: (text) => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      return new Worker(url);
    } finally {
      // It is being fetched by now.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    }
  },

  /** @returns {Storage} of this tab; throws where there is none */
  storage: () => sessionStorage,

  /** @param {() => void} callback called when the page goes away */
  onLeave: (callback) => {
    if (typeof window === "object") window.addEventListener("pagehide", callback);
  },

  /** @returns {number} milliseconds of a clock that never jumps */
  now: () => performance.now(),

  /**
   * @param {() => void} callback
   * @param {number} ms
   * @returns {any} what `stopTimer` takes
   */
  startTimer: (callback, ms) => setTimeout(callback, ms),

  /** @param {any} timer */
  stopTimer: (timer) => clearTimeout(timer),

  /** @returns {number} from 0 to less than 1; for jitter, not for secrets */
  chance: () => Math.random(),

  /**
   * @param {number} count
   * @returns {Uint8Array} octets nobody can guess
   */
  randomOctets: (count) => crypto.getRandomValues(new Uint8Array(count)),
};
return { environment };
})();

modules["adapter.js"] = (function () {
const { environment } = modules["environment.js"];
//! Small functions that pages in use expect beside the classes.


/**
 * Makes a class of the old kind inherit another; `Sub.superclass` is the other's prototype.
 * @param {any} Sub
 * @param {any} Base
 */
function extend(Sub, Base) {
  Object.setPrototypeOf(Sub.prototype, Base.prototype);
  Sub.superclass = Base.prototype;
}

/** @returns {{ webrtc: boolean, flash: boolean }} what the browser can do */
function getMediaOptions() {
  return { webrtc: environment.hasPeers(), flash: false };
}

/**
 * Shows a stream in a media element.
 * @param {any} element
 * @param {MediaStream | null} stream
 */
function attachMediaStream(element, stream) {
  element.srcObject = stream;
}
return { extend, getMediaOptions, attachMediaStream };
})();

modules["constants.js"] = (function () {
//! The constant objects of the API. Values are the words themselves unless a number is given.

/** States of a {@link Session}. */
const SESSIONSTATE = Object.freeze({
  /** Created, not yet connected. */
  NONE: "NONE",
  /** The session is up. */
  CONNECTED: "CONNECTED",
  /** The socket was lost; the library is trying to resume. */
  RECONNECTING: "RECONNECTING",
  /** Being restored after a page reload. */
  RELOADING: "RELOADING",
  /** Socket closed on purpose, session parked on the server. */
  HIBERNATED: "HIBERNATED",
  /** The session went on elsewhere; this client must not reconnect. */
  SUSPENDED: "SUSPENDED",
  /** Ended abnormally. */
  FAILED: "FAILED",
  /** Ended orderly. */
  CLOSED: "CLOSED",
});

/** States of a chat's signalling, as {@link CallState} reports them. */
const CALLSTATE = Object.freeze({
  NONE: "NONE",
  STARTED: "STARTED",
  RESPONDED: "RESPONDED",
  ESTABLISHED: "ESTABLISHED",
  UPDATING: "UPDATING",
  UPDATE_FAILED: "UPDATE_FAILED",
  UPDATED: "UPDATED",
  FAILED: "FAILED",
  ERROR: "ERROR",
  ENDED: "ENDED",
});

/** States of the MSRP connection of a chat. */
const ConnectionStateEnum = Object.freeze({
  NONE: "NONE",
  CONNECTING: "CONNECTING",
  OPEN: "OPEN",
  CLOSED: "CLOSED",
  ERROR: "ERROR",
});

/** Directions of a call's media, as seen from one end. */
const MEDIADIRECTION = Object.freeze({
  SENDONLY: "SENDONLY",
  RECVONLY: "RECVONLY",
  SENDRECV: "SENDRECV",
  NONE: "NONE",
});

/** What a call tells of its streams. */
const MEDIASTREAMEVENT = Object.freeze({
  LOCAL_STREAM_ADDED: "LOCAL_STREAM_ADDED",
  LOCAL_STREAM_REMOVED: "LOCAL_STREAM_REMOVED",
  LOCAL_STREAM_ERROR: "LOCAL_STREAM_ERROR",
  REMOTE_STREAM_ADDED: "REMOTE_STREAM_ADDED",
  REMOTE_STREAM_REMOVED: "REMOTE_STREAM_REMOVED",
  REMOTE_STREAM_ERROR: "REMOTE_STREAM_ERROR",
});

/** What an {@link AuthHandler} is asked for. */
const AUTHTYPE = Object.freeze({ SERVICE: "SERVICE", TURN: "TURN" });

/** Verbs of frames, `header.action`. */
const ACTION = Object.freeze({
  CONNECT: "connect",
  START: "start",
  SHUTDOWN: "shutdown",
  REBIND: "rebind",
  COMPLETE: "complete",
  NOTIFY: "notify",
  TRICKLE: "trickle",
  PRACK: "prack",
  SEND: "send",
  ENQUIRY: "enquiry",
  ROSTER: "roster",
  REPORT: "report",
  COPY: "copy",
  HIBERNATE: "hibernate",
  ICE_ENQUIRY: "iceEnquiry",
});

/** Kinds of frames, `control.type`. */
const MESSAGETYPE = Object.freeze({
  REQUEST: "request",
  RESPONSE: "response",
  MESSAGE: "message",
  ERROR: "error",
  ACK: "acknowledgement",
});

/** Whether a response ends its transaction, `control.message_state`. */
const MESSAGESTATE = Object.freeze({
  INITIAL: "initial",
  SUBSEQUENT: "subsequent",
  FINAL: "final",
});

/** Where groups are made, wherever the network has that. */
const FACTORY = "conference-factory";
return { SESSIONSTATE, CALLSTATE, ConnectionStateEnum, MEDIADIRECTION, MEDIASTREAMEVENT, AUTHTYPE, ACTION, MESSAGETYPE, MESSAGESTATE, FACTORY };
})();

modules["log.js"] = (function () {
//! Logging: a threshold and a console-like logger that the application may replace.

/** Thresholds for {@link setLogLevel}. */
const LOGLEVEL = Object.freeze({ DEBUG: 2, INFO: 4, WARN: 6, ERROR: 8, OFF: 10 });

/**
 * What {@link setLogger} takes; `console` is one.
 * @typedef {{ [method in "debug"|"info"|"warn"|"error"|"log"]: (...what: any[]) => void }} Logger
 */

/** @type {Logger} */
let logger = console;
/** @type {number} */
let threshold = LOGLEVEL.WARN;

/**
 * Sets how much is logged; {@link LOGLEVEL}.WARN at first.
 * @param {number} level
 */
function setLogLevel(level) {
  threshold = level;
}

/**
 * Replaces the logger, the console at first.
 * @param {Logger} replacement
 */
function setLogger(replacement) {
  logger = replacement;
}

/** @returns {Logger} the logger in use */
function getLogger() {
  return logger;
}

/**
 * Logs if the threshold allows. Contents of messages and secret paths are never given to it.
 * @param {"debug"|"info"|"warn"|"error"} method
 * @param {...any} what
 */
function log(method, ...what) {
  const level = { debug: 2, info: 4, warn: 6, error: 8 }[method];
  if (level >= threshold) logger[method]("wsc:", ...what);
}
return { LOGLEVEL, setLogLevel, setLogger, getLogger, log };
})();

modules["events.js"] = (function () {
const { environment } = modules["environment.js"];
const { log } = modules["log.js"];
//! Calls the application's callbacks, and keeps them out of the library's own steps.
//!
//! A callback is a property that is looked up when its event comes. What it throws is logged and
//! goes no further. Events queue up: those that a socket or a timer causes are delivered at the end
//! of that turn, those that the application's own call causes in the next task, so that callbacks
//! may be assigned after that call. Order is kept, and no callback ever runs inside a library step.


/** @type {(() => void)[]} */
const waiting = [];
let scheduled = false;
/** Whether somebody will deliver what waits without being told. */
let attended = false;

/**
 * Calls `target[name](...args)` soon.
 * @param {object} target
 * @param {string} name
 * @param {...any} args
 */
function fire(target, name, ...args) {
  later(() => {
    const callback = /** @type {any} */ (target)[name];
    if (typeof callback === "function") guarded(name, () => callback.apply(target, args));
  });
}

/**
 * Calls the first of these callbacks that is set: pages in use know some under several names.
 * @param {object} target
 * @param {string[]} names
 * @param {...any} args
 */
function fireFirst(target, names, ...args) {
  later(() => {
    const known = /** @type {any} */ (target);
    const name = names.find((one) => typeof known[one] === "function");
    if (name) guarded(name, () => known[name].apply(target, args));
  });
}

/**
 * Runs `work` soon, in order with the events.
 * @param {() => void} work
 */
function later(work) {
  waiting.push(work);
  if (!attended) schedule();
}

/**
 * Runs a step that a socket or a timer asks for, then delivers its events.
 * @param {() => void} step
 */
function turn(step) {
  if (attended) {
    step();
    return;
  }
  attended = true;
  guarded("a step", step);
  // What callbacks cause in their turn waits for the next task.
  for (const work of waiting.splice(0)) guarded("an event", work);
  attended = false;
  if (waiting.length > 0) schedule();
}

/**
 * @param {() => void} step run as a {@link turn}
 * @param {number} ms
 * @returns {any} what {@link stopTimer} takes
 */
function startTimer(step, ms) {
  return environment.startTimer(() => turn(step), ms);
}

/** @param {any} timer */
function stopTimer(timer) {
  environment.stopTimer(timer);
}

/**
 * Runs `work`, logs what it throws.
 * @template T
 * @param {string} what it is, for the log
 * @param {() => T} work
 * @returns {T | undefined}
 */
function guarded(what, work) {
  try {
    return work();
  } catch (error) {
    log("error", `${what} threw`, error);
    return undefined;
  }
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  environment.startTimer(() => {
    scheduled = false;
    turn(() => {});
  }, 0);
}
return { fire, fireFirst, later, turn, startTimer, stopTimer, guarded };
})();

modules["auth.js"] = (function () {
const { AUTHTYPE } = modules["constants.js"];
const { guarded } = modules["events.js"];
//! Answers to challenges, which only the application can give.


/** How often the application is asked per connect. */
const ASKED_MAX = 3;

/** Asks the application for credentials. Make one right after the session, and set `refresh`. */
class AuthHandler {
  /** @param {import("./client.js").Session} session */
  constructor(session) {
    /**
     * Returns what becomes `header.authorization` (or a promise of it); false or null cancels.
     * @type {((authType: string, authHeaders: any) => any) | undefined}
     */
    this.refresh = this.refresh;
    session.setAuthHandler(this);
  }
}

/**
 * @param {AuthHandler | null} handler
 * @returns {Promise<RTCIceServer[] | null>} what the application gives for a call; null: nothing
 */
async function turnServers(handler) {
  if (typeof handler?.refresh !== "function") return null;
  const given = await guarded("refresh", async () => handler.refresh?.(AUTHTYPE.TURN, null))?.catch(() => null);
  if (!Array.isArray(given?.iceServers)) return null;
  // `url` is what pages wrote before there was `urls`.
  return given.iceServers.map((/** @type {any} */ { url, ...server }) => ({ urls: url, ...server }));
}

/** The asking during one connect: at most three times. */
class Challenges {
  #asked = 0;

  /**
   * @param {AuthHandler | null} handler
   * @param {any} authenticate the server's challenge
   * @returns {Promise<object | null>} what goes into `header.authorization`; null: none to be had
   */
  async answer(handler, authenticate) {
    while (typeof handler?.refresh === "function" && this.#asked < ASKED_MAX) {
      this.#asked += 1;
      const answer = await guarded("refresh", async () =>
        handler.refresh?.(AUTHTYPE.SERVICE, authenticate ?? null))?.catch(() => undefined);
      if (answer === null || answer === false) return null;
      if (typeof answer === "object") return answer;
    }
    return null;
  }
}
return { AuthHandler, turnServers, Challenges };
})();

modules["call-config.js"] = (function () {
const { MEDIADIRECTION } = modules["constants.js"];
//! What one end of a call sends and takes, and what the other end's description says of that. Pure.


const { SENDONLY, RECVONLY, SENDRECV, NONE } = MEDIADIRECTION;

/** What may answer an offer, by the direction that the offering side has. RFC 3264, 6.1.
 * @type {Readonly<Record<string, string[]>>} */
const ANSWERS = Object.freeze({
  [SENDRECV]: [SENDRECV, SENDONLY, RECVONLY, NONE],
  [SENDONLY]: [RECVONLY, NONE],
  [RECVONLY]: [SENDONLY, NONE],
  [NONE]: [NONE],
});

/** A data channel that is wanted. @typedef {{ label: string, reliable?: boolean }} DataChannelConfig */

/** Media of one end of a call. */
class CallConfig {
  /**
   * @param {string} [audioMediaDirection] one of MEDIADIRECTION
   * @param {string} [videoMediaDirection] one of MEDIADIRECTION
   * @param {DataChannelConfig[] | null} [dataChannelConfig] one data channel each; of a remote end an empty list says that
   *   it has some
   */
  constructor(audioMediaDirection = NONE, videoMediaDirection = NONE, dataChannelConfig = null) {
    /** Direction of audio, of MEDIADIRECTION. */
    this.audioConfig = audioMediaDirection;
    /** Direction of video, of MEDIADIRECTION. */
    this.videoConfig = videoMediaDirection;
    /** Data channels; null: none. */
    this.dataChannelConfig = dataChannelConfig;
  }

  /** @returns {boolean} */
  hasAudio() {
    return this.audioConfig !== NONE;
  }

  /** @returns {boolean} */
  hasVideo() {
    return this.videoConfig !== NONE;
  }

  /** @returns {boolean} */
  shouldSendAudio() {
    return sends(this.audioConfig);
  }

  /** @returns {boolean} */
  shouldSendVideo() {
    return sends(this.videoConfig);
  }

  /** @returns {boolean} */
  shouldReceiveAudio() {
    return takes(this.audioConfig);
  }

  /** @returns {boolean} */
  shouldReceiveVideo() {
    return takes(this.videoConfig);
  }
}

/**
 * A config from what the application gave: one, a plain object, or nothing.
 * @param {any} given
 * @param {CallConfig} [otherwise]
 * @returns {CallConfig}
 * @throws {TypeError} if a direction is none of MEDIADIRECTION
 */
function readCallConfig(given, otherwise = new CallConfig(SENDRECV)) {
  const { audioConfig = NONE, videoConfig = NONE, dataChannelConfig = null } = given ?? otherwise;
  for (const direction of [audioConfig, videoConfig]) {
    if (!(direction in ANSWERS)) throw new TypeError(`wsc: not a media direction: ${direction}`);
  }
  return new CallConfig(audioConfig, videoConfig, dataChannelConfig);
}

/**
 * What the other end says of its media in a description.
 * @param {string} sdp
 * @returns {CallConfig} as the other end sees it: SENDONLY means that it sends
 */
function configOf(sdp) {
  const [session, ...sections] = sdp.split(/\r?\n(?=m=)/);
  const config = new CallConfig();
  for (const section of sections) {
    const [kind, port] = section.slice(2).split(" ", 2);
    // Of a bundle only the first needs a port of its own. RFC 8843, 6.
    if (port === "0" && !/\na=bundle-only\b/.test(section)) continue;
    const direction = directionOf(section) ?? directionOf(session) ?? SENDRECV;
    if (kind === "audio" && !config.hasAudio()) config.audioConfig = direction;
    if (kind === "video" && !config.hasVideo()) config.videoConfig = direction;
    if (kind === "application") config.dataChannelConfig = [];
  }
  return config;
}

/**
 * @param {CallConfig} offered by the other end
 * @param {CallConfig} answer
 * @returns {string} what is wrong with this answer, or nothing
 */
function conflictOf(offered, answer) {
  for (const kind of /** @type {const} */ (["audioConfig", "videoConfig"])) {
    if (!ANSWERS[offered[kind]].includes(answer[kind])) {
      return `${kind} ${answer[kind]} is no answer to ${offered[kind]}`;
    }
  }
  return "";
}

/**
 * The most of what an end has that is an answer to an offer.
 * @param {CallConfig} offered by the other end
 * @param {CallConfig} own
 * @returns {CallConfig}
 */
function fitting(offered, own) {
  const fit = (/** @type {string} */ theirs, /** @type {string} */ ours) => {
    const sending = sends(ours) && takes(theirs);
    const taking = takes(ours) && sends(theirs);
    if (sending && taking) return SENDRECV;
    if (sending) return SENDONLY;
    return taking ? RECVONLY : NONE;
  };
  const { audioConfig, videoConfig, dataChannelConfig } = own;
  return new CallConfig(
    fit(offered.audioConfig, audioConfig), fit(offered.videoConfig, videoConfig), dataChannelConfig,
  );
}

/** All that an offer may ask for. */
const EVERYTHING = Object.freeze(new CallConfig(SENDRECV, SENDRECV));

/**
 * @param {CallConfig} own
 * @returns {CallConfig} the same, and what it has nothing of is taken if it is offered
 */
function receiving({ audioConfig, videoConfig }) {
  const orTaken = (/** @type {string} */ direction) => (direction === NONE ? RECVONLY : direction);
  return new CallConfig(orTaken(audioConfig), orTaken(videoConfig));
}

/** @param {string} text */
function directionOf(text) {
  const word = /\na=(sendrecv|sendonly|recvonly|inactive)\b/.exec(text)?.[1];
  return word === "inactive" ? NONE : word?.toUpperCase();
}

/** @param {string} direction */
function sends(direction) {
  return direction === SENDRECV || direction === SENDONLY;
}

/** @param {string} direction */
function takes(direction) {
  return direction === SENDRECV || direction === RECVONLY;
}
return { CallConfig, readCallConfig, configOf, conflictOf, fitting, EVERYTHING, receiving };
})();

modules["message.js"] = (function () {
const { ACTION, MESSAGETYPE } = modules["constants.js"];
//! One frame of the protocol: a JSON object with `control`, `header`, `payload`.
//! Strict in what is sent, lenient in what is read.


/** The protocol's version, on every frame. */
const PROTOCOL_VERSION = "1.0";

/** Headers with a meaning of their own; all others are the application's. */
const SYSTEM_HEADERS = new Set([
  "action", "initiator", "initiator_name", "target", "share", "cslr", "cslw", "csuw", "sslr", "error_code", "response_code",
  "reason", "authenticate", "authorization", "participants", "group", "enquiry_data", "expiry", "ttl",
  "reliable",
]);

/**
 * @typedef {object} Control
 * @property {string} [type]
 * @property {string} [package_type]
 * @property {string} [session_id]
 * @property {string} [subsession_id]
 * @property {number} [sequence]
 * @property {number} [ack_sequence]
 * @property {string} [correlation_id]
 * @property {string} [message_state]
 * @property {string} [version]
 * @property {string} [wsc_id]
 */

/** @typedef {Record<string, any>} Header */

/** One frame. */
class Message {
  /** @param {{ control?: Control, header?: Header, payload?: any } | string} [json] */
  constructor(json = {}) {
    const frame = typeof json === "string" ? JSON.parse(json) : json;
    /** Mechanics of the protocol. @type {Control} */
    this.control = frame.control ?? {};
    /** What is meant, and between whom. @type {Header} */
    this.header = frame.header ?? {};
    /** The body, if any. @type {any} */
    this.payload = frame.payload;
  }

  /** @returns {boolean} */
  isRequest() {
    return this.control.type === MESSAGETYPE.REQUEST;
  }

  /** @returns {boolean} */
  isResponse() {
    return this.control.type === MESSAGETYPE.RESPONSE;
  }

  /** @returns {boolean} */
  isMessage() {
    return this.control.type === MESSAGETYPE.MESSAGE;
  }

  /** @returns {boolean} */
  isError() {
    return this.control.type === MESSAGETYPE.ERROR;
  }

  /** @returns {boolean} */
  isACK() {
    return this.control.type === MESSAGETYPE.ACK;
  }

  /** @returns {boolean} whether it resumes a session: a connect that names one */
  isReconnect() {
    return this.control.package_type === "register" && this.isRequest()
      && this.header.action === ACTION.CONNECT && this.control.session_id !== undefined;
  }

  /**
   * Confirms this one frame.
   * @param {{ sendMessage(message: Message): void }} session
   */
  ack(session) {
    const { package_type, subsession_id, sequence } = this.control;
    session.sendMessage(new Message({
      control: { type: MESSAGETYPE.ACK, package_type, subsession_id, sequence },
    }));
  }

  /**
   * Sends `complete` for this response.
   * @param {{ sendMessage(message: Message): void }} session
   */
  complete(session) {
    const { package_type, subsession_id, correlation_id } = this.control;
    const { initiator, target } = this.header;
    session.sendMessage(new Message({
      control: { type: MESSAGETYPE.MESSAGE, package_type, subsession_id, correlation_id },
      header: { action: ACTION.COMPLETE, initiator, target },
    }));
  }

  /**
   * Adds headers of the application; those already there stay as they are.
   * @param {Record<string, any> | null} [headers]
   */
  addExtHeaders(headers) {
    for (const [name, value] of Object.entries(headers ?? {})) {
      if (!Object.hasOwn(this.header, name)) this.header[name] = value;
    }
  }

  /** @returns {Record<string, any>} the headers that are the application's */
  getExtHeaders() {
    return Object.fromEntries(
      Object.entries(this.header).filter(([name]) => !SYSTEM_HEADERS.has(name)),
    );
  }
}

/**
 * @param {Message} request
 * @param {number} code
 * @param {string} [reason]
 * @param {Record<string, any> | null} [extHeaders]
 * @returns {Message} the error that answers a request
 */
function errorTo(request, code, reason, extHeaders) {
  const { package_type, subsession_id, correlation_id } = request.control;
  const { action, initiator, target } = request.header;
  const error = new Message({
    control: { type: MESSAGETYPE.ERROR, package_type, subsession_id, correlation_id },
    header: { action, initiator, target, error_code: code, reason },
  });
  error.addExtHeaders(extHeaders);
  return error;
}

/**
 * Reads a frame as it came.
 * @param {string} text
 * @returns {Message | null} null if it is no frame at all
 */
function readMessage(text) {
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(json) || !isObject(json.control)) return null;
  const header = isObject(json.header) ? { ...json.header } : {};
  const control = { ...json.control };
  for (const name of ["sequence", "ack_sequence"]) control[name] = toCount(control[name]);
  for (const name of ["session_id", "subsession_id", "correlation_id", "version"]) {
    if (typeof control[name] === "number") control[name] = String(control[name]);
  }
  for (const name of ["sslr", "response_code", "error_code"]) {
    if (header[name] !== undefined) header[name] = toCount(header[name]);
  }
  if (header.initiator === undefined && header.initator !== undefined) {
    header.initiator = header.initator;
    delete header.initator;
  }
  if (control.package_type === "fileTransfer") control.package_type = "file_transfer";
  if (control.package_type === undefined && header.action === ACTION.CONNECT) {
    control.package_type = "register";
  }
  return new Message({ control, header, payload: json.payload });
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {any} value a number, or one written as a string
 * @returns {number | undefined}
 */
function toCount(value) {
  const count = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}
return { PROTOCOL_VERSION, Message, errorTo, readMessage };
})();

modules["call-frames.js"] = (function () {
const { ACTION, MESSAGESTATE, MESSAGETYPE } = modules["constants.js"];
const { Message } = modules["message.js"];
//! The frames that one call sends. Pure, but for the ids that the session makes.


/** @typedef {Record<string, any> | null | undefined} Headers */

/** Makes frames with the ids and parties of one call. */
class CallFrames {
  #session;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} initiator
   * @param {string} target
   */
  constructor(session, initiator, target) {
    this.#session = session;
    /** Who called. */
    this.initiator = initiator;
    /** The name of who called, where the network tells one. */
    this.initiatorName = "";
    /** Who was called. */
    this.target = target;
    /** Type of the package. */
    this.packageType = "call";
    /** Id of the subsession. */
    this.subSessionId = session.generateSubSessionId();
  }

  /** @param {Message} request which the other side has opened the call with */
  opened({ control, header }) {
    this.initiator = header.initiator ?? "";
    this.initiatorName = header.initiator_name ?? "";
    this.target = header.target ?? this.#session.getUserName();
    this.subSessionId = control.subsession_id ?? this.subSessionId;
  }

  /**
   * @param {boolean} incoming whether the peer has called
   * @returns {string} the other side
   */
  peer(incoming) {
    return incoming ? this.initiator : this.target;
  }

  /**
   * A call, or a change of one.
   * @param {string} messageState
   * @param {string} sdp
   * @param {Headers} extHeaders
   */
  request(messageState, sdp, extHeaders) {
    const own = this.#session.getUserName();
    const changes = messageState !== MESSAGESTATE.INITIAL;
    if (!changes) this.initiator = own;
    const header = { initiator: own, target: changes ? this.#other(own) : this.target };
    const request = this.#frame(MESSAGETYPE.REQUEST, ACTION.START, header, { message_state: messageState });
    request.payload = { sdp };
    request.addExtHeaders(extHeaders);
    return request;
  }

  /**
   * An answer to a `start` of theirs.
   * @param {Message} request
   * @param {string} messageState
   * @param {string | undefined} sdp
   * @param {Headers} extHeaders
   */
  response(request, messageState, sdp, extHeaders) {
    const { initiator, target } = request.header;
    const { correlation_id } = request.control;
    const response = this.#frame(
      MESSAGETYPE.RESPONSE, ACTION.START, { initiator, target }, { correlation_id, message_state: messageState },
    );
    if (sdp !== undefined) response.payload = { sdp };
    response.addExtHeaders(extHeaders);
    return response;
  }

  /**
   * Confirms progress.
   * @param {Message} progress
   */
  prack({ control: { correlation_id }, header: { initiator, target } }) {
    return this.#frame(MESSAGETYPE.REQUEST, ACTION.PRACK, { initiator, target }, { correlation_id });
  }

  /**
   * @param {string} action
   * @param {Message | null} about the request it is about, or null for one of its own
   * @param {Headers} extHeaders
   */
  message(action, about, extHeaders) {
    const own = this.#session.getUserName();
    const correlation_id = about?.control.correlation_id ?? this.#session.genNewCorrelationId();
    const message = this.#frame(
      MESSAGETYPE.MESSAGE, action, { initiator: own, target: this.#other(own) }, { correlation_id },
    );
    message.addExtHeaders(extHeaders);
    return message;
  }

  /**
   * @param {string} candidates
   * @param {boolean} incoming
   */
  trickle(candidates, incoming) {
    const header = { initiator: this.#session.getUserName(), target: this.peer(incoming) };
    const trickle = this.#frame(MESSAGETYPE.MESSAGE, ACTION.TRICKLE, header, {});
    trickle.payload = { candidates };
    return trickle;
  }

  /** @param {string} own */
  #other(own) {
    return this.initiator === own ? this.target : this.initiator;
  }

  /**
   * @param {string} type
   * @param {string} action
   * @param {{ initiator?: string, target?: string }} parties
   * @param {Partial<import("./message.js").Control>} control
   */
  #frame(type, action, parties, control) {
    const ids = { type, package_type: this.packageType, subsession_id: this.subSessionId };
    return new Message({ control: { ...ids, ...control }, header: { action, ...parties } });
  }
}
return { CallFrames };
})();

modules["candidates.js"] = (function () {
//! Candidates as frames carry them: lines of a description, each section's after its `a=mid`. RFC 8840, 9. Pure.

/** Octets of candidates that are read at once. */
const TEXT_MAX = 32 * 1024;

/** A candidate and the section it is of. @typedef {{ candidate: string, sdpMid: string }} MidCandidate */

/**
 * @param {MidCandidate[]} candidates
 * @param {boolean} [complete] whether there will be no more
 * @returns {string} lines; empty if there is nothing to say
 */
function writeCandidates(candidates, complete = false) {
  const mids = [...new Set(candidates.map(({ sdpMid }) => sdpMid))];
  const lines = mids.flatMap((mid) => [
    `a=mid:${mid}`,
    ...candidates.filter(({ sdpMid }) => sdpMid === mid).map(({ candidate }) => `a=${candidate}`),
    ...(complete ? ["a=end-of-candidates"] : []),
  ]);
  return lines.map((line) => `${line}\r\n`).join("");
}

/**
 * @param {any} text
 * @returns {MidCandidate[]} in order; what can't be read is left out
 */
function readCandidates(text) {
  if (typeof text !== "string" || text.length > TEXT_MAX) return [];
  /** @type {MidCandidate[]} */
  const found = [];
  /** @type {string | undefined} */
  let sdpMid;
  for (const line of text.split(/\r?\n/)) {
    const value = line.replace(/^a=/, "");
    if (value.startsWith("mid:")) sdpMid = value.slice("mid:".length).trim();
    else if (value.startsWith("candidate:") && sdpMid !== undefined) found.push({ candidate: value, sdpMid });
  }
  return found;
}
return { writeCandidates, readCandidates };
})();

modules["data-transfer.js"] = (function () {
const { fire, turn } = modules["events.js"];
//! A data channel of a call, as the API shows it.


/** Sends on a channel. */
class DataSender {
  #channel;

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    this.#channel = channel;
  }

  /**
   * @param {string | Blob | ArrayBuffer | ArrayBufferView} data
   * @throws whatever the channel throws, such as when it is not open
   */
  send(data) {
    this.#channel.send(/** @type {any} */ (data));
  }
}

/** Takes what comes on a channel. */
class DataReceiver {
  constructor() {
    /** Data came: `event.data`. @type {((event: MessageEvent) => void) | undefined} */
    this.onMessage = this.onMessage;
  }
}

/** A data channel. */
class DataTransfer {
  #channel;
  #sender;
  #receiver = new DataReceiver();
  #closed = false;

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    this.#channel = channel;
    this.#sender = new DataSender(channel);
    /** The channel's label. */
    this.label = channel.label;
    /** The channel is open. @type {((event?: Event) => void) | undefined} */
    this.onOpen = this.onOpen;
    /** The channel is closed. @type {((event?: Event) => void) | undefined} */
    this.onClose = this.onClose;
    /** The channel has failed. @type {((event?: Event) => void) | undefined} */
    this.onError = this.onError;
    channel.binaryType = "arraybuffer";
    channel.onopen = (event) => turn(() => fire(this, "onOpen", event));
    channel.onclose = (event) => turn(() => this.close(event));
    channel.onerror = (event) => turn(() => fire(this, "onError", event));
    channel.onmessage = (event) => turn(() => fire(this.#receiver, "onMessage", event));
    // One that the other side made may be open already.
    if (channel.readyState === "open") fire(this, "onOpen");
  }

  /** @returns {"none" | "starting" | "open" | "closed"} */
  getState() {
    if (this.#closed) return "closed";
    const { readyState } = this.#channel;
    if (readyState === "connecting") return "starting";
    return readyState === "open" ? "open" : "closed";
  }

  /** @returns {DataSender | null} null before it is open */
  getSender() {
    return this.getState() === "open" ? this.#sender : null;
  }

  /** @returns {DataReceiver} where its `onMessage` is set, best before the channel is open */
  getReceiver() {
    return this.#receiver;
  }

  /** @returns {RTCDataChannel} the channel itself, such as for its `bufferedAmount` */
  getChannel() {
    return this.#channel;
  }

  // For the call.

  /**
   * It is over, with its call or by itself.
   * @param {Event} [event]
   */
  close(event) {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.close();
    fire(this, "onClose", event);
  }
}
return { DataSender, DataReceiver, DataTransfer };
})();

modules["call-peer.js"] = (function () {
const { readCandidates, writeCandidates } = modules["candidates.js"];
const { DataTransfer } = modules["data-transfer.js"];
const { environment } = modules["environment.js"];
const { startTimer, stopTimer, turn } = modules["events.js"];
const { log } = modules["log.js"];
//! The browser's side of a call: its RTCPeerConnection, tracks, data channels and candidates. Not here: who is asked, and
//! what an answer means (`call.js`).


/** Longest time that candidates are waited for before a description goes out, in milliseconds. */
const GATHER_MS_MAX = 5000;
/** Candidates that are found within so many milliseconds go out together. */
const TRICKLE_MS = 60;
/** Candidates kept for a description that has not come. */
const EARLY_MAX = 256;

/** A direction of MEDIADIRECTION as transceivers call it. @type {Record<string, RTCRtpTransceiverDirection>} */
const DIRECTIONS = { SENDRECV: "sendrecv", SENDONLY: "sendonly", RECVONLY: "recvonly", NONE: "inactive" };

/**
 * What a call is told.
 * @typedef {object} PeerHooks
 * @property {(lines: string) => void} candidates found after the description that needs them went out
 * @property {(stream: MediaStream) => void} remoteAdded
 * @property {(stream: MediaStream) => void} remoteRemoved
 * @property {(transfer: DataTransfer) => void} dataTransfer a channel was made, here or there
 * @property {() => void} failed nothing gets through to the other side any more
 */

/** One peer connection. All that is asynchronous is done in the order in which it was asked for. */
class CallPeer {
  #connection;
  #hooks;
  /** @type {Promise<any>} */
  #work = Promise.resolve();
  #over = false;
  #trickles = false;
  /** Candidates that have not gone out. @type {import("./candidates.js").MidCandidate[]} */
  #found = [];
  /** @type {any} */
  #trickleTimer;
  /** Their candidates, before their description. @type {import("./candidates.js").MidCandidate[]} */
  #early = [];
  #known = new Set();
  /** @type {Map<string, DataTransfer>} */
  #transfers = new Map();
  /** @type {Set<MediaStream>} */
  #remote = new Set();

  /**
   * @param {RTCConfiguration} configuration
   * @param {PeerHooks} hooks
   */
  constructor(configuration, hooks) {
    this.#hooks = hooks;
    const connection = environment.openPeer(configuration);
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => turn(() => this.#candidate(candidate));
    connection.ontrack = (event) => turn(() => this.#track(event));
    connection.ondatachannel = ({ channel }) => turn(() => this.#transfer(channel));
    connection.onconnectionstatechange = () => turn(() => {
      if (connection.connectionState === "failed" && !this.#over) hooks.failed();
    });
  }

  /** The connection itself. */
  get connection() {
    return this.#connection;
  }

  /** Whether candidates of ours go out after our descriptions. @param {boolean} trickles */
  set trickles(trickles) {
    this.#trickles = trickles;
  }

  /**
   * Runs `step` after all that was asked for before.
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  inTurn(step) {
    const run = this.#work.then(step);
    this.#work = run.catch(() => {});
    return run;
  }

  /**
   * Sets what is sent and taken, and makes the channels there are not yet.
   * @param {import("./call-config.js").CallConfig} config
   * @param {MediaStream[]} streams what is sent
   */
  async apply(config, streams) {
    for (const [kind, direction] of [["audio", config.audioConfig], ["video", config.videoConfig]]) {
      const sends = direction === "SENDRECV" || direction === "SENDONLY";
      const stream = sends ? streams.find((one) => tracksOf(one, kind).length > 0) : undefined;
      const track = stream ? tracksOf(stream, kind)[0] : null;
      const found = this.#connection.getTransceivers().find(({ receiver, direction: now }) =>
        receiver.track?.kind === kind && now !== "stopped");
      if (!found) {
        if (direction === "NONE") continue;
        this.#connection.addTransceiver(track ?? kind, {
          direction: DIRECTIONS[direction], streams: stream ? [stream] : [],
        });
        continue;
      }
      found.direction = DIRECTIONS[direction];
      if (stream) found.sender.setStreams?.(stream);
      await found.sender.replaceTrack(track);
    }
    for (const { label, reliable } of config.dataChannelConfig ?? []) {
      if (this.#transfers.has(label)) continue;
      this.#transfer(this.#connection.createDataChannel(label, reliable === false ? { maxRetransmits: 0 } : {}));
    }
  }

  /**
   * Our description, with all candidates unless they trickle.
   * @param {"offer" | "answer"} type
   * @param {{ iceRestart?: boolean }} [options]
   * @returns {Promise<string>}
   */
  async describe(type, { iceRestart } = {}) {
    const connection = this.#connection;
    const description = type === "offer"
      ? await connection.createOffer({ iceRestart }) : await connection.createAnswer();
    await connection.setLocalDescription(description);
    if (!this.#trickles) await this.#gathered();
    this.#found = [];
    return connection.localDescription?.sdp ?? "";
  }

  /**
   * Their description.
   * @param {"offer" | "answer" | "pranswer"} type
   * @param {string} sdp
   */
  async describes(type, sdp) {
    await this.#connection.setRemoteDescription({ type, sdp });
    for (const candidate of this.#early.splice(0)) await this.#add(candidate);
  }

  /**
   * Takes back an offer of ours that was refused: all is as it was before.
   * @param {import("./call-config.js").CallConfig} config what was sent and taken
   * @param {MediaStream[]} streams
   */
  async rollBack(config, streams) {
    const connection = this.#connection;
    if (connection.signalingState !== "have-local-offer") return;
    await connection.setLocalDescription({ type: "rollback" });
    for (const added of connection.getTransceivers().filter(({ mid }) => mid === null)) added.stop();
    await this.apply(config, streams);
    // Chromium goes on with what was offered until the next answer. So it gets one: the last again.
    const last = connection.currentRemoteDescription?.sdp ?? "";
    const role = /\na=setup:active\b/.test(connection.currentLocalDescription?.sdp ?? "") ? "passive" : "active";
    try {
      await connection.setLocalDescription(await connection.createOffer());
      await connection.setRemoteDescription({ type: "answer", sdp: last.replace(/a=setup:actpass\b/g, `a=setup:${role}`) });
    } catch (error) {
      log("info", "what was refused stays in the description", error);
      await connection.setLocalDescription({ type: "rollback" });
    }
  }

  /**
   * Candidates of theirs; those known already change nothing.
   * @param {any} lines
   */
  learn(lines) {
    for (const candidate of readCandidates(lines)) {
      const key = `${candidate.sdpMid} ${candidate.candidate}`;
      if (this.#known.has(key) || this.#known.size >= EARLY_MAX) continue;
      this.#known.add(key);
      if (this.#connection.remoteDescription) this.inTurn(() => this.#add(candidate));
      else this.#early.push(candidate);
    }
  }

  /**
   * @param {string} label
   * @returns {DataTransfer | null}
   */
  transfer(label) {
    return this.#transfers.get(label) ?? null;
  }

  /** Ends it. */
  close() {
    this.#over = true;
    stopTimer(this.#trickleTimer);
    for (const transfer of this.#transfers.values()) transfer.close();
    this.#connection.close();
    for (const stream of this.#remote) this.#hooks.remoteRemoved(stream);
    this.#remote.clear();
  }

  /** @param {import("./candidates.js").MidCandidate} candidate */
  async #add(candidate) {
    // One that can't be used is one way less; the call may do without.
    await this.#connection.addIceCandidate(candidate).catch(() => {});
  }

  /** @param {RTCIceCandidate | null} found */
  #candidate(found) {
    if (!this.#trickles || this.#over) return;
    if (found?.candidate) this.#found.push({ candidate: found.candidate, sdpMid: found.sdpMid ?? "0" });
    stopTimer(this.#trickleTimer);
    const send = () => {
      const lines = writeCandidates(this.#found.splice(0), !found);
      if (lines !== "" && !this.#over) this.#hooks.candidates(lines);
    };
    this.#trickleTimer = startTimer(send, TRICKLE_MS);
  }

  #gathered() {
    const connection = this.#connection;
    return new Promise((resolve) => {
      if (connection.iceGatheringState === "complete") {
        resolve(null);
        return;
      }
      const timer = startTimer(() => resolve(null), GATHER_MS_MAX);
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState !== "complete") return;
        stopTimer(timer);
        resolve(null);
      };
    });
  }

  /** @param {RTCTrackEvent} event */
  #track({ streams, track }) {
    const stream = streams[0] ?? environment.makeStream([track]);
    if (this.#remote.has(stream)) return;
    this.#remote.add(stream);
    stream.onremovetrack = () => turn(() => {
      if (stream.getTracks().length === 0 && this.#remote.delete(stream)) this.#hooks.remoteRemoved(stream);
    });
    this.#hooks.remoteAdded(stream);
  }

  /** @param {RTCDataChannel} channel */
  #transfer(channel) {
    const transfer = new DataTransfer(channel);
    this.#transfers.set(channel.label, transfer);
    this.#hooks.dataTransfer(transfer);
  }
}

/**
 * @param {MediaStream} stream
 * @param {string} kind
 * @returns {MediaStreamTrack[]}
 */
function tracksOf(stream, kind) {
  return kind === "audio" ? stream.getAudioTracks() : stream.getVideoTracks();
}
return { CallPeer };
})();

modules["call-state.js"] = (function () {
const { CALLSTATE } = modules["constants.js"];
//! States of a chat's signalling: the table of edges, and what the application is told. Pure.


/** A state with the status that led to it. */
class CallState {
  /**
   * @param {string} state one of CALLSTATE
   * @param {number} [code] SIP-like status
   * @param {string} [reason] in words
   */
  constructor(state, code, reason) {
    /** One of CALLSTATE. */
    this.state = state;
    /** Why. */
    this.status = { code, reason };
  }
}

/**
 * What can happen to a chat, a transfer or a call.
 * @typedef {"started" | "responded" | "completed" | "updating" | "updated" | "update-failed" | "refused"
 *   | "ended"} CallEvent
 */

const {
  NONE, STARTED, RESPONDED, ESTABLISHED, UPDATING, UPDATED, UPDATE_FAILED, FAILED, ENDED,
} = CALLSTATE;

/** State → event → next state. What is not listed changes nothing. */
const CALL_EDGES = Object.freeze({
  [NONE]: { started: STARTED, refused: FAILED, ended: ENDED },
  [STARTED]: { responded: RESPONDED, refused: FAILED, ended: ENDED },
  [RESPONDED]: { responded: RESPONDED, completed: ESTABLISHED, refused: FAILED, ended: ENDED },
  [ESTABLISHED]: { updating: UPDATING, ended: ENDED, refused: FAILED },
  [UPDATING]: { updated: UPDATED, "update-failed": UPDATE_FAILED, ended: ENDED, refused: FAILED },
  [UPDATED]: { updating: UPDATING, ended: ENDED, refused: FAILED },
  [UPDATE_FAILED]: { updating: UPDATING, ended: ENDED, refused: FAILED },
  [FAILED]: {},
  [ENDED]: {},
});

/**
 * @param {string} state
 * @param {CallEvent} event
 * @returns {string | null} the next state; null if the event means nothing in this one
 */
function nextCallState(state, event) {
  const edges = /** @type {Record<string, Record<string, string>>} */ (CALL_EDGES)[state];
  return edges?.[event] ?? null;
}

/**
 * @param {string} state
 * @returns {boolean} whether nothing can follow
 */
function isFinal(state) {
  return state === FAILED || state === ENDED;
}
return { CallState, CALL_EDGES, nextCallState, isFinal };
})();

modules["errors.js"] = (function () {
//! Errors as the application sees them: a code and a reason.

/** Codes of {@link ErrorInfo}. Above 1000: local to the client, never on the wire. */
const ERRORCODE = Object.freeze({
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  RESOURCE_UNAVAILABLE: 404,
  PROXYAUTH_REQUIRED: 407,
  TEMPORARILY_UNAVAILABLE: 480,
  BUSY_HERE: 486,
  REQUEST_TERMINATED: 487,
  SYSTEM_ERROR: 500,
  BUSY_EVERYWHERE: 600,
  DECLINED: 603,
  WEBSOCKET_ERROR: 1001,
  PEERCONNECTION_ERROR: 1101,
  MEDIA_ERROR: 1201,
  RESTORE_FAILED: 1301,
  SAVE_FAILED: 1302,
});

/** Why something failed. */
class ErrorInfo {
  /**
   * @param {number} code one of {@link ERRORCODE}, or another SIP-like code
   * @param {string} [reason] for people
   */
  constructor(code, reason = "") {
    /** One of {@link ERRORCODE}, or another SIP-like code. */
    this.code = code;
    /** In words. */
    this.reason = reason;
  }
}
return { ERRORCODE, ErrorInfo };
})();

modules["local-media.js"] = (function () {
const { MEDIASTREAMEVENT } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { ERRORCODE, ErrorInfo } = modules["errors.js"];
//! What this end of a call sends: streams that the application gave, or microphone and camera.


/** The streams of one end. What the library has taken itself it gives back; what it was given stays the application's. */
class CallMedia {
  #tell;
  /** @type {MediaStream[]} */
  #given = [];
  /** @type {MediaStream[]} */
  #taken = [];
  #over = false;

  /** @param {(event: string, stream?: MediaStream) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @returns {MediaStream[]} */
  get streams() {
    return [...this.#given, ...this.#taken];
  }

  /**
   * Sees to it that there is something to send.
   * @param {import("./call-config.js").CallConfig} config
   * @param {MediaStream | MediaStream[] | null} [given]
   * @throws {ErrorInfo} MEDIA_ERROR, if microphone or camera can't be had
   */
  async take(config, given) {
    const streams = given ? [given].flat() : [];
    for (const stream of streams.filter((one) => !this.#given.includes(one))) {
      this.#given.push(stream);
      this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_ADDED, stream);
    }
    const has = (/** @type {"getAudioTracks" | "getVideoTracks"} */ tracks) =>
      this.streams.some((stream) => stream[tracks]().some(({ readyState }) => readyState === "live"));
    const audio = config.shouldSendAudio() && !has("getAudioTracks");
    const video = config.shouldSendVideo() && !has("getVideoTracks");
    if (!audio && !video) return;
    let stream;
    try {
      stream = await environment.captureMedia({ audio, video });
    } catch (error) {
      this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_ERROR);
      const why = /** @type {any} */ (error)?.name === "NotAllowedError" ? "microphone or camera may not be used"
        : `microphone or camera cannot be had: ${/** @type {any} */ (error)?.message ?? error}`;
      throw new ErrorInfo(ERRORCODE.MEDIA_ERROR, why);
    }
    this.#taken.push(stream);
    if (this.#over) this.end();
    else this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_ADDED, stream);
  }

  /** Gives back what was taken. */
  end() {
    this.#over = true;
    for (const stream of this.#taken) for (const track of stream.getTracks()) track.stop();
    for (const stream of this.streams) this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_REMOVED, stream);
    this.#given = [];
    this.#taken = [];
  }
}
return { CallMedia };
})();

modules["call.js"] = (function () {
const { CallConfig, EVERYTHING, configOf, conflictOf, fitting, readCallConfig, receiving } = modules["call-config.js"];
const { CallFrames } = modules["call-frames.js"];
const { CallPeer } = modules["call-peer.js"];
const { CallState, isFinal, nextCallState } = modules["call-state.js"];
const { ACTION, CALLSTATE, MEDIASTREAMEVENT, MESSAGESTATE } = modules["constants.js"];
const { ERRORCODE, ErrorInfo } = modules["errors.js"];
const { fire, turn } = modules["events.js"];
const { CallMedia } = modules["local-media.js"];
const { log } = modules["log.js"];
//! A call: its signalling, over a peer connection that goes from browser to browser. Not here: tracks, channels and
//! candidates (`call-peer.js`), finding the call of a frame (`call-package.js`).


/** What the server calls itself when it takes back a change. */
const CANCELLING = "##re-invite_cancel@server##";
/** States in which the call may be changed. @type {string[]} */
const CHANGEABLE = [CALLSTATE.ESTABLISHED, CALLSTATE.UPDATED, CALLSTATE.UPDATE_FAILED];

/** @typedef {import("./message.js").Message} Message */
/** @typedef {Record<string, any> | null} Headers */
/** @typedef {MediaStream | MediaStream[] | null} Streams */

/** A call. Made by `CallPackage.createCall`, or handed to `onIncomingCall`. */
class Call {
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
return { Call };
})();

modules["call-package.js"] = (function () {
const { configOf } = modules["call-config.js"];
const { Call } = modules["call.js"];
const { ACTION, CALLSTATE } = modules["constants.js"];
const { ERRORCODE } = modules["errors.js"];
const { fire, later } = modules["events.js"];
const { log } = modules["log.js"];
//! The package of calls.


/** Ways in which candidates may travel. */
const TRICKLE_MODES = ["off", "half", "full"];

/** All calls of a session. */
class CallPackage {
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
return { CallPackage };
})();

modules["capability.js"] = (function () {
const { ACTION, MESSAGESTATE, MESSAGETYPE } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { fire, later, startTimer } = modules["events.js"];
const { Message } = modules["message.js"];
//! What users can do: asking, and answering who asks. In subsessions of their own, or inside a chat.


/** Enquiries of {@link CapabilityExchange.enquiryAll} that are under way at once. */
const AT_ONCE = 8;
/** Milliseconds between two of them. */
const PACE_MS = 125;
/** Exchanges of a package that may be asked; the newest answers. */
const EXCHANGES_MAX = 32;

/** An enquiry and its answer. Lists of services are text: `IM/CHAT,VS`. */
class Query {
  /**
   * @param {string} ssid
   * @param {string} initiator
   * @param {string} target
   * @param {string} initiatorCapability
   */
  constructor(ssid, initiator, target, initiatorCapability) {
    /** Id of the subsession. */
    this.ssid = ssid;
    /** Who asks. */
    this.initiator = initiator;
    /** Who is asked. */
    this.target = target;
    /** What the asker can do. */
    this.initiatorCapability = initiatorCapability;
    /** What the asked user can do. @type {string | undefined} */
    this.targetCapability = undefined;
    /** Whether a server has answered for a user who is not there. */
    this.offline = false;
  }
}

/**
 * Why there is no answer.
 * @typedef {{ action: string, errorCode: number, errorReason: string, query: Query }} EnquiryError
 */

/** The package of enquiries that belong to nothing else. */
class CapabilityPackage {
  #session;
  /** @type {CapabilityExchange[]} */
  #exchanges = [];

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "capability") {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    session.registerPackage(this);
  }

  /** @returns {CapabilityExchange} enquiries of which each has a subsession of its own */
  createCapabilityExchange() {
    const exchange = new CapabilityExchange({ session: this.#session, packageType: this.packageType });
    this.#exchanges = [exchange, ...this.#exchanges].slice(0, EXCHANGES_MAX);
    return exchange;
  }

  /**
   * Nothing of somebody comes through any more, and whoever it is learns nothing of the user; or it does
   * again. The server keeps it.
   * @param {string} target such as `bob@example.com`
   * @param {boolean} [blocked]
   * @returns {Promise<string[]>} all who are blocked
   */
  async block(target, blocked = true) {
    const exchange = new CapabilityExchange({ session: this.#session, packageType: this.packageType });
    return exchange.block(target, blocked);
  }

  /** The session is over. */
  clear() {
    for (const exchange of this.#exchanges) exchange.clear();
  }

  /**
   * Takes a frame of the package.
   * @param {Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const asked = /** @type {any} */ (this.#session.getSubSession(id));
    if (asked && !message.isRequest()) asked.onMessage(message);
    else if (message.isRequest()) this.asked(message);
  }

  /**
   * Somebody asks: the newest exchange that wants to hear of it answers, or else the library does.
   * @param {Message} request
   */
  asked(request) {
    later(() => {
      const willing = this.#exchanges.find(({ onQueryRequest }) => typeof onQueryRequest === "function");
      if (willing) willing.onMessage(request);
      else answer(this.#session, request, this.#session.services());
    });
  }
}

/** Enquiries, in both directions. */
class CapabilityExchange {
  #session;
  #packageType;
  /** The subsession inside which it asks, such as a chat. */
  #inside;
  /** Enquiries without an answer, by the frames that ask.
   * @type {Map<Message, { query: Query, resolve: Function, reject: Function }>} */
  #pending = new Map();
  /** Frames of those who have asked. @type {WeakMap<Query, Message>} */
  #asked = new WeakMap();

  /**
   * @param {any} subSession a chat or another subsession whose peer is asked
   */
  constructor(subSession) {
    const { session, packageType } = subSession.capabilityContext?.() ?? subSession;
    /** @type {import("./client.js").Session} */
    this.#session = session;
    this.#packageType = packageType;
    this.#inside = subSession.capabilityContext ? subSession : null;
    if (this.#inside) session.attachExchange(this.#inside.subSessionId, this);
    /** Somebody asks: answer by {@link CapabilityExchange.respond}.
     * @type {((query: Query) => void) | undefined} */
    this.onQueryRequest = this.onQueryRequest;
    /** The answer is there. @type {((query: Query) => void) | undefined} */
    this.onQueryResponse = this.onQueryResponse;
    /** There will be no answer. @type {((error: EnquiryError) => void) | undefined} */
    this.onError = this.onError;
  }

  /**
   * Asks what somebody can do.
   * @param {string} [selfCapability] what the user can do; without it, what the page's packages do
   * @param {string} [target] inside a subsession, its peer
   * @returns {Promise<Query>} the answer, as onQueryResponse gets it; rejects as onError is told
   */
  enquiry(selfCapability = this.#session.services(), target) {
    const inside = this.#inside;
    const whom = (target ?? inside?.capabilityContext().peer ?? "").trim();
    if (whom === "") throw new Error("wsc: an enquiry needs somebody to ask");
    const request = this.#request(ACTION.ENQUIRY, whom);
    request.header.enquiry_data = selfCapability;
    const query = new Query(
      /** @type {string} */ (request.control.subsession_id), this.#session.getUserName(), whom, selfCapability,
    );
    return this.#ask(request, query);
  }

  /**
   * Asks about many, a few at a time.
   * @param {string | undefined} selfCapability
   * @param {string[]} targets
   * @returns {Promise<(Query | EnquiryError)[]>} in the order of the targets; never rejects
   */
  async enquiryAll(selfCapability, targets) {
    /** @type {(Query | EnquiryError)[]} */
    const results = [];
    let next = 0;
    let startAt = environment.now();
    const work = async () => {
      while (next < targets.length) {
        const at = next;
        next += 1;
        const wait = startAt - environment.now();
        startAt = Math.max(startAt, environment.now()) + PACE_MS;
        if (wait > 0) await new Promise((resolve) => { startTimer(() => resolve(null), wait); });
        results[at] = await this.enquiry(selfCapability, targets[at]).catch((error) => error);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, targets.length) }, work));
    return results;
  }

  /**
   * Answers who has asked.
   * @param {Query} query what onQueryRequest got
   * @param {string} [selfCapability] what the user can do; may be empty, for somebody who need not know
   */
  respond(query, selfCapability = "") {
    const request = this.#asked.get(query);
    if (!request) throw new Error("wsc: this query was answered, or did not come in");
    this.#asked.delete(query);
    query.targetCapability = selfCapability;
    answer(this.#session, request, selfCapability);
  }

  // For package developers.

  /**
   * @param {string} target
   * @param {boolean} blocked
   * @returns {Promise<string[]>}
   */
  async block(target, blocked) {
    const request = this.#request("block", target);
    request.header.blocked = blocked;
    const query = new Query(/** @type {string} */ (request.control.subsession_id), "", target, "");
    const answered = await this.#ask(request, query);
    return /** @type {any} */ (answered).blocked ?? [];
  }

  /**
   * Takes a frame of an enquiry.
   * @param {Message} message
   */
  onMessage(message) {
    const { control, header } = message;
    if (message.isRequest()) {
      const query = new Query(
        control.subsession_id ?? "", header.initiator ?? "", header.target ?? "",
        String(header.enquiry_data ?? ""),
      );
      this.#asked.set(query, message);
      later(() => {
        if (typeof this.onQueryRequest === "function") fire(this, "onQueryRequest", query);
        else this.respond(query, this.#session.services());
      });
      return;
    }
    const asked = [...this.#pending].find(([request]) =>
      request.control.correlation_id === control.correlation_id);
    if (!asked) return;
    const [request, { query, resolve, reject }] = asked;
    if (message.isResponse()) {
      this.#settle(request);
      query.targetCapability = String(header.enquiry_data ?? "");
      query.offline = header.offline === true;
      /** @type {any} */ (query).blocked = message.payload?.blocked;
      resolve(query);
      if (request.header.action === ACTION.ENQUIRY) fire(this, "onQueryResponse", query);
    } else if (message.isError()) {
      this.#settle(request);
      const { action = "", error_code: errorCode = 0, reason: errorReason = "" } = header;
      const error = { action, errorCode, errorReason, query };
      reject(error);
      fire(this, "onError", error);
    }
  }

  /** The session is over. */
  clear() {
    for (const [request, { query, reject }] of this.#pending) {
      this.#settle(request);
      reject({ action: request.header.action, errorCode: 487, errorReason: "the session is over", query });
    }
  }

  /**
   * @param {string} action
   * @param {string} target
   * @returns {Message}
   */
  #request(action, target) {
    return new Message({
      control: {
        type: MESSAGETYPE.REQUEST,
        package_type: this.#packageType,
        subsession_id: this.#inside?.subSessionId ?? this.#session.generateSubSessionId(),
        message_state: this.#inside ? MESSAGESTATE.SUBSEQUENT : MESSAGESTATE.INITIAL,
      },
      header: { action, initiator: this.#session.getUserName(), target },
    });
  }

  /**
   * @param {Message} request
   * @param {Query} query
   * @returns {Promise<Query>}
   */
  #ask(request, query) {
    const answered = new Promise((resolve, reject) => {
      this.#pending.set(request, { query, resolve, reject });
    });
    // Whoever only listens to onError has dealt with it.
    answered.catch(() => {});
    if (!this.#inside) this.#session.putSubSession(this.#packageType, query.ssid, this);
    this.#session.sendMessage(request);
    return answered;
  }

  /** @param {Message} request */
  #settle(request) {
    this.#pending.delete(request);
    if (!this.#inside) this.#session.removeSubSession(request.control.subsession_id ?? "");
  }

  /** Id under which the session keeps it. */
  get subSessionId() {
    return this.#inside?.subSessionId ?? "";
  }
}

/**
 * @param {import("./client.js").Session} session
 * @param {Message} request
 * @param {string} services
 */
function answer(session, request, services) {
  const { package_type, subsession_id, correlation_id } = request.control;
  const { initiator, target } = request.header;
  session.sendMessage(new Message({
    control: {
      type: MESSAGETYPE.RESPONSE, package_type, subsession_id, correlation_id,
      message_state: MESSAGESTATE.FINAL,
    },
    header: {
      action: ACTION.ENQUIRY, initiator, target, response_code: 200, enquiry_data: services,
    },
  }));
}
return { Query, CapabilityPackage, CapabilityExchange, answer };
})();

modules["cpim.js"] = (function () {
//! The envelope `message/cpim` (RFC 3862), which handsets put around their texts. Pure.

/** The envelope's type. */
const CPIM_TYPE = "message/cpim";
/** Octets of headers in front of the content. */
const HEAD_OCTETS_MAX = 16 * 1024;
/** The namespace of what a sender wants to know (RFC 5438, 6). */
const IMDN_NAMESPACE = "urn:ietf:params:imdn";
/** The most hops that want to see what becomes of a message. */
const ROUTES_MAX = 8;
/** Names of headers that are understood. RFC 3862, 4. */
const KNOWN = new Set(["From", "To", "cc", "DateTime", "Subject", "NS", "Require"]);
/** In a chat between two, handsets name nobody in the envelope: the signalling does. */
const NOBODY = "sip:anonymous@anonymous.invalid";

/**
 * @param {string} contentType
 * @param {Uint8Array} content
 * @param {Date} date when it was written
 * @param {{ messageId: string, wanted?: string[], routes?: string[] } | null} [imdn] the message's name, and what its
 *   sender wants to know; without wishes it is itself a notification, with the URIs by which it goes back
 * @param {{ from?: string, to?: string }} [parties] URIs, in a group: who says it, and to whom if not to all
 * @returns {Uint8Array}
 */
function wrapCpim(contentType, content, date, imdn, { from = NOBODY, to = NOBODY } = {}) {
  const names = imdn ? [`NS: imdn <${IMDN_NAMESPACE}>`, `imdn.Message-ID: ${imdn.messageId}`] : [];
  const wishes = imdn?.wanted ? [`imdn.Disposition-Notification: ${imdn.wanted.join(", ")}`] : [];
  const routes = (imdn?.routes ?? []).map((uri) => `imdn.IMDN-Route: <${uri}>`);
  const disposition = imdn && !imdn.wanted ? ["Content-Disposition: notification"] : [];
  const head = new TextEncoder().encode([
    `From: <${from}>`,
    `To: <${to}>`,
    ...names,
    `DateTime: ${date.toISOString()}`,
    ...wishes,
    ...routes,
    "",
    `Content-Type: ${contentType}`,
    ...disposition,
    `Content-Length: ${content.length}`,
    "",
    "",
  ].join("\r\n"));
  const octets = new Uint8Array(head.length + content.length);
  octets.set(head, 0);
  octets.set(content, head.length);
  return octets;
}

/**
 * What an envelope says and holds.
 * @typedef {object} Unwrapped
 * @property {string} contentType
 * @property {Uint8Array} content
 * @property {string} messageId empty if it has no name
 * @property {string} dateTime when it was sent, as its sender wrote it
 * @property {string[]} wanted what the sender wants to know, in lower case
 * @property {string[]} required names of what must be understood, and is not
 * @property {string} from URI of who says it; empty if that is nobody
 * @property {string} fromName the name with it
 * @property {string} to URI of whom it is for; empty if that is nobody
 * @property {string[]} routes URIs by which notes about it go back (RFC 5438, 6.5)
 * @property {string} originalTo URI of whom it was for before somebody on its way changed that; empty if nobody did
 */

/**
 * @param {Uint8Array} octets
 * @returns {Unwrapped | null} null if it is no such envelope
 */
function unwrapCpim(octets) {
  const messageHead = emptyLine(octets, 0);
  const contentHead = messageHead ? emptyLine(octets, messageHead.after) : null;
  if (!messageHead || !contentHead) return null;
  const lines = new TextDecoder()
    .decode(octets.subarray(messageHead.after, contentHead.before)).split(/\r?\n/);
  const header = (/** @type {string} */ name) =>
    lines.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim();
  const contentType = header("content-type") ?? "text/plain";
  const encoding = (header("content-transfer-encoding") ?? "8bit").toLowerCase();
  const content = octets.slice(contentHead.after);
  const about = readEnvelope(octets.subarray(0, messageHead.before));
  if (encoding === "base64") {
    const plain = fromBase64(content);
    return plain && { contentType, content: plain, ...about };
  }
  return ["7bit", "8bit", "binary"].includes(encoding) ? { contentType, content, ...about } : null;
}

/**
 * Names compare with case, and the prefix of a namespace is what `NS` says (RFC 3862, 2.2 and 3.4).
 * @param {Uint8Array} octets
 */
function readEnvelope(octets) {
  const lines = new TextDecoder().decode(octets).split(/\r?\n/);
  const header = (/** @type {string} */ name) =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2).trim() ?? "";
  const bound = lines.map((line) => /^NS: *([\w-]*) *<([^>]*)>/.exec(line));
  const prefix = bound.find((found) => found?.[2] === IMDN_NAMESPACE)?.[1] ?? "imdn";
  const own = (/** @type {string} */ name) => header(prefix === "" ? name : `${prefix}.${name}`);
  const wanted = own("Disposition-Notification").toLowerCase().split(",").map((word) => word.trim());
  const required = lines.filter((line) => line.startsWith("Require: "))
    .flatMap((line) => line.slice("Require: ".length).split(",")).map((name) => name.trim())
    .filter((name) => name !== "" && !KNOWN.has(name) && !(prefix !== "" && name.startsWith(`${prefix}.`)));
  const { uri: from, name: fromName } = readParty(header("From"));
  const { uri: to } = readParty(header("To"));
  const dot = prefix === "" ? "" : `${prefix}.`;
  const recorded = lines.filter((line) => line.startsWith(`${dot}IMDN-Record-Route: `))
    .map((line) => readParty(line.slice(line.indexOf(": ") + 2)).uri).filter((uri) => uri !== "");
  const routes = recorded.length <= ROUTES_MAX ? recorded : [];
  const { uri: originalTo } = readParty(own("Original-To"));
  return {
    messageId: own("Message-ID"), dateTime: header("DateTime"), wanted, required, from, fromName, to, routes, originalTo,
  };
}

/** @param {string} value `Name <uri>`, RFC 3862, 4.1 */
function readParty(value) {
  const [, name = "", uri = ""] = /^(.*?)<([^<>\s]*)>\s*$/.exec(value) ?? [];
  return { uri: uri.toLowerCase() === NOBODY ? "" : uri, name: name.trim().replace(/^"(.*)"$/, "$1") };
}

/**
 * @param {Uint8Array} octets
 * @param {number} from
 * @returns {{ before: number, after: number } | null} where the next empty line's neighbours are
 */
function emptyLine(octets, from) {
  const limit = Math.min(octets.length, from + HEAD_OCTETS_MAX);
  let lineStart = from;
  for (let at = octets.indexOf(10, from); at >= 0 && at < limit; at = octets.indexOf(10, at + 1)) {
    const empty = at === lineStart || (at === lineStart + 1 && octets[lineStart] === 13);
    if (empty) return { before: lineStart, after: at + 1 };
    lineStart = at + 1;
  }
  return null;
}

/**
 * @param {Uint8Array} octets
 * @returns {Uint8Array | null}
 */
function fromBase64(octets) {
  try {
    const binary = atob(new TextDecoder().decode(octets).replace(/\s/g, ""));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
return { CPIM_TYPE, wrapCpim, unwrapCpim };
})();

modules["imdn.js"] = (function () {
//! What became of a message: notes of the type `message/imdn+xml` (RFC 5438). Pure.

/** The type of the notes. */
const IMDN_TYPE = "message/imdn+xml";
/** Longest note that is read, in characters. */
const NOTE_CHARACTERS_MAX = 8192;

/**
 * @param {string} messageId of the message it is about
 * @param {string} dateTime when that was sent
 * @param {"delivered" | "displayed"} status
 * @param {string} [originalTo] URI of whom it was for at first, if that was another
 * @returns {string}
 */
function writeImdn(messageId, dateTime, status, originalTo = "") {
  const kind = status === "displayed" ? "display" : "delivery";
  return '<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="urn:ietf:params:xml:ns:imdn">\r\n'
    + `<message-id>${escaped(messageId)}</message-id>\r\n<datetime>${escaped(dateTime)}</datetime>\r\n`
    + (originalTo ? `<original-recipient-uri>${escaped(originalTo)}</original-recipient-uri>\r\n` : "")
    + `<${kind}-notification><status><${status}/></status></${kind}-notification>\r\n</imdn>\r\n`;
}

/**
 * @param {string} text
 * @returns {{ messageId: string, status: string } | null} null if it is no such note
 */
function readImdn(text) {
  const note = text.slice(0, NOTE_CHARACTERS_MAX);
  const messageId = /<(?:[\w-]+:)?message-id(?:\s[^>]*)?>\s*([^<]+?)\s*</.exec(note)?.[1];
  const status = /<(?:[\w-]+:)?status(?:\s[^>]*)?>\s*<(?:[\w-]+:)?([\w-]+)/.exec(note)?.[1];
  return messageId && status ? { messageId: plain(messageId), status } : null;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** @param {string} text */
function plain(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'").replace(/&amp;/g, "&");
}
return { IMDN_TYPE, writeImdn, readImdn };
})();

modules["media-types.js"] = (function () {
//! Lists of content types, as in `a=accept-types`. Pure.

/**
 * Whether a list has a place for a type.
 * @param {string[]} list in which `*` and `text/*` stand for many
 * @param {string} type without parameters
 */
function admits(list, type) {
  const wanted = type.toLowerCase();
  const family = `${wanted.split("/")[0]}/*`;
  return list.some((entry) => {
    const known = entry.toLowerCase();
    return known === "*" || known === family || known === wanted;
  });
}

/**
 * @param {string} contentType maybe with parameters
 * @returns {string} the bare type, lower case
 */
function bareType(contentType) {
  return contentType.split(";")[0].trim().toLowerCase();
}

/**
 * Octets as text: by the `charset` parameter if the language's decoder knows it, else UTF-8.
 * @param {Uint8Array} octets
 * @param {string} contentType
 */
function decodeText(octets, contentType) {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return new TextDecoder().decode(octets);
  }
}
return { admits, bareType, decodeText };
})();

modules["typing.js"] = (function () {
//! "Is typing" (RFC 3994): when to say it, when to believe it, and how it is written. Pure.

/** The type of the notes. */
const TYPING_TYPE = "application/im-iscomposing+xml";
/** Milliseconds without a key after which the user counts as idle. */
const IDLE_MS = 15_000;
/** Milliseconds after which a user still typing is announced again. */
const REFRESH_MS = 60_000;
/** Milliseconds an announcement is believed if it does not say. */
const BELIEVED_MS = 120_000;
/** Longest note that is read, in characters. */
const NOTE_CHARACTERS_MAX = 4096;

/** What our side says. */
class TypingSender {
  #refreshAt = Infinity;
  #idleAt = Infinity;

  /**
   * The user touched the text.
   * @param {number} now milliseconds
   * @returns {string | null} the note to send, if any
   */
  typed(now) {
    const wasIdle = this.#idleAt === Infinity;
    this.#idleAt = now + IDLE_MS;
    if (!wasIdle) return null;
    this.#refreshAt = now + REFRESH_MS;
    return note("active");
  }

  /**
   * The user gave up.
   * @returns {string | null} the note to send, if any
   */
  stopped() {
    if (this.#idleAt === Infinity) return null;
    this.messageSent();
    return note("idle");
  }

  /** A message went out, which says by itself that the typing is over. */
  messageSent() {
    this.#idleAt = Infinity;
    this.#refreshAt = Infinity;
  }

  /**
   * @param {number} now milliseconds
   * @returns {string | null} the note to send, if any
   */
  tick(now) {
    if (now >= this.#idleAt) return this.stopped();
    if (now < this.#refreshAt) return null;
    this.#refreshAt = now + REFRESH_MS;
    return note("active");
  }

  /** @returns {number} when {@link TypingSender.tick} has something to do; may be infinite */
  deadline() {
    return Math.min(this.#idleAt, this.#refreshAt);
  }
}

/** What the other side said. */
class TypingReceiver {
  #believedUntil = -Infinity;

  /**
   * @param {string} text a note
   * @param {number} now milliseconds
   * @returns {"started" | "stopped" | null} what changed
   */
  receive(text, now) {
    const note = text.slice(0, NOTE_CHARACTERS_MAX);
    const state = /<(?:[\w-]+:)?state(?:\s[^>]*)?>\s*([\w-]+)\s*</.exec(note)?.[1];
    if (state !== "active") return this.stopped();
    const seconds = /<(?:[\w-]+:)?refresh(?:\s[^>]*)?>\s*(\d{1,6})\s*</.exec(note)?.[1];
    const wasTyping = this.isTyping();
    this.#believedUntil = now + (Number(seconds) * 1000 || BELIEVED_MS);
    return wasTyping ? null : "started";
  }

  /** @returns {"stopped" | null} a message came, or the chat is over */
  stopped() {
    if (!this.isTyping()) return null;
    this.#believedUntil = -Infinity;
    return "stopped";
  }

  /**
   * @param {number} now milliseconds
   * @returns {"stopped" | null} what changed
   */
  tick(now) {
    return now >= this.#believedUntil ? this.stopped() : null;
  }

  /** @returns {boolean} */
  isTyping() {
    return this.#believedUntil !== -Infinity;
  }

  /** @returns {number} when {@link TypingReceiver.tick} has something to do; may be infinite */
  deadline() {
    return this.isTyping() ? this.#believedUntil : Infinity;
  }
}

/** @param {"active" | "idle"} state */
function note(state) {
  const refresh = state === "active" ? `<refresh>${REFRESH_MS / 1000}</refresh>` : "";
  return '<?xml version="1.0" encoding="UTF-8"?>\r\n'
    + '<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
    + `<state>${state}</state><contenttype>text/plain</contenttype>${refresh}</isComposing>`;
}
return { TYPING_TYPE, TypingSender, TypingReceiver };
})();

modules["chat-config.js"] = (function () {
const { CPIM_TYPE } = modules["cpim.js"];
const { IMDN_TYPE } = modules["imdn.js"];
const { admits } = modules["media-types.js"];
const { TYPING_TYPE } = modules["typing.js"];
//! What one end of a chat takes, and the messages in it.


/** Octets of the largest message taken if the application does not say. */
const MAX_SIZE = 64 * 1024;
/** Octets of the largest message the library ever takes. */
const MAX_SIZE_MAX = 16 * 1024 * 1024;

/** What an end takes. */
class ChatConfig {
  /**
   * @param {string[]} [acceptTypes] content types taken; `*` for all
   * @param {string[]} [acceptWrappedTypes] content types taken inside an envelope
   * @param {number} [maxSize] octets of the largest message taken
   */
  constructor(acceptTypes, acceptWrappedTypes, maxSize) {
    /** Content types this end takes. */
    this.acceptTypes = acceptTypes ?? ["text/plain"];
    /** Content types this end takes inside an envelope. */
    this.acceptWrappedTypes = acceptWrappedTypes ?? [];
    /** Octets of the largest message this end takes. */
    this.selfMaxSize = Math.min(maxSize ?? MAX_SIZE, MAX_SIZE_MAX);
    /** Octets of the largest message the other end takes; infinite if it did not say. */
    this.targetMaxSize = Infinity;
  }

  /** The same as `selfMaxSize`. */
  get maxSize() {
    return this.selfMaxSize;
  }
}

/** One message of a chat. */
class ChatMessage {
  /**
   * @param {string} contentType
   * @param {string | Uint8Array} content text, save for types that are none
   */
  constructor(contentType, content) {
    this.contentType = contentType;
    this.content = content;
    /** In a group: who says it, such as `bob@example.com`. @type {string | undefined} */
    this.from = undefined;
    /** In a group: the name with it, if there is one. @type {string | undefined} */
    this.fromName = undefined;
  }
}

/**
 * A config from what the application gave, which may be nothing, a ChatConfig or a plain object.
 * @param {{ acceptTypes?: string[], acceptWrappedTypes?: string[], maxSize?: number,
 *   selfMaxSize?: number } | null | undefined} given
 * @returns {ChatConfig}
 */
function readConfig(given) {
  return new ChatConfig(
    given?.acceptTypes, given?.acceptWrappedTypes, given?.selfMaxSize ?? given?.maxSize,
  );
}

/**
 * The lists for the session description. To what the application takes the library adds what it
 * deals with itself: the envelope, of which only the content reaches the application, and the
 * notes about typing and about what became of messages.
 * @param {ChatConfig} config
 * @param {boolean} isGroup in a group nothing goes without an envelope, which says whose it is
 * @returns {{ acceptTypes: string[], acceptWrappedTypes: string[] }}
 */
function offeredTypes(config, isGroup) {
  const acceptTypes = isGroup ? [CPIM_TYPE] : [...config.acceptTypes];
  const acceptWrappedTypes = [...config.acceptWrappedTypes];
  for (const type of isGroup ? [] : [CPIM_TYPE, TYPING_TYPE]) {
    if (!admits(acceptTypes, type)) acceptTypes.push(type);
  }
  for (const type of [...config.acceptTypes, TYPING_TYPE, IMDN_TYPE]) {
    if (type !== CPIM_TYPE && !admits(acceptWrappedTypes, type)) acceptWrappedTypes.push(type);
  }
  return { acceptTypes, acceptWrappedTypes };
}
return { ChatConfig, ChatMessage, readConfig, offeredTypes };
})();

modules["identifiers.js"] = (function () {
const { environment } = modules["environment.js"];
//! Names nobody else can guess or repeat.


const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * @param {number} length in characters, each worth 5 random bits
 * @returns {string} letters and digits, the first one a letter
 */
function randomWord(length) {
  const octets = environment.randomOctets(length);
  let word = LETTERS[octets[0] % 26];
  for (let at = 1; at < length; at += 1) word += LETTERS[octets[at] & 31];
  return word;
}

/** @returns {string} a random UUID, version 4 */
function randomUuid() {
  const octets = environment.randomOctets(16);
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  const hex = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
    .join("-");
}
return { randomWord, randomUuid };
})();

modules["direct-socket.js"] = (function () {
const { startTimer } = modules["events.js"];
//! A data channel that looks like a WebSocket, and which addresses lead to one. Media that would go through the relay go
//! from browser to browser by it.


/** Who opens what has this host. @type {Map<string, (url: URL) => ChannelSocket>} */
const openers = new Map();

/**
 * @param {string} host that stands in the address
 * @param {((url: URL) => ChannelSocket) | null} opener null: nobody any more
 */
function routeDirectly(host, opener) {
  if (opener) openers.set(host, opener);
  else openers.delete(host);
}

/**
 * @param {string} url
 * @returns {WebSocket | null} what is used as one; null if the address is an ordinary one
 */
function openDirectly(url) {
  if (openers.size === 0) return null;
  const address = new URL(url);
  return /** @type {any} */ (openers.get(address.hostname)?.(address) ?? null);
}

/** A channel with a WebSocket's members, as far as MSRP uses them. */
class ChannelSocket {
  readyState = 0;
  binaryType = "arraybuffer";
  /** @type {((event: object) => void) | null} */
  onopen = null;
  /** @type {((event: { data: any }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */
  onclose = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  #wanted = false;
  /** What came before anybody listened. @type {any[]} */
  #early = [];

  /** @param {RTCDataChannel} channel */
  attach(channel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onopen = () => this.#open();
    channel.onmessage = ({ data }) => {
      if (this.readyState === 1) this.onmessage?.({ data });
      else this.#early.push(data);
    };
    channel.onclose = () => {
      this.readyState = 3;
      this.onclose?.({ code: 1000, reason: "" });
    };
    this.#open();
  }

  /** @returns {boolean} whether the channel is here */
  isAttached() {
    return this.#channel !== null;
  }

  /** @returns {boolean} whether somebody listens */
  isWanted() {
    return this.#wanted;
  }

  /** Somebody listens from the next task on. @returns {this} */
  begin() {
    startTimer(() => {
      this.#wanted = true;
      this.#open();
    }, 0);
    return this;
  }

  /** @param {Uint8Array} octets */
  send(octets) {
    this.#channel?.send(/** @type {any} */ (octets));
  }

  /** Closes it; nothing is reported. */
  close() {
    this.readyState = 3;
    this.#channel?.close();
  }

  #open() {
    if (!this.#wanted || this.readyState !== 0 || this.#channel?.readyState !== "open") return;
    this.readyState = 1;
    this.onopen?.({});
    for (const data of this.#early.splice(0)) this.onmessage?.({ data });
  }
}
return { routeDirectly, openDirectly, ChannelSocket };
})();

modules["msrp/frame.js"] = (function () {
//! MSRP frames: their parts, how one is written, and how its head is read (RFC 4975, 7 and 9). Pure.
//! Not here: where a frame ends in the stream (`reader.js`).

/** Limits of a head; past them a frame is refused. */
const HEADER_LINE_OCTETS_MAX = 8192;
const HEAD_OCTETS_MAX = 16384;
const HEADERS_MAX = 64;
const PATH_URIS_MAX = 8;

/**
 * One request or response. A frame with a `fault` has no more than the parts needed to refuse it.
 * @typedef {object} Frame
 * @property {string} tid transaction id
 * @property {string} method empty in a response
 * @property {number} status 0 in a request
 * @property {string} comment of a status, may be empty
 * @property {string[]} toPath
 * @property {string[]} fromPath
 * @property {Map<string, string>} headers by lower-case name; the first of equal names counts
 * @property {Uint8Array | null} body null if there is none, which differs from an empty one; a part of what was received
 * @property {string} flag `$` last chunk, `+` more to come, `#` aborted
 * @property {string} fault why it can't be understood; empty if it can
 */

/**
 * A Byte-Range: the first octet has number 1.
 * @typedef {object} ByteRange
 * @property {number} start
 * @property {number | null} end null: not known
 * @property {number | null} total null: not known
 */

const START_LINE = /^MSRP ([A-Za-z0-9][A-Za-z0-9.+%=-]{0,63}) (?:([A-Z]+)|(\d{3})(?: (.*))?)$/;
const encoder = new TextEncoder();

/**
 * Reads a start line.
 * @param {string} line
 * @returns {{ tid: string, method: string, status: number, comment: string } | null}
 */
function readStartLine(line) {
  const parts = START_LINE.exec(line);
  if (!parts) return null;
  const [, tid, method = "", status = "0", comment = ""] = parts;
  return { tid, method, status: Number(status), comment };
}

/**
 * Puts a frame together from what the reader found.
 * @param {{ tid: string, method: string, status: number, comment: string }} start
 * @param {string[]} lines the headers
 * @param {Uint8Array | null} body
 * @param {string} flag
 * @returns {Frame}
 */
function frameOf(start, lines, body, flag) {
  /** @type {Frame} */
  const frame = {
    ...start, toPath: [], fromPath: [], headers: new Map(), body, flag, fault: "",
  };
  if (lines.length > HEADERS_MAX) frame.fault = "too many headers";
  for (const [at, line] of lines.entries()) {
    const parts = /^([!#-'*+.0-9A-Z^-z|~-]+):[ \t]*([^\r\n]*)$/.exec(line);
    if (!parts) {
      frame.fault ||= "not a header";
      continue;
    }
    const name = parts[1].toLowerCase();
    const value = parts[2].trimEnd();
    if (at === 0 && name === "to-path") frame.toPath = uris(value);
    else if (at === 1 && name === "from-path") frame.fromPath = uris(value);
    else if (!frame.headers.has(name)) frame.headers.set(name, value);
  }
  if (frame.toPath.length === 0 || frame.fromPath.length === 0) frame.fault ||= "no paths";
  if (frame.toPath.length > PATH_URIS_MAX || frame.fromPath.length > PATH_URIS_MAX) {
    frame.fault ||= "path too long";
  }
  if ((body !== null) !== frame.headers.has("content-type")) {
    frame.fault ||= "a body needs a Content-Type, and the other way round";
  }
  return frame;
}

/** @param {string} value */
function uris(value) {
  return value.split(" ").filter((uri) => uri !== "");
}

/**
 * @param {string | undefined} value of a Byte-Range header
 * @returns {ByteRange | null} the whole message if there is no header; null if it is wrong
 */
function readByteRange(value) {
  if (value === undefined) return { start: 1, end: null, total: null };
  const parts = /^(\d{1,15})-(\d{1,15}|\*)\/(\d{1,15}|\*)$/.exec(value);
  if (!parts) return null;
  const start = Number(parts[1]);
  const end = parts[2] === "*" ? null : Number(parts[2]);
  const total = parts[3] === "*" ? null : Number(parts[3]);
  if (start < 1 || (end !== null && end < start - 1)) return null;
  if (total !== null && (start > total + 1 || (end !== null && end > total))) return null;
  return { start, end, total };
}

/**
 * @typedef {object} RequestParts
 * @property {string} tid
 * @property {string} method
 * @property {string[]} toPath
 * @property {string} fromPath
 * @property {[string, string][]} headers without paths and Content-Type
 * @property {string} [contentType] goes with a body
 * @property {Uint8Array} [body]
 * @property {string} flag
 */

/** Writes requests, one after the other, in the same place: a large file's would be as much garbage as it has octets. */
class RequestWriter {
  #place = new Uint8Array(4096);

  /**
   * @param {RequestParts} parts
   * @returns {Uint8Array} which holds until the next one is written
   */
  write(parts) {
    const { body } = parts;
    const head = [
      `MSRP ${parts.tid} ${parts.method}`,
      `To-Path: ${parts.toPath.join(" ")}`,
      `From-Path: ${parts.fromPath}`,
      ...parts.headers.map(([name, value]) => `${name}: ${value}`),
      ...(body ? [`Content-Type: ${parts.contentType}`, ""] : []),
      "",
    ].join("\r\n");
    const end = `${body ? "\r\n" : ""}-------${parts.tid}${parts.flag}\r\n`;
    // A character takes at most three octets in UTF-8.
    const most = 3 * (head.length + end.length) + (body?.length ?? 0);
    if (most > this.#place.length) this.#place = new Uint8Array(most);
    const place = this.#place;
    let length = encoder.encodeInto(head, place).written;
    if (body) {
      place.set(body, length);
      length += body.length;
    }
    length += encoder.encodeInto(end, place.subarray(length)).written;
    return place.subarray(0, length);
  }
}

/**
 * The response to a request: to the next hop for a SEND, along the whole path for others
 * (RFC 4975, 7.2).
 * @param {Frame} request
 * @param {number} status
 * @param {string} comment
 * @param {string} localUri
 * @returns {Uint8Array}
 */
function writeResponse(request, status, comment, localUri) {
  const toPath = request.method === "SEND" ? request.fromPath.slice(0, 1) : request.fromPath;
  return encoder.encode([
    `MSRP ${request.tid} ${status} ${comment}`,
    `To-Path: ${toPath.join(" ")}`,
    `From-Path: ${localUri}`,
    `-------${request.tid}$`,
    "",
  ].join("\r\n"));
}
return { HEADER_LINE_OCTETS_MAX, HEAD_OCTETS_MAX, readStartLine, frameOf, readByteRange, RequestWriter, writeResponse };
})();

modules["msrp/inflow.js"] = (function () {
const { readByteRange } = modules["msrp/frame.js"];
//! Takes a large message as it comes, piece by piece, without keeping any of it (RFC 4975, 7.3.1). Pure.
//!
//! One message at a time, its chunks in their order, as senders of files send them. What comes a second
//! time, because a connection was replaced, is passed over.


/**
 * What became of a chunk: new octets, nothing new, the end of an aborted message, or refused.
 * @typedef {{ kind: "piece", from: number, octets: Uint8Array, total: number | null, last: boolean }
 *   | { kind: "repeated" | "aborted" }
 *   | { kind: "refused", status: number, comment: string }} Outcome
 */

/** The message that is coming in. */
class Inflow {
  #octetsMax;
  #messageId = "";
  /** Octets that have come. */
  #received = 0;
  #whole = false;

  /** @param {number} octetsMax of the message */
  constructor(octetsMax) {
    this.#octetsMax = octetsMax;
  }

  /**
   * @param {string} messageId
   * @param {import("./frame.js").Frame} frame a SEND with a body
   * @returns {Outcome}
   */
  take(messageId, frame) {
    const range = readByteRange(frame.headers.get("byte-range"));
    if (!range) return { kind: "refused", status: 400, comment: "Byte-Range" };
    if (this.#messageId === "") this.#messageId = messageId;
    if (this.#messageId !== messageId) return { kind: "refused", status: 413, comment: "One file at a time" };
    if (this.#whole) return { kind: "repeated" };
    if (frame.flag === "#") return { kind: "aborted" };
    const body = /** @type {Uint8Array} */ (frame.body);
    const from = range.start - 1;
    const to = from + body.length;
    if (to > this.#octetsMax || (range.total ?? 0) > this.#octetsMax) {
      return { kind: "refused", status: 413, comment: "More than was announced" };
    }
    if (from > this.#received) return { kind: "refused", status: 400, comment: "A chunk is missing" };
    const last = frame.flag === "$";
    if (to <= this.#received && !(last && to === this.#received)) return { kind: "repeated" };
    const octets = body.subarray(this.#received - from);
    const start = this.#received;
    this.#received = to;
    this.#whole = last;
    return { kind: "piece", from: start, octets, total: last ? to : range.total, last };
  }
}
return { Inflow };
})();

modules["msrp/search.js"] = (function () {
//! Finds some octets in many (Boyer, Moore and Horspool): it looks at one octet in as many as are looked for. Pure.

/** @type {Uint8Array} For each octet: how far what is looked for may be moved when it stands under its end. */
const moves = new Uint8Array(256);

/**
 * @param {Uint8Array} octets
 * @param {Uint8Array} wanted 1 to 255 octets
 * @param {number} from
 * @returns {number} where they stand first, at `from` or after it; -1 if they do not
 */
function find(octets, wanted, from = 0) {
  const last = wanted.length - 1;
  moves.fill(wanted.length);
  for (let at = 0; at < last; at += 1) moves[wanted[at]] = last - at;
  const lastOctet = wanted[last];
  for (let end = from + last; end < octets.length; end += moves[octets[end]]) {
    if (octets[end] !== lastOctet) continue;
    let at = 0;
    while (at < last && octets[end - last + at] === wanted[at]) at += 1;
    if (at === last) return end - last;
  }
  return -1;
}
return { find };
})();

modules["msrp/reader.js"] = (function () {
const { HEADER_LINE_OCTETS_MAX, HEAD_OCTETS_MAX, frameOf, readStartLine } = modules["msrp/frame.js"];
const { find } = modules["msrp/search.js"];
//! Finds frames in octets, however they are cut up (RFC 4975, 7.3.1). Pure.
//!
//! An end-line counts only behind a line break, with this frame's own id, a flag, and a line break. Over WebSocket a
//! message is one frame (RFC 7977, 5.1): where it is, its body needs no searching.


/** @typedef {import("./frame.js").Frame} Frame */

const CR = 13;
const LF = 10;
const FLAGS = "$+#";
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The stream can't be understood any more; its connection must be closed. */
class FramingLost extends Error {}

/** Octets in, frames out. */
class Reader {
  /** What was received and not yet given out. @type {Uint8Array} */
  #held = new Uint8Array(0);
  /** Octets of `#held` already searched for the end-line. */
  #searched = 0;
  #octetsMax;

  /** @param {number} octetsMax most octets held for one frame */
  constructor(octetsMax) {
    this.#octetsMax = octetsMax;
  }

  /**
   * @param {Uint8Array} octets
   * @param {boolean} [isMessage] a whole message of a WebSocket: if its end is one of the frame it begins with, that is its
   *   only frame. Whoever forwarded it has looked for an earlier one
   * @returns {Frame[]} the frames that are now whole
   * @throws {FramingLost}
   */
  push(octets, isMessage = false) {
    const isOne = isMessage && this.#held.length === 0;
    this.#held = this.#held.length === 0 ? octets : joined(this.#held, octets);
    const frames = [];
    for (let frame = this.#next(isOne); frame; frame = this.#next(false)) frames.push(frame);
    if (this.#held.length > this.#octetsMax) throw new FramingLost("a frame is too long");
    return frames;
  }

  /**
   * @param {boolean} isOne whether the frame is all there is, if it ends where that ends
   * @returns {Frame | null}
   */
  #next(isOne) {
    const held = this.#held;
    const lineEnd = lineEndIn(held, 0, HEADER_LINE_OCTETS_MAX);
    if (lineEnd < 0) {
      if (!"MSRP ".startsWith(decoder.decode(held.subarray(0, 5)))) {
        throw new FramingLost("not MSRP");
      }
      return null;
    }
    const start = readStartLine(decoder.decode(held.subarray(0, lineEnd)));
    if (!start) throw new FramingLost("not a start line");

    const endLine = encoder.encode(`-------${start.tid}`);
    /** @type {string[]} */
    const lines = [];
    let at = lineEnd + 2;
    for (;;) {
      const end = lineEndIn(held, at, HEADER_LINE_OCTETS_MAX);
      if (at > HEAD_OCTETS_MAX) throw new FramingLost("a head is too long");
      if (end < 0) return null;
      if (end === at) break;
      const flag = endLineFlag(held, at, endLine);
      if (flag) return this.#take(frameOf(start, lines, null, flag), end + 2);
      lines.push(decoder.decode(held.subarray(at, end)));
      at = end + 2;
    }

    const bodyStart = at + 2;
    // An empty body may be written without a line break of its own.
    const emptyFlag = endLineFlag(held, bodyStart, endLine);
    if (emptyFlag) {
      const frame = frameOf(start, lines, new Uint8Array(0), emptyFlag);
      return this.#take(frame, bodyStart + endLine.length + 3);
    }
    const wanted = encoder.encode(`\r\n-------${start.tid}`);
    const last = held.length - wanted.length - 3;
    const isThere = isOne && last >= bodyStart && held[last] === CR && held[last + 1] === LF
      && endLineFlag(held, last + 2, endLine) !== "";
    let cr = isThere ? last : find(held, wanted, Math.max(bodyStart, this.#searched));
    while (cr >= 0 && held.length >= cr + wanted.length + 3) {
      const flag = endLineFlag(held, cr + 2, endLine);
      if (flag) {
        const frame = frameOf(start, lines, held.subarray(bodyStart, cr), flag);
        return this.#take(frame, cr + wanted.length + 3);
      }
      cr = find(held, wanted, cr + 1);
    }
    // What stands too near the end to tell is looked at again.
    this.#searched = cr >= 0 ? cr : Math.max(bodyStart, held.length - wanted.length);
    return null;
  }

  /**
   * @param {Frame} frame
   * @param {number} end where it ends in what is held
   */
  #take(frame, end) {
    this.#held = this.#held.subarray(end);
    this.#searched = 0;
    return frame;
  }
}

/**
 * @param {Uint8Array} octets
 * @param {number} from
 * @param {number} lengthMax
 * @returns {number} where the CR of the line that starts at `from` stands, -1 if it is not there yet
 */
function lineEndIn(octets, from, lengthMax) {
  for (let cr = octets.indexOf(CR, from); cr >= 0; cr = octets.indexOf(CR, cr + 1)) {
    if (cr - from > lengthMax) throw new FramingLost("a line is too long");
    if (cr + 1 === octets.length) return -1;
    if (octets[cr + 1] === LF) return cr;
  }
  if (octets.length - from > lengthMax) throw new FramingLost("a line is too long");
  return -1;
}

/**
 * @param {Uint8Array} octets
 * @param {number} at
 * @param {Uint8Array} endLine dashes and id
 * @returns {string} the flag if an end-line with its line break stands there, else nothing
 */
function endLineFlag(octets, at, endLine) {
  const flagAt = at + endLine.length;
  if (octets.length < flagAt + 3) return "";
  for (let index = 0; index < endLine.length; index += 1) {
    if (octets[at + index] !== endLine[index]) return "";
  }
  const flag = String.fromCharCode(octets[flagAt]);
  const ends = octets[flagAt + 1] === CR && octets[flagAt + 2] === LF;
  return FLAGS.includes(flag) && ends ? flag : "";
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 */
function joined(first, second) {
  const octets = new Uint8Array(first.length + second.length);
  octets.set(first, 0);
  octets.set(second, first.length);
  return octets;
}
return { FramingLost, Reader };
})();

modules["msrp/reassembly.js"] = (function () {
const { readByteRange } = modules["msrp/frame.js"];
//! Puts the chunks of messages together again (RFC 4975, 7.3.1). Pure.
//!
//! Chunks may come in any order and may overlap: the last one received counts. What is held is
//! bounded by the number of messages, the largest message, and the time since the last chunk.


/** Messages that may be incomplete at once. */
const PARTIALS_MAX = 16;
/** Milliseconds after which an incomplete message without a new chunk is forgotten. */
const PARTIAL_MS_MAX = 120_000;
/** Ids of complete messages that are remembered, so that repetitions are not delivered. */
const COMPLETED_MAX = 256;
/** Gaps between the received pieces of one message. */
const PIECES_MAX = 256;

/**
 * @typedef {object} Partial
 * @property {Uint8Array} octets what was received, each at its place
 * @property {[number, number][]} pieces where octets are, from and to, ascending, apart
 * @property {number | null} total octets of the whole; known once the chunk with `$` is here
 * @property {number} touchedAt
 */

/**
 * What became of a chunk: taken, the last one missing (with the whole body), a repetition, the
 * end of an aborted message, or refused with a status.
 * @typedef {{ kind: "taken" | "repeated" | "aborted" }
 *   | { kind: "complete", body: Uint8Array }
 *   | { kind: "refused", status: number, comment: string }} Outcome
 */

/** Collects the chunks of one session. */
class Reassembly {
  /** @type {Map<string, Partial>} */
  #partials = new Map();
  /** @type {Set<string>} */
  #completed = new Set();
  #octetsMax;

  /** @param {number} octetsMax of the largest message */
  constructor(octetsMax) {
    this.#octetsMax = octetsMax;
  }

  /**
   * @param {string} messageId
   * @param {import("./frame.js").Frame} frame a SEND with a body
   * @param {number} now milliseconds
   * @returns {Outcome}
   */
  take(messageId, frame, now) {
    const range = readByteRange(frame.headers.get("byte-range"));
    if (!range) return { kind: "refused", status: 400, comment: "Byte-Range" };
    if (this.#completed.has(messageId)) return { kind: "repeated" };
    if (frame.flag === "#") {
      this.#partials.delete(messageId);
      return { kind: "aborted" };
    }
    const body = /** @type {Uint8Array} */ (frame.body);
    const from = range.start - 1;
    const to = from + body.length;
    if (to > this.#octetsMax || (range.total ?? 0) > this.#octetsMax) {
      this.#partials.delete(messageId);
      return { kind: "refused", status: 413, comment: "Message too large" };
    }
    if (frame.flag === "$" && from === 0) {
      this.#partials.delete(messageId);
      return { kind: "complete", body };
    }
    const partial = this.#partials.get(messageId) ?? this.#begin(messageId, now);
    if (!partial || !place(partial, body, from, to)) {
      this.#partials.delete(messageId);
      return { kind: "refused", status: 413, comment: "Too many pieces" };
    }
    partial.touchedAt = now;
    if (frame.flag === "$") partial.total = to;
    const [first] = partial.pieces;
    const whole = partial.total !== null
      && (partial.total === 0 || (first?.[0] === 0 && first[1] >= partial.total));
    if (!whole) return { kind: "taken" };
    this.#partials.delete(messageId);
    return { kind: "complete", body: partial.octets.slice(0, /** @type {number} */ (partial.total)) };
  }

  /**
   * A complete message was delivered: its chunks, should they come again, are not.
   * @param {string} messageId
   */
  remember(messageId) {
    this.#completed.add(messageId);
    if (this.#completed.size <= COMPLETED_MAX) return;
    for (const oldest of this.#completed) {
      this.#completed.delete(oldest);
      return;
    }
  }

  /**
   * Forgets messages whose sender fell silent.
   * @param {number} now milliseconds
   */
  expire(now) {
    for (const [messageId, partial] of this.#partials) {
      if (now - partial.touchedAt >= PARTIAL_MS_MAX) this.#partials.delete(messageId);
    }
  }

  /** @returns {number | null} when {@link Reassembly.expire} has something to do */
  deadline() {
    let earliest = Infinity;
    for (const { touchedAt } of this.#partials.values()) earliest = Math.min(earliest, touchedAt);
    return earliest === Infinity ? null : earliest + PARTIAL_MS_MAX;
  }

  /**
   * @param {string} messageId
   * @param {number} now
   * @returns {Partial | null} null if too many messages are incomplete
   */
  #begin(messageId, now) {
    this.expire(now);
    if (this.#partials.size >= PARTIALS_MAX) return null;
    /** @type {Partial} */
    const partial = { octets: new Uint8Array(4096), pieces: [], total: null, touchedAt: now };
    this.#partials.set(messageId, partial);
    return partial;
  }
}

/**
 * @param {Partial} partial
 * @param {Uint8Array} body
 * @param {number} from
 * @param {number} to
 * @returns {boolean} false if there are too many pieces
 */
function place(partial, body, from, to) {
  if (to > partial.octets.length) {
    const grown = new Uint8Array(Math.max(to, partial.octets.length * 2));
    grown.set(partial.octets);
    partial.octets = grown;
  }
  partial.octets.set(body, from);
  if (from === to) return true;
  const apart = partial.pieces.filter(([start, end]) => end < from || start > to);
  const touched = partial.pieces.filter(([start, end]) => end >= from && start <= to);
  const start = Math.min(from, ...touched.map((piece) => piece[0]));
  const end = Math.max(to, ...touched.map((piece) => piece[1]));
  partial.pieces = [...apart, /** @type {[number, number]} */ ([start, end])]
    .sort((one, other) => one[0] - other[0]);
  return partial.pieces.length <= PIECES_MAX;
}
return { Reassembly };
})();

modules["msrp/uri.js"] = (function () {
//! MSRP URIs (RFC 4975, 6 and 9). Pure.

/**
 * @typedef {object} MsrpUri
 * @property {"msrp" | "msrps"} scheme
 * @property {string} host lower case, IPv6 in brackets
 * @property {string} port decimal, or empty
 * @property {string} sessionId empty if there is none
 * @property {string} transport lower case
 */

/** Longest URI that is read, in characters. */
const URI_CHARACTERS_MAX = 1024;
const SHAPE =
  /^(msrps?):\/\/(?:[^@/;]*@)?(\[[0-9A-Fa-f:.]+\]|[^:/;@[\]\s]+)(?::(\d{1,5}))?(?:\/([^;\s]*))?;([!#-'*+.0-9A-Z^-z|~-]+)(?:;[^\s]*)?$/i;

/**
 * @param {string} text
 * @returns {MsrpUri | null} null if it is no MSRP URI
 */
function readUri(text) {
  const parts = text.length <= URI_CHARACTERS_MAX ? SHAPE.exec(text) : null;
  if (!parts) return null;
  return {
    scheme: /** @type {"msrp" | "msrps"} */ (parts[1].toLowerCase()),
    host: parts[2].toLowerCase(),
    port: parts[3] ?? "",
    sessionId: parts[4] ?? "",
    transport: parts[5].toLowerCase(),
  };
}

/**
 * Whether two URIs name the same end (RFC 4975, 6.1): the session id counts letter by letter.
 * @param {string} one
 * @param {string} other
 */
function sameUri(one, other) {
  if (one === other) return true;
  const a = readUri(one);
  const b = readUri(other);
  return a !== null && b !== null && a.scheme === b.scheme && a.host === b.host
    && a.port === b.port && a.sessionId === b.sessionId && a.transport === b.transport;
}
return { readUri, sameUri };
})();

modules["msrp/window.js"] = (function () {
//! How many chunks of a large message may be under way: as many as are answered soon. Pure.
//!
//! It grows while answers come soon and it is used up, and halves when they come late: a fast way is kept full, and on a
//! slow one no more waits in its buffers than it carries within a few seconds, far from the time-out of a response.

const CHUNKS_AT_FIRST = 16;
const CHUNKS_MIN = 2;
/** With chunks of 64 KiB, 8 MiB. */
const CHUNKS_MAX = 128;
/** So many chunks, and it is better to send fewer and larger ones. */
const CHUNKS_WIDE = 48;
/** Milliseconds to an answer, up to which more may be under way. */
const SOON_MS = 250;
/** Milliseconds from which on less may. */
const LATE_MS = 2000;

/** The window of one sender. */
class Window {
  /** Chunks that may be under way. */
  chunks = CHUNKS_AT_FIRST;
  /** When it was halved. Answers to what was sent before say nothing of the smaller one. */
  #halvedAt = -Infinity;

  /** @returns {boolean} whether the way carries so much that larger chunks keep nobody waiting */
  isWide() {
    return this.chunks >= CHUNKS_WIDE;
  }

  /**
   * @param {number} sentAt when the request went out, in milliseconds
   * @param {number} now
   * @param {boolean} isFull whether as many were under way as may be
   */
  answered(sentAt, now, isFull) {
    if (sentAt < this.#halvedAt) return;
    const ms = now - sentAt;
    if (ms > LATE_MS) {
      this.chunks = Math.max(CHUNKS_MIN, Math.floor(this.chunks / 2));
      this.#halvedAt = now;
    } else if (ms <= SOON_MS && isFull) {
      this.chunks = Math.min(CHUNKS_MAX, this.chunks + 1);
    }
  }
}
return { Window };
})();

modules["msrp/endpoint.js"] = (function () {
const { randomWord } = modules["identifiers.js"];
const { admits, bareType } = modules["media-types.js"];
const { RequestWriter, writeResponse } = modules["msrp/frame.js"];
const { Inflow } = modules["msrp/inflow.js"];
const { FramingLost, Reader } = modules["msrp/reader.js"];
const { Reassembly } = modules["msrp/reassembly.js"];
const { find } = modules["msrp/search.js"];
const { sameUri } = modules["msrp/uri.js"];
const { Window } = modules["msrp/window.js"];
//! One MSRP session's end: requests, responses, reports, chunks, time-outs (RFC 4975). Pure:
//! octets and time in, octets and events out. Not here: the socket (`connection.js`).


/** @typedef {import("./frame.js").Frame} Frame */

/** Milliseconds a response may take after the last octet of its request (RFC 4975, 7.1.1). */
const RESPONSE_MS_MAX = 30_000;
/** Octets of a head and of an end-line that a frame may have beside its body. */
const FRAME_OVERHEAD_OCTETS_MAX = 32 * 1024;
/** Octets of a chunk of a message that is taken piece by piece. */
const PIECE_OCTETS_MAX = 64 * 1024 * 1024;
/** Chunks sent without an answer. */
const CHUNKS_MAX = 16;
/** How often a message is sent that gets lost on its way. */
const SENDINGS_MAX = 5;
/** Messages waiting to be sent. */
const QUEUE_MAX = 1000;
/** Sent messages of which a report may still come. */
const REPORTABLE_MAX = 256;
/** Malformed requests after which the connection is given up. */
const FAULTS_MAX = 5;
const encoder = new TextEncoder();

/**
 * @typedef {object} EndpointSettings
 * @property {string} localUri ours
 * @property {string[]} remotePath theirs, the next hop first
 * @property {string[]} acceptTypes what the application takes
 * @property {number} octetsMax largest message taken
 * @property {number} [chunkOctets] body of a chunk, 2048 at first
 * @property {number} [window] chunks sent without an answer, 16 at first
 * @property {boolean} [bulk] large messages: as many chunks as the way carries
 * @property {number} [chunkOctetsMax] with `bulk`: body of a chunk on a way that carries many
 */

/**
 * Octets, all there or on their way: `null` says that those are not there yet, and {@link Endpoint.resume} that more are.
 * @typedef {{ length: number, subarray: (start: number, end: number) => Uint8Array | null }} Octets
 */

/**
 * A whole message to be sent.
 * @typedef {object} Outgoing
 * @property {string} messageId
 * @property {string} contentType
 * @property {Octets} body
 * @property {boolean} [successReport] ask the far end to report success
 */

/** A number refuses with that status. @typedef {number | void} Taken */

/**
 * @typedef {object} EndpointHooks
 * @property {(octets: Uint8Array) => void} transmit one frame, whose octets hold until the next
 * @property {() => void} bound our first SEND was answered: messages may flow
 * @property {(incoming: { messageId: string, contentType: string, body: Uint8Array }) =>
 *   number | void} message a whole message; a number refuses it with that status
 * @property {(piece: { messageId: string, contentType: string, from: number, octets: Uint8Array,
 *   total: number | null, last: boolean }) => Taken | Promise<Taken>} [piece] the next piece of a large message,
 *   answered when it is taken. Whoever has this takes one large message by it, and no whole ones
 * @property {(messageId: string) => void} [aborted] the rest of that message will not come
 * @property {(messageId: string, octets: number) => void} [progress] so many from its start were answered
 * @property {(messageId: string) => void} sent the far end has the whole message
 * @property {(messageId: string, status: number, reason: string) => void} failed
 * @property {(status: number, reason: string) => void} broken the session can't go on
 */

/**
 * A message of ours: octets sent, chunks without an answer, whether all are sent; how often, and since when.
 * @typedef {{ outgoing: Outgoing, next: number, open: number, whole: boolean, sendings: number, at: number }} Sending
 */

/** One end of one session. */
class Endpoint {
  #settings;
  #hooks;
  #reader;
  #writer = new RequestWriter();
  #reassembly;
  #inflow;
  #chunkOctets;
  #window;
  /** @type {"new" | "binding" | "bound" | "lost" | "rebinding" | "over"} */
  #state = "new";
  /** @type {string[]} */
  #remotePath;
  /** The transaction of the SEND that binds. */
  #bindTid = "";
  /** Messages not yet sent as a whole; the first one is under way. @type {Sending[]} */
  #queue = [];
  /** Requests without an answer, oldest first.
   * @type {Map<string, { sending: Sending | null, at: number, start: number, octets: number }>} */
  #pending = new Map();
  /** Sent as a whole, waiting for a success report. @type {Map<string, Sending>} */
  #reportable = new Map();
  #faults = 0;

  /**
   * @param {EndpointSettings} settings
   * @param {EndpointHooks} hooks
   */
  constructor(settings, hooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#remotePath = settings.remotePath;
    this.#chunkOctets = settings.chunkOctets ?? 2048;
    this.#window = settings.bulk ? new Window() : null;
    this.#reader = this.#newReader();
    this.#reassembly = new Reassembly(settings.octetsMax);
    this.#inflow = hooks.piece ? new Inflow(settings.octetsMax) : null;
  }

  /**
   * The socket is open: a SEND without a body binds it to the session (RFC 4975, 5.4).
   * @param {number} now milliseconds
   */
  opened(now) {
    this.#state = this.#state === "lost" ? "rebinding" : "binding";
    this.#bindTid = this.#request("SEND", [["Message-ID", randomWord(20)]], null, now);
  }

  /** The socket is lost, and another may come: what is to be sent waits. */
  lost() {
    if (this.#state === "over") return;
    // Not yet bound for the first time: nothing has been sent that might come twice.
    if (this.#state !== "new" && this.#state !== "binding") this.#state = "lost";
    this.#pending.delete(this.#bindTid);
    this.#reader = this.#newReader();
  }

  /**
   * The relay is reached by another path from now on.
   * @param {string[]} remotePath theirs, the next hop first
   */
  moved(remotePath) {
    this.#remotePath = remotePath;
  }

  /**
   * Sends a message, as soon as the session is bound and the window lets it.
   * @param {Outgoing} outgoing
   * @param {number} now milliseconds
   * @returns {boolean} false if nothing more is taken
   */
  send(outgoing, now) {
    if (this.#state === "over" || this.#queue.length >= QUEUE_MAX) return false;
    this.#queue.push({ outgoing, next: 0, open: 0, whole: false, sendings: 1, at: now });
    this.#pump(now);
    return true;
  }

  /**
   * More of a message's octets are there.
   * @param {number} now milliseconds
   */
  resume(now) {
    this.#pump(now);
  }

  /**
   * A message is not sent to its end; the far end is told so.
   * @param {string} messageId
   */
  abort(messageId) {
    const sending = this.#find(messageId);
    if (sending) this.#fail(sending, 487, "aborted");
  }

  /**
   * Takes what came over the socket.
   * @param {Uint8Array} octets a whole message of the socket's
   * @param {number} now milliseconds
   */
  receive(octets, now) {
    /** @type {Frame[]} */
    let frames = [];
    try {
      frames = this.#reader.push(octets, true);
    } catch (error) {
      if (!(error instanceof FramingLost)) throw error;
      this.#break(400, error.message);
    }
    for (const frame of frames) {
      if (this.#state === "over") return;
      if (frame.method === "") this.#response(frame, now);
      else this.#incoming(frame, now);
    }
  }

  /**
   * Does what is due.
   * @param {number} now milliseconds
   */
  tick(now) {
    this.#reassembly.expire(now);
    for (const [tid, { sending, at }] of this.#pending) {
      if (this.#isAway() && sending) continue;
      if (now - at < RESPONSE_MS_MAX || this.#state === "over") break;
      this.#pending.delete(tid);
      if (sending) this.#fail(sending, 408, "no answer");
      else this.#break(408, "no answer to the first request");
    }
    this.#pump(now);
  }

  /** @returns {number | null} when {@link Endpoint.tick} has something to do */
  deadline() {
    let response = Infinity;
    for (const { sending, at } of this.#pending.values()) {
      if (sending && this.#isAway()) continue;
      response = at + RESPONSE_MS_MAX;
      break;
    }
    const earliest = Math.min(response, this.#reassembly.deadline() ?? Infinity);
    return earliest === Infinity ? null : earliest;
  }

  /**
   * The session is over: all that is open has failed.
   * @param {number} status
   * @param {string} reason
   */
  close(status, reason) {
    if (this.#state === "over") return;
    this.#state = "over";
    const open = new Set([...this.#reportable.values(), ...this.#queue]);
    for (const { sending } of this.#pending.values()) if (sending) open.add(sending);
    this.#queue = [];
    this.#pending.clear();
    this.#reportable.clear();
    for (const { outgoing } of open) this.#hooks.failed(outgoing.messageId, status, reason);
  }

  /** @returns {boolean} whether the socket is lost and not yet replaced */
  #isAway() {
    return this.#state === "lost" || this.#state === "rebinding";
  }

  #newReader() {
    const octets = this.#hooks.piece ? PIECE_OCTETS_MAX : this.#settings.octetsMax;
    return new Reader(octets + FRAME_OVERHEAD_OCTETS_MAX);
  }

  // Sending.

  /**
   * Bound again. Answers come in the order of the requests, so whatever came through before has been
   * answered by now; what has not is sent again from its start, under its Message-ID, by which the
   * far end knows a repetition (RFC 4975, 5.4).
   */
  #sendAllAgain() {
    /** @type {Set<Sending>} */
    const again = new Set();
    for (const { sending } of this.#pending.values()) if (sending) again.add(sending);
    this.#sendAgain([...again]);
  }

  /**
   * A message did not get through, such as by a relay that has lost the far end for a moment: until its first sending
   * would time out it is sent again, under its Message-ID. A large one is not: what is left of it is another transfer's.
   * @param {Sending} sending
   * @param {number} now
   */
  #isSentAgain(sending, now) {
    sending.sendings += 1;
    return !this.#settings.bulk && sending.sendings <= SENDINGS_MAX && now - sending.at < RESPONSE_MS_MAX;
  }

  /** @param {Sending[]} again */
  #sendAgain(again) {
    for (const [tid, { sending }] of this.#pending) if (sending && again.includes(sending)) this.#pending.delete(tid);
    for (const sending of again) {
      this.#reportable.delete(sending.outgoing.messageId);
      sending.next = 0;
      sending.open = 0;
      sending.whole = false;
    }
    this.#queue = [...again, ...this.#queue.filter((sending) => !again.includes(sending))];
  }

  /** @returns {boolean} whether as much is without an answer as may be */
  #isFull() {
    if (!this.#window) return this.#pending.size >= (this.#settings.window ?? CHUNKS_MAX);
    let octets = 0;
    for (const request of this.#pending.values()) octets += request.octets;
    return octets + this.#nextOctets() > this.#window.chunks * this.#chunkOctets;
  }

  /** @returns {number} octets of the next chunk */
  #nextOctets() {
    const most = this.#settings.chunkOctetsMax;
    return most && this.#window?.isWide() ? most : this.#chunkOctets;
  }

  /** @param {number} now */
  #pump(now) {
    while (this.#state === "bound" && this.#queue.length > 0 && !this.#isFull()) {
      if (!this.#sendChunk(this.#queue[0], now)) return;
    }
  }

  /**
   * @param {Sending} sending
   * @param {number} now
   * @returns {boolean} false if its octets are not there yet
   */
  #sendChunk(sending, now) {
    const { messageId, contentType, body, successReport } = sending.outgoing;
    const start = sending.next;
    const octets = body.subarray(start, Math.min(start + this.#nextOctets(), body.length));
    if (!octets) return false;
    const end = start + octets.length;
    if (start === 0 && sending.sendings === 1) sending.at = now;
    sending.next = end;
    sending.open += 1;
    sending.whole = end === body.length;
    if (sending.whole) {
      this.#queue.shift();
      if (successReport) this.#expectReport(sending);
    }
    /** @type {[string, string][]} */
    const headers = [
      ["Message-ID", messageId],
      ["Byte-Range", `${start + 1}-${end}/${body.length}`],
    ];
    if (successReport) headers.push(["Success-Report", "yes"]);
    const chunk = { contentType, body: octets, sending };
    this.#request("SEND", headers, chunk, now, sending.whole ? "$" : "+");
    return true;
  }

  /** @param {Sending} sending */
  #expectReport(sending) {
    this.#reportable.set(sending.outgoing.messageId, sending);
    if (this.#reportable.size <= REPORTABLE_MAX) return;
    for (const [messageId] of this.#reportable) {
      this.#reportable.delete(messageId);
      return;
    }
  }

  /**
   * @param {string} method
   * @param {[string, string][]} headers
   * @param {{ contentType: string, body: Uint8Array, sending: Sending | null } | null} chunk
   * @param {number} now
   * @param {string} [flag]
   * @param {boolean} [answered] whether a response will come
   * @returns {string} its transaction
   */
  #request(method, headers, chunk, now, flag = "$", answered = true) {
    const tid = this.#newTid(chunk?.body);
    const sending = chunk?.sending ?? null;
    const octets = chunk?.body.length ?? 0;
    if (answered) this.#pending.set(tid, { sending, at: now, start: (sending?.next ?? 0) - octets, octets });
    this.#hooks.transmit(this.#writer.write({
      tid,
      method,
      toPath: this.#remotePath,
      fromPath: this.#settings.localUri,
      headers,
      contentType: chunk?.contentType,
      body: chunk?.body,
      flag,
    }));
    return tid;
  }

  /**
   * @param {Uint8Array | undefined} body in which the end-line must not occur
   * @returns {string}
   */
  #newTid(body) {
    for (;;) {
      const tid = randomWord(20);
      if (!body || find(body, encoder.encode(`-------${tid}`)) < 0) return tid;
    }
  }

  /**
   * @param {Frame} response
   * @param {number} now
   */
  #response(response, now) {
    const { localUri } = this.#settings;
    const request = this.#pending.get(response.tid);
    if (!request || response.fault || !sameUri(response.toPath[0], localUri)) return;
    this.#window?.answered(request.at, now, this.#isFull());
    this.#pending.delete(response.tid);
    const { sending } = request;
    const good = response.status >= 200 && response.status < 300;
    if (!sending) {
      this.#bindingAnswered(good, response);
    } else if (response.status === 408 && this.#isSentAgain(sending, now)) {
      this.#sendAgain([sending]);
    } else if (!good) {
      this.#fail(sending, response.status, response.comment);
      if (response.status === 481 || response.status === 506) {
        this.#break(response.status, response.comment || "the session is gone");
      }
    } else {
      sending.open -= 1;
      this.#hooks.progress?.(sending.outgoing.messageId, this.#answered(sending));
      const done = sending.whole && sending.open === 0;
      if (done && !sending.outgoing.successReport) {
        this.#hooks.sent(sending.outgoing.messageId);
      }
    }
    this.#pump(now);
  }

  /**
   * @param {Sending} sending
   * @returns {number} octets from its start that were answered without a gap
   */
  #answered(sending) {
    for (const request of this.#pending.values()) if (request.sending === sending) return request.start;
    return sending.next;
  }

  /**
   * @param {boolean} good
   * @param {Frame} response
   */
  #bindingAnswered(good, response) {
    if (this.#state !== "binding" && this.#state !== "rebinding") return;
    if (!good) {
      this.#break(response.status, response.comment || "the first request was refused");
      return;
    }
    if (this.#state === "rebinding") this.#sendAllAgain();
    this.#state = "bound";
    this.#hooks.bound();
  }

  /**
   * Fails a message once; the rest of it is not sent, and the far end is told so.
   * @param {Sending} sending
   * @param {number} status
   * @param {string} reason
   */
  #fail(sending, status, reason) {
    const { messageId, contentType, body } = sending.outgoing;
    for (const [tid, request] of this.#pending) {
      if (request.sending === sending) this.#pending.delete(tid);
    }
    this.#reportable.delete(messageId);
    const at = this.#queue.indexOf(sending);
    if (at >= 0) {
      this.#queue.splice(at, 1);
      /** @type {[string, string][]} */
      const headers = [
        ["Message-ID", messageId],
        ["Byte-Range", `${sending.next + 1}-${sending.next}/${body.length}`],
        ["Failure-Report", "no"],
      ];
      const nothing = { contentType, body: new Uint8Array(0), sending: null };
      this.#request("SEND", headers, nothing, 0, "#", false);
    }
    this.#hooks.failed(messageId, status, reason);
  }

  // Receiving.

  /**
   * @param {Frame} request
   * @param {number} now
   */
  #incoming(request, now) {
    const silent = (request.headers.get("failure-report") ?? "yes").toLowerCase();
    const answer = (/** @type {number} */ status, /** @type {string} */ comment) => {
      const wanted = request.method !== "REPORT" && silent !== "no"
        && (status !== 200 || silent !== "partial") && request.fromPath.length > 0;
      if (wanted) {
        this.#hooks.transmit(writeResponse(request, status, comment, this.#settings.localUri));
      }
    };
    if (request.fault) {
      answer(400, "Bad request");
      this.#faults += 1;
      if (this.#faults >= FAULTS_MAX) this.#break(400, "too many malformed requests");
    } else if (!this.#isOurs(request)) {
      answer(481, "No such session");
    } else if (request.method === "REPORT") {
      this.#report(request, now);
    } else if (request.method !== "SEND") {
      answer(501, "Unknown method");
    } else if (request.body === null) {
      answer(200, "OK");
    } else {
      this.#content(request, answer, now);
    }
  }

  /** @param {Frame} request */
  #isOurs(request) {
    const { localUri } = this.#settings;
    return request.toPath.length === 1 && sameUri(request.toPath[0], localUri)
      && sameUri(request.fromPath.at(-1) ?? "", this.#remotePath.at(-1) ?? "");
  }

  /**
   * @param {Frame} request
   * @param {(status: number, comment: string) => void} answer
   * @param {number} now
   */
  #content(request, answer, now) {
    const messageId = request.headers.get("message-id");
    if (!messageId || messageId.length > 128) {
      answer(400, "No Message-ID");
      return;
    }
    const contentType = request.headers.get("content-type") ?? "";
    if (!admits(this.#settings.acceptTypes, bareType(contentType))) {
      answer(415, "Unknown content type");
      return;
    }
    if (this.#inflow) {
      this.#stream(this.#inflow, messageId, contentType, request, answer);
      return;
    }
    const outcome = this.#reassembly.take(messageId, request, now);
    if (outcome.kind === "refused") {
      answer(outcome.status, outcome.comment);
      return;
    }
    if (outcome.kind === "complete") {
      const { body } = outcome;
      const refused = this.#hooks.message({ messageId, contentType, body });
      if (typeof refused === "number") {
        answer(refused, "Not taken");
        return;
      }
      this.#reassembly.remember(messageId);
      answer(200, "OK");
      if ((request.headers.get("success-report") ?? "").toLowerCase() === "yes") {
        this.#reportSuccess(request, messageId, body.length);
      }
      return;
    }
    answer(200, "OK");
  }

  /**
   * @param {Inflow} inflow
   * @param {string} messageId
   * @param {string} contentType
   * @param {Frame} request
   * @param {(status: number, comment: string) => void} answer
   */
  #stream(inflow, messageId, contentType, request, answer) {
    const chunk = inflow.take(messageId, request);
    if (chunk.kind === "refused") {
      answer(chunk.status, chunk.comment);
      return;
    }
    if (chunk.kind === "aborted") this.#hooks.aborted?.(messageId);
    if (chunk.kind === "piece") {
      const { from, octets, total, last } = chunk;
      const taken = (/** @type {Taken} */ refused) => {
        answer(refused ?? 200, typeof refused === "number" ? "Not taken" : "OK");
        const reports = (request.headers.get("success-report") ?? "").toLowerCase() === "yes";
        if (last && reports && typeof refused !== "number") this.#reportSuccess(request, messageId, total ?? 0);
      };
      const outcome = this.#hooks.piece?.({ messageId, contentType, from, octets, total, last });
      if (outcome instanceof Promise) outcome.then(taken);
      else taken(outcome);
      return;
    }
    answer(200, "OK");
  }

  /**
   * @param {Frame} request the chunk that made the message whole
   * @param {string} messageId
   * @param {number} total octets
   */
  #reportSuccess(request, messageId, total) {
    this.#hooks.transmit(this.#writer.write({
      tid: randomWord(20),
      method: "REPORT",
      toPath: request.fromPath,
      fromPath: this.#settings.localUri,
      headers: [
        ["Message-ID", messageId],
        ["Byte-Range", `1-${total}/${total}`],
        ["Status", "000 200 OK"],
      ],
      flag: "$",
    }));
  }

  /**
   * @param {Frame} report
   * @param {number} now
   */
  #report(report, now) {
    const messageId = report.headers.get("message-id") ?? "";
    const parts = /^000 (\d{3})(?: (.*))?$/.exec(report.headers.get("status") ?? "");
    if (!parts) return;
    const sending = this.#find(messageId);
    if (!sending) return;
    const status = Number(parts[1]);
    if (status < 200 || status > 299) {
      this.#fail(sending, status, parts[2] ?? "");
      this.#pump(now);
    } else if (this.#reportable.get(messageId) === sending && coversAll(report, sending)) {
      this.#reportable.delete(messageId);
      this.#hooks.sent(messageId);
    }
  }

  /** @param {string} messageId */
  #find(messageId) {
    const is = (/** @type {Sending | null} */ sending) =>
      sending?.outgoing.messageId === messageId;
    for (const { sending } of this.#pending.values()) if (is(sending)) return sending;
    return this.#reportable.get(messageId) ?? this.#queue.find(is) ?? null;
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #break(status, reason) {
    if (this.#state === "over") return;
    this.close(status, reason);
    this.#hooks.broken(status, reason);
  }
}

/**
 * @param {Frame} report
 * @param {Sending} sending
 */
function coversAll(report, sending) {
  const parts = /^1-(\d{1,15})\//.exec(report.headers.get("byte-range") ?? "");
  return !parts || Number(parts[1]) >= sending.outgoing.body.length;
}
return { RESPONSE_MS_MAX, Endpoint };
})();

modules["msrp/connection.js"] = (function () {
const { openDirectly } = modules["direct-socket.js"];
const { environment } = modules["environment.js"];
const { startTimer, stopTimer, turn } = modules["events.js"];
const { log } = modules["log.js"];
const { Endpoint } = modules["msrp/endpoint.js"];
//! The WebSocket of one MSRP session, and its clock (RFC 7977). A message is a frame.


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
class MsrpConnection {
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
return { MsrpConnection };
})();

modules["media-link.js"] = (function () {
const { ConnectionStateEnum } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { later, startTimer, stopTimer } = modules["events.js"];
const { randomWord } = modules["identifiers.js"];
const { log } = modules["log.js"];
const { MsrpConnection } = modules["msrp/connection.js"];
//! The way of media: where they go, the connection, losing it and finding another.
//! Not here: what travels on it (`chat-media.js`, `file-media.js`), chunks (`msrp/endpoint.js`).


/** A new way in is asked for after so long without one, spread by chance over as long again. */
const ASK_MS = 500;
/** Milliseconds between askings, after the first. */
const ASK_AGAIN_MS = 2000;
/** What is under way has so many milliseconds once the other side has ended it. */
const DRAIN_MS = 1000;
/** A lost connection that has not come back within this time has failed. */
const LOST_MS_MAX = 60_000;

/**
 * @typedef {object} LinkHooks
 * @property {(state: string) => void} state one of ConnectionStateEnum
 * @property {() => void} lost the connection went: ask for a new way in, if one can
 */

/** @typedef {import("./sdp.js").RemoteMedia} RemoteMedia */
/** @typedef {import("./msrp/endpoint.js").EndpointSettings} EndpointSettings */
/** @typedef {import("./msrp/connection.js").MsrpHooks} MsrpHooks */

/** One side's media: what a chat and a file have in common. */
class MediaLink {
  #hooks;
  #localUri;
  /** @type {RemoteMedia | null} */
  #remote = null;
  /** @type {MsrpConnection | null} */
  #connection = null;
  /** @type {string} */
  #state = ConnectionStateEnum.NONE;
  #over = false;
  /** @type {any} */
  #askTimer;
  /** @type {any} */
  #lostTimer;
  /** What to do once the connection is gone. @type {(() => void) | null} */
  #drained = null;

  /**
   * @param {boolean} secure
   * @param {LinkHooks} hooks
   */
  constructor(secure, hooks) {
    this.#hooks = hooks;
    const scheme = secure ? "msrps" : "msrp";
    this.#localUri = `${scheme}://${randomWord(12)}.invalid:2855/${randomWord(26)};ws`;
    /** What every description of this side says. */
    this.ownSide = {
      secure, path: this.#localUri, origin: String(Math.trunc(Date.now() / 1000)),
    };
  }

  // What a kind of media adds.

  /** @returns {string} our session description; the same each time */
  sdp() {
    throw new Error("wsc: media must describe themselves");
  }

  /** @returns {[Omit<EndpointSettings, "localUri" | "remotePath">, Pick<MsrpHooks, "message" | "sent" | "failed">
   *   & Partial<MsrpHooks>]} */
  endpoint() {
    throw new Error("wsc: media must say what travels");
  }

  /**
   * @param {RemoteMedia} _remote the answer to what we offered
   * @returns {string} why it can't be used, or nothing
   */
  wrongWith(_remote) {
    return "";
  }

  /** The connection was begun: what waited may be sent. */
  begun() {}

  /** The connection is up, for the first time or again. */
  opened() {}

  /** The connection is lost, for now. */
  interrupted() {}

  /**
   * It is over; called once.
   * @param {number} _status
   * @param {string} _reason
   */
  finished(_status, _reason) {}

  // What all have.

  /** @param {RemoteMedia} remote what the other side said */
  setRemote(remote) {
    this.#remote = remote;
  }

  /** @returns {RemoteMedia | null} */
  remote() {
    return this.#remote;
  }

  /** @returns {MsrpConnection | null} */
  connection() {
    return this.#connection;
  }

  /** @returns {boolean} */
  isOver() {
    return this.#over;
  }

  /** @returns {boolean} */
  isOpen() {
    return this.#state === ConnectionStateEnum.OPEN;
  }

  /** Both sides agree: opens the MSRP connection. */
  connect() {
    const remote = this.#remote;
    if (!remote || this.#connection || this.#over) return;
    const [settings, hooks] = this.endpoint();
    this.#connection = new MsrpConnection(
      { ...settings, localUri: this.#localUri, remotePath: remote.path },
      {
        ...hooks,
        open: () => this.#opened(),
        closed: (orderly, status, reason) => this.#closed(orderly, status, reason),
        lost: (reason) => this.#lost(reason),
      },
    );
    this.#move(ConnectionStateEnum.CONNECTING);
    const connection = this.#connection;
    if (this.#attempt(() => connection.open(remote.url))) this.begun();
  }

  /**
   * There is a new way in: the connection goes on there.
   * @param {RemoteMedia} remote
   */
  rebind(remote) {
    const connection = this.#connection;
    if (!connection || this.#over) return;
    this.#remote = remote;
    this.#lost("a new way in was given", ASK_AGAIN_MS);
    this.#attempt(() => connection.move(remote.url, remote.path));
  }

  /**
   * The other side has ended it: what is under way still comes in, until the relay closes the
   * connection or its time is over.
   * @param {() => void} done
   */
  drain(done) {
    if (this.#state !== ConnectionStateEnum.OPEN || this.#drained) {
      done();
      return;
    }
    this.#drained = done;
    startTimer(done, DRAIN_MS);
  }

  /**
   * It is over: closes the connection; what is open has failed.
   * @param {number} status
   * @param {string} reason
   */
  end(status, reason) {
    if (this.#over) return;
    this.#finish(status, reason);
    this.#connection?.close(status, reason);
    const silent = [ConnectionStateEnum.NONE, ConnectionStateEnum.ERROR, ConnectionStateEnum.CLOSED];
    if (!silent.includes(/** @type {any} */ (this.#state))) this.#move(ConnectionStateEnum.CLOSED);
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #finish(status, reason) {
    this.#over = true;
    this.#stopLooking();
    this.finished(status, reason);
  }

  /**
   * @param {boolean} orderly
   * @param {number} status
   * @param {string} reason
   */
  #closed(orderly, status, reason) {
    if (this.#over) return;
    if (this.#drained) {
      this.#drained();
      return;
    }
    this.#finish(status, reason);
    this.#move(orderly ? ConnectionStateEnum.CLOSED : ConnectionStateEnum.ERROR);
  }

  /**
   * @param {() => void} opens
   * @returns {boolean}
   */
  #attempt(opens) {
    try {
      opens();
      return true;
    } catch (error) {
      log("error", "the media address is unusable", error);
      later(() => this.#closed(false, 481, "the media address is unusable"));
      return false;
    }
  }

  #opened() {
    this.#stopLooking();
    this.#move(ConnectionStateEnum.OPEN);
    this.opened();
  }

  /**
   * The connection is gone, and may come back by another way.
   * @param {string} reason
   * @param {number} [askIn] milliseconds until a way is asked for
   */
  #lost(reason, askIn = ASK_MS * (1 + environment.chance())) {
    if (this.#over) return;
    if (this.#drained) {
      this.#drained();
      return;
    }
    this.interrupted();
    this.#lostTimer ??= startTimer(() => {
      this.#connection?.close(481, reason);
      this.#closed(false, 481, reason);
    }, LOST_MS_MAX);
    this.#askIn(askIn);
    if (this.#state !== ConnectionStateEnum.CONNECTING) this.#move(ConnectionStateEnum.CONNECTING);
  }

  /** @param {number} ms */
  #askIn(ms) {
    stopTimer(this.#askTimer);
    this.#askTimer = startTimer(() => {
      this.#hooks.lost();
      this.#askIn(ASK_AGAIN_MS * (1 + environment.chance()));
    }, ms);
  }

  #stopLooking() {
    stopTimer(this.#askTimer);
    stopTimer(this.#lostTimer);
    this.#lostTimer = undefined;
  }

  /** @param {string} state */
  #move(state) {
    this.#state = state;
    this.#hooks.state(state);
  }
}
return { MediaLink };
})();

modules["party.js"] = (function () {
//! Somebody's address, as envelopes write it and as pages see it. Pure.

/**
 * @param {string} uri
 * @returns {string} `bob@example.com` of `sip:bob@example.com;user=phone`; another kind of URI as it is
 */
function shownParty(uri) {
  const [, address] = /^sips?:([^;?]*)/i.exec(uri) ?? [];
  return address ?? uri;
}

/**
 * @param {string} shown
 * @returns {string} the URI of somebody who is shown so
 */
function partyUri(shown) {
  return /^(sips?|tel|urn):/i.test(shown) ? shown : `sip:${shown}`;
}

/**
 * Whether two URIs are of the same person. Hosts compare without case; parameters do not matter.
 * @param {string} one
 * @param {string} other
 */
function sameParty(one, other) {
  return shownParty(one).toLowerCase() === shownParty(other).toLowerCase();
}
return { shownParty, partyUri, sameParty };
})();

modules["file-sdp.js"] = (function () {
//! Files in session descriptions (RFC 5547, 6): what is offered, under which name. Pure.

/** Longest name of a file, in characters. */
const NAME_CHARACTERS_MAX = 255;

/**
 * What is said of a file. All of it may be missing but the id.
 * @typedef {object} FileDescription
 * @property {string} id `a=file-transfer-id`
 * @property {string} name
 * @property {string} type
 * @property {number | null} size octets
 * @property {{ algorithmName: string, value: string }[]} hashes
 * @property {string} disposition `render` or `attachment`
 * @property {string} description
 * @property {{ creation?: string, modification?: string, read?: string }} dates
 * @property {FileRange | null} range the part that is sent; null: all of it
 * @property {string} icon by which Content-ID its icon goes along; empty if it has none
 */

/** A part of a file: its first octet, counted from 1, and its last; null: to the end.
 * @typedef {{ start: number, stop: number | null }} FileRange */

/**
 * @param {FileDescription} file
 * @param {boolean} has whether it is ours; who takes it says less (RFC 5547, 8.3.1)
 * @param {boolean} [asks] whether we ask for it: by its hash, if that is known (8.2.2)
 * @returns {string[]} attribute lines
 */
function fileLines(file, has, asks = false) {
  const hashes = has || asks ? file.hashes : [];
  const selector = [
    file.name && `name:"${encoded(file.name)}"`,
    file.type && `type:${file.type.replace(/[^\x21-\x7e]/g, "")}`,
    file.size !== null && `size:${file.size}`,
    ...hashes.map(({ algorithmName, value }) => `hash:${algorithmName}:${value.toUpperCase()}`),
  ];
  const lines = [`a=file-selector:${selector.filter(Boolean).join(" ")}`, `a=file-transfer-id:${file.id}`];
  if (file.range) lines.push(`a=file-range:${file.range.start}-${file.range.stop ?? "*"}`);
  if (!has) return lines;
  lines.push(`a=file-disposition:${file.disposition}`);
  const dates = Object.entries(file.dates).filter(([, date]) => date)
    .map(([kind, date]) => `${kind}:"${String(date).replace(/["\r\n]/g, "")}"`);
  if (dates.length > 0) lines.push(`a=file-date:${dates.join(" ")}`);
  if (file.icon) lines.push(`a=file-icon:cid:${file.icon}`);
  return lines;
}

/**
 * @param {string[]} section the lines of one medium
 * @returns {FileDescription | null} null if it is no file
 */
function readFileLines(section) {
  const attribute = (/** @type {string} */ name) =>
    section.find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3).trim();
  const selector = attribute("file-selector");
  const id = attribute("file-transfer-id");
  if (selector === undefined || !id || !/^[!#-'*+.0-9A-Z^-z|~-]{1,128}$/.test(id)) return null;
  const value = (/** @type {RegExp} */ pattern) => pattern.exec(` ${selector}`)?.[1];
  const size = value(/ size:(\d{1,15})(?= |$)/);
  const name = value(/ name:"([^"]*)"/);
  const range = readRange(attribute("file-range"));
  if (typeof range === "string") return null;
  const date = attribute("file-date") ?? "";
  const when = (/** @type {string} */ kind) => new RegExp(`(?:^| )${kind}:"([^"]*)"`).exec(date)?.[1];
  const dates = { creation: when("creation"), modification: when("modification"), read: when("read") };
  return {
    id,
    name: name === undefined ? "" : safeName(name),
    type: value(/ type:([^ ;]+(?:;[^ ="]+="[^"]*")*)/) ?? "",
    size: size === undefined ? null : Number(size),
    hashes: [...selector.matchAll(/(?:^| )hash:([\w-]+):([0-9A-Fa-f:]+)/g)]
      .map(([, algorithmName, hash]) => ({ algorithmName, value: hash })),
    disposition: attribute("file-disposition") === "attachment" ? "attachment" : "render",
    description: section.find((line) => line.startsWith("i="))?.slice(2) ?? "",
    dates,
    range,
    icon: /^cid:(\S+)$/i.exec(attribute("file-icon") ?? "")?.[1] ?? "",
  };
}

/**
 * @param {string | undefined} text of `a=file-range`
 * @returns {FileRange | null | string} a string if it can't be one
 */
function readRange(text) {
  if (text === undefined) return null;
  const parts = /^(\d{1,15})-(?:(\d{1,15})|\*)$/.exec(text);
  const start = Number(parts?.[1] ?? 0);
  const stop = parts?.[2] === undefined ? null : Number(parts[2]);
  return start < 1 || (stop !== null && stop < start) ? "no range" : { start, stop };
}

/**
 * Characters that would end the name, or lead out of its folder (RFC 5547, 6).
 * @param {string} name
 */
function encoded(name) {
  return name.slice(0, NAME_CHARACTERS_MAX).replace(/["%\r\n\0/\\]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

/**
 * A name that stays where it is put, whatever came.
 * @param {string} text
 */
function safeName(text) {
  const plain = text.replace(/%(22|25|0D|0A|00|2F|5C)/gi,
    (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  const bare = (plain.split(/[/\\]/).at(-1) ?? "").replace(/[\u0000-\u001f\u007f]/g, "");
  const name = bare.slice(0, NAME_CHARACTERS_MAX).trim();
  return name === "" || name === "." || name === ".." ? "file" : name;
}
return { fileLines, readFileLines };
})();

modules["sdp.js"] = (function () {
const { readFileLines } = modules["file-sdp.js"];
const { readUri } = modules["msrp/uri.js"];
//! The session description of a chat or a file: made for our side, read from the other. Pure.


/** Longest description that is read, in characters. */
const SDP_CHARACTERS_MAX = 64 * 1024;

/**
 * Our side.
 * @typedef {object} LocalMedia
 * @property {boolean} secure `wss` and TLS, or `ws`
 * @property {string} path our MSRP URI
 * @property {string} origin number of the description's origin line
 * @property {string[]} acceptTypes
 * @property {string[]} acceptWrappedTypes
 * @property {number} [maxSize] octets of the largest message we take
 * @property {string} [direction] `sendrecv` if it is left out
 * @property {string} [information] in words
 * @property {string[]} [attributes] further lines
 */

/**
 * The other side, as anchored by the server.
 * @typedef {object} RemoteMedia
 * @property {boolean} secure
 * @property {string[]} path left: the next hop, right: the far end
 * @property {string} url where our WebSocket goes
 * @property {string[]} acceptTypes lower case
 * @property {string[]} acceptWrappedTypes lower case
 * @property {number} maxSize octets; infinite if not stated
 * @property {string} direction as the other side sees it: `sendonly` means that it sends
 * @property {import("./file-sdp.js").FileDescription | null} file
 */

/**
 * @param {LocalMedia} media
 * @returns {string}
 */
function writeSdp(media) {
  const lines = [
    "v=0",
    `o=- ${media.origin} 1 IN IP4 0.0.0.0`,
    "s=-",
    "c=IN IP4 0.0.0.0",
    "t=0 0",
    `m=message 9 ${media.secure ? "TCP/TLS/MSRP" : "TCP/MSRP"} *`,
    ...(media.information ? [`i=${media.information}`] : []),
    `a=path:${media.path}`,
    "a=setup:active",
    `a=accept-types:${media.acceptTypes.join(" ")}`,
  ];
  if (media.acceptWrappedTypes.length > 0) {
    lines.push(`a=accept-wrapped-types:${media.acceptWrappedTypes.join(" ")}`);
  }
  if (media.maxSize !== undefined) lines.push(`a=max-size:${media.maxSize}`);
  lines.push(`a=${media.direction ?? "sendrecv"}`, ...(media.attributes ?? []));
  return `${lines.join("\r\n")}\r\n`;
}

/**
 * Reads the first `m=message` of a description.
 * @param {any} sdp
 * @returns {RemoteMedia | string} a string says what is wrong with it
 */
function readSdp(sdp) {
  if (typeof sdp !== "string" || sdp === "") return "no session description";
  if (sdp.length > SDP_CHARACTERS_MAX) return "session description too long";
  const lines = sdp.split(/\r?\n/);
  const start = lines.findIndex((line) => line.startsWith("m=message "));
  if (start < 0) return "no message media";
  const after = lines.findIndex((line, at) => at > start && line.startsWith("m="));
  const section = lines.slice(start, after < 0 ? undefined : after);
  const [port, protocol] = section[0].slice("m=message ".length).split(" ");
  if (port === "0") return "message media refused";
  if (protocol !== "TCP/MSRP" && protocol !== "TCP/TLS/MSRP") return `no MSRP: ${protocol}`;

  const path = (attribute(section, "path") ?? "").split(" ").filter((uri) => uri !== "");
  const next = readUri(path[0] ?? "");
  if (!next || path.some((uri) => !readUri(uri))) return "no usable a=path";
  if (next.transport !== "ws" && next.transport !== "wss") return "the path is not for WebSocket";
  if (next.port === "") return "the path has no port";
  const resource = attribute(section, "ws-resource-path") ?? "";
  if (!/^\/[!-~]*$/.test(resource) || /[?#]/.test(resource)) return "no usable a=ws-resource-path";
  const secure = next.scheme === "msrps" || next.transport === "wss";
  const size = attribute(section, "max-size") ?? "";
  return {
    secure,
    path,
    url: `${secure ? "wss" : "ws"}://${next.host}:${next.port}${resource}`,
    acceptTypes: types(attribute(section, "accept-types")),
    acceptWrappedTypes: types(attribute(section, "accept-wrapped-types")),
    direction: section.map((line) => /^a=(sendonly|recvonly|inactive)$/.exec(line)?.[1])
      .find((word) => word) ?? "sendrecv",
    file: readFileLines(section),
    maxSize: /^\d{1,15}$/.test(size) ? Number(size) : Infinity,
  };
}

/**
 * An answer has a line for each of its offer (RFC 3264, 6): the first message line is what is answered, all others are refused by
 * port 0, and say which file it would have been (RFC 5547, 8.3).
 * @param {string} own our description, of one line
 * @param {string} offer
 * @returns {string}
 */
function answerTo(own, offer) {
  const split = (/** @type {string} */ sdp) => sdp.trimEnd().split(/\r?\n(?=m=)/);
  const [head, ours] = split(own);
  const [, ...offered] = split(offer);
  const taken = offered.findIndex((section) => section.startsWith("m=message "));
  if (offered.length < 2 || taken < 0) return own;
  const refused = (/** @type {string} */ section) => {
    const [line, ...attributes] = section.split(/\r?\n/);
    const files = attributes.filter((one) => /^a=file-(selector|transfer-id):/.test(one));
    return [line.replace(/^(m=\S+) \S+/, "$1 0"), ...files].join("\r\n");
  };
  return [head, ...offered.map((section, at) => (at === taken ? ours : refused(section))), ""].join("\r\n");
}

/**
 * @param {string[]} section
 * @param {string} name
 * @returns {string | undefined}
 */
function attribute(section, name) {
  const start = `a=${name}:`;
  return section.find((line) => line.startsWith(start))?.slice(start.length).trim();
}

/** @param {string | undefined} list */
function types(list) {
  return (list ?? "").toLowerCase().split(" ").filter((type) => type !== "");
}
return { writeSdp, readSdp, answerTo };
})();

modules["chat-media.js"] = (function () {
const { ChatMessage, offeredTypes } = modules["chat-config.js"];
const { CPIM_TYPE, unwrapCpim, wrapCpim } = modules["cpim.js"];
const { environment } = modules["environment.js"];
const { later, startTimer, stopTimer } = modules["events.js"];
const { randomWord } = modules["identifiers.js"];
const { IMDN_TYPE, readImdn, writeImdn } = modules["imdn.js"];
const { MediaLink } = modules["media-link.js"];
const { admits, bareType, decodeText } = modules["media-types.js"];
const { sameParty, shownParty } = modules["party.js"];
const { writeSdp } = modules["sdp.js"];
const { TYPING_TYPE, TypingReceiver, TypingSender } = modules["typing.js"];
//! The messages of a chat: texts to and from MSRP, envelopes, typing, what became of each.
//! Not here: signalling (`invitation.js`), the connection (`media-link.js`), chunks (`msrp/endpoint.js`).


/** Messages that may wait for the chat to be up. */
const EARLY_MAX = 1000;
/** Members of a group of whom it is known at a time that they type. */
const TYPISTS_MAX = 100;
const encoder = new TextEncoder();

/**
 * @typedef {object} ChatHooks
 * @property {(message: ChatMessage) => void} message
 * @property {(messageId: string) => void} sent
 * @property {(messageId: string, status: number, reason: string) => void} failed
 * @property {(typing: boolean, by: string) => void} typing
 * @property {(messageId: string, status: string, by: string) => void} status what became of a message later
 */

/**
 * What a note says of the message it is about.
 * @typedef {{ messageId: string, dateTime: string, from: string, routes?: string[], originalTo?: string }} About
 */

/** @typedef {ChatHooks & import("./media-link.js").LinkHooks} MediaHooks */
/** @typedef {import("./sdp.js").RemoteMedia} RemoteMedia */

/** Both directions of a chat's messages. */
class ChatMedia extends MediaLink {
  #config;
  #hooks;
  #offered;
  /** @type {{ messageId: string, message: ChatMessage }[]} */
  #early = [];
  /** What goes along with the invitation, until that has got there. @type {{ messageId: string, message: ChatMessage } | null} */
  #first = null;
  #typingSender = new TypingSender();
  /** By who types; in a chat of two that is the empty name. @type {Map<string, TypingReceiver>} */
  #typingReceivers = new Map();
  #ownUri;
  /** Whether the other side takes notes about typing. */
  #typingWanted = true;
  /** What the senders of messages want to know. @type {WeakMap<ChatMessage, About & { wanted: string[] }>} */
  #wishes = new WeakMap();
  /** Notes that wait for the connection to be up: a message may be there before that is known.
   * @type {[About, "delivered" | "displayed"][]} */
  #waitingNotes = [];
  /** Ids of notes, of which the application knows nothing. @type {Set<string>} */
  #notes = new Set();
  /** @type {any} */
  #typingTimer;

  /**
   * @param {import("./chat-config.js").ChatConfig} config
   * @param {boolean} secure
   * @param {MediaHooks} hooks
   * @param {string | null} [ownUri] in a group: as whom the user speaks
   */
  constructor(config, secure, hooks, ownUri = null) {
    super(secure, hooks);
    this.#config = config;
    this.#hooks = hooks;
    this.#ownUri = ownUri;
    this.#offered = offeredTypes(config, ownUri !== null);
  }

  /** @override */
  sdp() {
    return writeSdp({ ...this.ownSide, maxSize: this.#config.selfMaxSize, ...this.#offered });
  }

  /**
   * @override
   * @param {RemoteMedia} remote
   */
  setRemote(remote) {
    super.setRemote(remote);
    this.#config.targetMaxSize = remote.maxSize;
  }

  /** @override @returns {ReturnType<MediaLink["endpoint"]>} */
  endpoint() {
    return [{
      acceptTypes: this.#offered.acceptTypes,
      octetsMax: this.#config.selfMaxSize,
    }, {
      message: (incoming) => this.#receive(incoming.contentType, incoming.body),
      sent: (messageId) => this.#settled(messageId, 0, ""),
      failed: (messageId, status, reason) => this.#settled(messageId, status, reason),
    }];
  }

  /** @override */
  begun() {
    for (const { messageId, message } of this.#early.splice(0)) this.#submit(messageId, message);
  }

  /** @override */
  opened() {
    for (const [envelope, status] of this.#waitingNotes.splice(0)) this.notify(envelope, status);
  }

  /** @override */
  interrupted() {
    for (const by of this.#typingReceivers.keys()) this.#typingStopped(by);
  }

  /**
   * @override
   * @param {number} status
   * @param {string} reason
   */
  finished(status, reason) {
    stopTimer(this.#typingTimer);
    this.interrupted();
    this.firstLater();
    for (const { messageId } of this.#early.splice(0)) {
      this.#hooks.failed(messageId, status, reason);
    }
  }

  /**
   * A message that goes along with the invitation.
   * @param {ChatMessage} message
   * @returns {{ content: string | Uint8Array, content_type?: string, message_id: string }} as frames have it
   */
  sendFirst(message) {
    const messageId = randomWord(24);
    this.#first = { messageId, message };
    const { contentType, content } = message;
    return { content, ...(contentType === "text/plain" ? {} : { content_type: contentType }), message_id: messageId };
  }

  /** The invitation has got there, and the message with it. */
  firstArrived() {
    const first = this.#first;
    this.#first = null;
    if (first) this.#hooks.sent(first.messageId);
  }

  /**
   * The message can't go along with the invitation: it waits for the chat to be up, before all others.
   * @returns {boolean} whether there is one
   */
  firstLater() {
    const first = this.#first;
    this.#first = null;
    if (first) this.#early.unshift(first);
    return first !== null;
  }

  /**
   * A message came along with the invitation into a group: its author is told as of all others of the group, by the focus.
   * @param {ChatMessage} message
   * @param {any} said of it, as frames have it; `seen` if the user has seen it
   */
  firstCame(message, { message_id: messageId = "", date_time: dateTime = "", notify = [], from, routes, original_to, seen }) {
    const about = { messageId, dateTime, from, routes, originalTo: original_to };
    if (notify.includes("delivery")) this.#tell(about, "delivered");
    if (!notify.includes("display")) return;
    if (seen) this.#tell(about, "displayed");
    else this.#wishes.set(message, { ...about, wanted: ["display"] });
  }

  /**
   * @param {ChatMessage} message
   * @returns {string} its id
   */
  send(message) {
    const messageId = randomWord(24);
    this.#typingSender.messageSent();
    this.#scheduleTyping();
    if (this.isOver()) {
      later(() => this.#hooks.failed(messageId, 481, "the chat is over"));
    } else if (this.connection()) {
      this.#submit(messageId, message);
    } else if (this.#early.length < EARLY_MAX) {
      this.#early.push({ messageId, message });
    } else {
      later(() => this.#hooks.failed(messageId, 413, "too many messages wait"));
    }
    return messageId;
  }

  /** @param {boolean} isTyping */
  indicateTyping(isTyping) {
    if (!this.isOpen()) return;
    const now = environment.now();
    this.#sendNote(isTyping ? this.#typingSender.typed(now) : this.#typingSender.stopped());
    this.#scheduleTyping();
  }

  /**
   * The user has seen a message: its sender is told, if that was asked for.
   * @param {ChatMessage} message
   */
  displayed(message) {
    const envelope = this.#wishes.get(message);
    this.#wishes.delete(message);
    if (envelope?.wanted.includes("display")) this.#tell(envelope, "displayed");
  }

  /**
   * @param {About} about a message of the other side's
   * @param {"delivered" | "displayed"} status
   * @returns {boolean} whether it could be told here
   */
  notify({ messageId: about, dateTime, from, routes = [], originalTo = "" }, status) {
    const { acceptTypes = [] } = this.remote() ?? {};
    if (about === "" || !this.isOpen() || !admits(acceptTypes, CPIM_TYPE)) return false;
    const messageId = randomWord(24);
    const note = encoder.encode(writeImdn(about, dateTime, status, originalTo));
    const body = wrapCpim(IMDN_TYPE, note, new Date(), { messageId, routes }, this.#parties(from));
    if (!this.connection()?.send({ messageId, contentType: CPIM_TYPE, body })) return false;
    this.#notes.add(messageId);
    return true;
  }

  /**
   * @param {About} envelope
   * @param {"delivered" | "displayed"} status
   */
  #tell(envelope, status) {
    if (this.isOpen()) this.notify(envelope, status);
    else if (!this.isOver() && this.#waitingNotes.length < EARLY_MAX) this.#waitingNotes.push([envelope, status]);
  }

  // Out.

  /**
   * @param {string} messageId
   * @param {ChatMessage} message
   */
  #submit(messageId, message) {
    const remote = /** @type {RemoteMedia} */ (this.remote());
    const { content } = message;
    const octets = typeof content === "string" ? encoder.encode(content) : content;
    const outgoing = this.#dressed(message.contentType, octets, messageId);
    /** @type {[number, string] | null} */
    let refusal = null;
    if (!outgoing) {
      refusal = [415, `the other side does not take ${message.contentType}`];
    } else if (outgoing.body.length > remote.maxSize) {
      refusal = [413, `the other side takes ${remote.maxSize} octets at most`];
    } else if (!this.connection()?.send({ messageId, ...outgoing })) {
      refusal = [481, "nothing more is taken"];
    }
    if (!refusal) return;
    const [status, reason] = refusal;
    later(() => this.#hooks.failed(messageId, status, reason));
  }

  /**
   * Puts the envelope around what the other side takes only in it, or wants in it.
   * @param {string} contentType
   * @param {Uint8Array} octets
   * @param {string} [messageId] of a message whose fate is to be told, as far as it is in an envelope
   * @returns {{ contentType: string, body: Uint8Array } | null} null: it takes it neither way
   */
  #dressed(contentType, octets, messageId) {
    const { acceptTypes, acceptWrappedTypes } = /** @type {RemoteMedia} */ (this.remote());
    const type = bareType(contentType);
    const bare = acceptTypes.length === 0 || admits(acceptTypes, type);
    const wrapped = acceptTypes.includes(CPIM_TYPE)
      && (acceptWrappedTypes.length === 0 || admits(acceptWrappedTypes, type));
    // In a group, and for whoever tells what became of messages, the envelope is needed.
    const preferred = this.#ownUri !== null || (type !== TYPING_TYPE
      && (acceptTypes[0] === CPIM_TYPE || acceptWrappedTypes.includes(IMDN_TYPE)));
    if (type !== CPIM_TYPE && wrapped && (preferred || !bare)) {
      const labelled = type === "text/plain" && !contentType.includes(";")
        ? "text/plain;charset=UTF-8" : contentType;
      // In a group only that it is there, of which there is one note for each member already.
      const wanted = this.#ownUri === null ? ["positive-delivery", "display"] : ["positive-delivery"];
      const imdn = messageId !== undefined && admits(acceptWrappedTypes, IMDN_TYPE) ? { messageId, wanted } : null;
      return { contentType: CPIM_TYPE, body: wrapCpim(labelled, octets, new Date(), imdn, this.#parties()) };
    }
    return bare && this.#ownUri === null ? { contentType, body: octets } : null;
  }

  /**
   * Whom an envelope names: in a group who speaks, RFC 7701, 6.3.
   * @param {string} [to] whom it is for, if not for all
   * @returns {{ from?: string, to?: string }}
   */
  #parties(to) {
    if (this.#ownUri === null) return {};
    return to ? { from: this.#ownUri, to } : { from: this.#ownUri };
  }

  /** @param {string | null} note */
  #sendNote(note) {
    if (note === null || !this.#typingWanted) return;
    const outgoing = this.#dressed(TYPING_TYPE, encoder.encode(note));
    if (!outgoing) {
      this.#typingWanted = false;
      return;
    }
    const messageId = randomWord(24);
    if (this.connection()?.send({ messageId, ...outgoing })) this.#notes.add(messageId);
  }

  /**
   * @param {string} messageId
   * @param {number} status 0: it is there
   * @param {string} reason
   */
  #settled(messageId, status, reason) {
    if (this.#notes.delete(messageId)) {
      if (status === 415) this.#typingWanted = false;
    } else if (status === 0) {
      this.#hooks.sent(messageId);
    } else {
      this.#hooks.failed(messageId, status, reason);
    }
  }

  // In.

  /**
   * @param {string} contentType
   * @param {Uint8Array} octets
   * @returns {number | void} a status that refuses it
   */
  #receive(contentType, octets) {
    if (bareType(contentType) === CPIM_TYPE && !admits(this.#config.acceptTypes, CPIM_TYPE)) {
      const inner = unwrapCpim(octets);
      if (!inner) return 400;
      // What its sender requires and nobody here knows forbids to show it. RFC 3862, 4.7.
      if (inner.required.length > 0) return 415;
      const type = bareType(inner.contentType);
      if (!admits(this.#offered.acceptWrappedTypes, type)) return 415;
      if (type === IMDN_TYPE) {
        const note = readImdn(decodeText(inner.content, ""));
        // In a group it is for one, and all get it.
        const isOurs = this.#ownUri === null || sameParty(inner.to, this.#ownUri);
        if (note && isOurs) this.#hooks.status(note.messageId, note.status, shownParty(inner.from));
        return undefined;
      }
      this.#deliver(inner.contentType, inner.content, inner);
      return undefined;
    }
    this.#deliver(contentType, octets);
    return undefined;
  }

  /**
   * @param {string} contentType
   * @param {Uint8Array} octets
   * @param {import("./cpim.js").Unwrapped} [envelope] it came in
   */
  #deliver(contentType, octets, envelope) {
    const type = bareType(contentType);
    const by = this.#ownUri === null ? "" : shownParty(envelope?.from ?? "");
    if (type === TYPING_TYPE) {
      const receiver = this.#typingReceivers.get(by) ?? new TypingReceiver();
      if (this.#typingReceivers.size < TYPISTS_MAX) this.#typingReceivers.set(by, receiver);
      const change = receiver.receive(decodeText(octets, ""), environment.now());
      if (change === "stopped") this.#typingReceivers.delete(by);
      if (change) this.#hooks.typing(change === "started", by);
    } else {
      this.#typingStopped(by);
      const isText = /^(text|message)\/|[/+](xml|json)$/.test(type);
      const content = isText ? decodeText(octets, contentType) : octets;
      const message = new ChatMessage(type, content);
      if (envelope && this.#ownUri !== null) {
        message.from = by;
        if (envelope.fromName !== "") message.fromName = envelope.fromName;
      }
      if (envelope) {
        this.#wishes.set(message, envelope);
        if (envelope.wanted.includes("positive-delivery")) this.#tell(envelope, "delivered");
      }
      this.#hooks.message(message);
    }
    this.#scheduleTyping();
  }

  /** @param {string} by who types no more */
  #typingStopped(by) {
    const stopped = this.#typingReceivers.get(by)?.stopped();
    this.#typingReceivers.delete(by);
    if (stopped) this.#hooks.typing(false, by);
  }

  #scheduleTyping() {
    stopTimer(this.#typingTimer);
    const receivers = Array.from(this.#typingReceivers.values(), (receiver) => receiver.deadline());
    const deadline = Math.min(this.#typingSender.deadline(), ...receivers);
    if (deadline === Infinity || this.isOver()) return;
    this.#typingTimer = startTimer(() => {
      const now = environment.now();
      for (const [by, receiver] of this.#typingReceivers) {
        if (receiver.deadline() <= now) this.#typingStopped(by);
      }
      this.#sendNote(this.#typingSender.tick(now));
      this.#scheduleTyping();
    }, Math.max(0, deadline - environment.now()));
  }
}
return { ChatMedia };
})();

modules["invitation.js"] = (function () {
const { CallState, isFinal, nextCallState } = modules["call-state.js"];
const { ACTION, CALLSTATE, MESSAGESTATE, MESSAGETYPE, SESSIONSTATE } = modules["constants.js"];
const { ERRORCODE } = modules["errors.js"];
const { fire, fireFirst } = modules["events.js"];
const { log } = modules["log.js"];
const { Message } = modules["message.js"];
const { answerTo, readSdp } = modules["sdp.js"];
//! What invites somebody and has media: the signalling of a chat or a file (`start`, `complete`, `shutdown`).
//! Not here: messages and files (`chat-media.js`, `file-media.js`), finding what a frame belongs to (the packages).


/** The names under which pages listen to the signalling: the API's, and those of the patent's examples. */
const STATE_NAMES = ["onStateChange", "onSessionStateChange", "onCallStateChange"];

/** @typedef {Record<string, any> | null} Headers */
/** @typedef {import("./media-link.js").MediaLink} MediaLink */

/** What a chat and a file transfer have in common. */
class Invitation {
  #session;
  #initiator;
  #target;
  /** @type {boolean | null} */
  #secure = null;
  #state = new CallState(CALLSTATE.NONE);
  /** @type {MediaLink | null} */
  #media = null;
  /** The request that opened it, ours or theirs. @type {Message | null} */
  #opening = null;
  /** @type {Headers | undefined} */
  #extHeaders = null;
  #incoming = false;
  #connectionState = "NONE";

  /**
   * @param {import("./client.js").Session} session
   * @param {string} callee who is asked
   * @param {string} packageType
   */
  constructor(session, callee, packageType) {
    this.#session = session;
    this.#initiator = session.getUserName();
    this.#target = callee;
    /** Id of the subsession. */
    this.subSessionId = session.generateSubSessionId();
    /** Type of the package it belongs to. */
    this.packageType = packageType;
    /** The signalling changed. @type {((callState: CallState) => void) | undefined} */
    this.onStateChange = this.onStateChange;
    /** The MSRP connection changed.
     * @type {((connectionState: { state: string, fileTransferId?: string }) => void) | undefined} */
    this.onConnectionStateChange = this.onConnectionStateChange;
  }

  /**
   * Asks the callee.
   * @param {any} [config] what this end takes or gives
   * @param {Headers} [extHeaders] for the other side
   */
  start(config, extHeaders) {
    this.open(config, extHeaders);
  }

  /**
   * The same, with more in the payload.
   * @param {any} [config]
   * @param {Headers} [extHeaders]
   * @param {() => Record<string, any>} [more] asked once the media are there
   */
  open(config, extHeaders, more) {
    if (this.#state.state !== CALLSTATE.NONE) throw new Error("wsc: it was started already");
    if (!this.#target) throw new Error("wsc: there must be somebody to ask");
    this.#prepare(config, this.#secure ?? this.#sessionIsSecure());
    this.#initiator = this.#session.getUserName();
    this.#extHeaders = extHeaders;
    this.ask(more?.());
    this.#move("started");
  }

  /**
   * Sends the request that opens it; once more, if that was refused for what is in the payload beside the description.
   * @param {Record<string, any>} [payload]
   */
  ask(payload) {
    const request = new Message({
      control: {
        type: MESSAGETYPE.REQUEST,
        package_type: this.packageType,
        subsession_id: this.subSessionId,
        message_state: MESSAGESTATE.INITIAL,
      },
      header: { action: ACTION.START, initiator: this.#initiator, target: this.#target },
      payload: { sdp: this.#media?.sdp(), ...payload },
    });
    request.addExtHeaders(this.#extHeaders);
    this.#session.sendMessage(request);
    this.#opening = request;
    this.#session.putSubSession(this.packageType, this.subSessionId, this);
  }

  /**
   * Accepts what came in.
   * @param {any} [config] what this end takes
   * @param {Headers} [extHeaders] for the other side
   */
  accept(config, extHeaders) {
    const request = this.#unanswered();
    const remote = this.#media?.remote();
    if (!remote) throw new Error("wsc: there is no description to answer");
    const media = this.#prepare(config, remote.secure);
    media.setRemote(remote);
    this.#respond(request, MESSAGESTATE.FINAL, 200, { sdp: media.sdp() }, extHeaders);
    this.#move("responded", 200, "OK");
  }

  /**
   * Refuses what came in.
   * @param {number} [code] 603 (declined), 486 (busy) or 600 (busy everywhere)
   * @param {string} [reason]
   * @param {Headers} [extHeaders] for the other side
   */
  decline(code = ERRORCODE.DECLINED, reason = "Decline", extHeaders) {
    const request = this.#unanswered();
    this.#session.sendError(request, code, reason, extHeaders);
    this.#finish("refused", code, reason);
  }

  /**
   * Ends it, or takes back the asking.
   * @param {Headers} [extHeaders] for the other side
   */
  end(extHeaders) {
    const opening = this.#opening;
    if (!opening || isFinal(this.#state.state)) return;
    if (this.#incoming && this.#state.status.code === 180) {
      this.decline(ERRORCODE.DECLINED, "Decline", extHeaders);
      return;
    }
    if (!this.#session.withdraw(opening)) this.#shutdown(opening, extHeaders);
    this.#finish("ended", undefined, "ended by this side");
  }

  /** @param {boolean} isSecure whether media go over `wss`; as the session's socket at first */
  setSecure(isSecure) {
    if (this.#media) throw new Error("wsc: it was started already");
    this.#secure = isSecure;
  }

  /** @returns {string} who asked */
  getInitiator() {
    return this.#initiator;
  }

  /** @returns {string} the name of who asked, as the network tells it; empty if it tells none */
  getInitiatorName() {
    return (this.#incoming && this.#opening?.header.initiator_name) || "";
  }

  /** @returns {string} who was asked */
  getTarget() {
    return this.#target;
  }

  /** @returns {CallState} */
  getState() {
    return this.#state;
  }

  /** @returns {{ state: string }} state of the MSRP connection, of ConnectionStateEnum */
  getConnectionState() {
    return { state: this.#connectionState };
  }

  // For package developers.

  /** @param {CallState} state of what is done for it by others */
  stands(state) {
    this.#initiator = this.#session.getUserName();
    this.#state = state;
    fireFirst(this, STATE_NAMES, state);
  }

  /** @returns {boolean | null} whether media are to go over `wss`; null: as the session's socket */
  wantsSecure() {
    return this.#secure;
  }

  /** What a CapabilityExchange inside it needs to know. */
  capabilityContext() {
    const own = this.#session.getUserName();
    const peer = this.#initiator === own ? this.#target : this.#initiator;
    return { session: this.#session, packageType: this.packageType, peer };
  }

  /**
   * Takes a frame of this subsession.
   * @param {Message} message
   */
  onMessage(message) {
    const { action } = message.header;
    if (message.isRequest()) {
      if (action !== ACTION.START) this.#session.sendError(message, 405, "unknown action");
      else if (!this.#opening) this.#arrive(message);
      else this.#renew(message);
    } else if (action === ACTION.START && message.isResponse()) {
      if (this.isOurs(message)) this.#answered(message);
    } else if (action === ACTION.START && message.isError()) {
      if (this.isOurs(message)) this.#refused(message);
    } else if (action === ACTION.COMPLETE && message.isMessage()) {
      this.#completed();
    } else if (action === ACTION.REBIND && message.isMessage()) {
      this.#rebound(message);
    } else if (action === ACTION.SHUTDOWN && message.isMessage()) {
      const reason = this.#state.state === CALLSTATE.ESTABLISHED ? "shutdown" : "cancelled";
      const finish = () => this.#finish("ended", undefined, message.header.reason ?? reason);
      if (this.#media) this.#media.drain(finish);
      else finish();
    }
  }

  /** @returns {boolean} whether this side has asked, and the other has not answered for good */
  isCalling() {
    const { state, status } = this.#state;
    return !this.#incoming && (state === CALLSTATE.STARTED || (state === CALLSTATE.RESPONDED && (status.code ?? 0) < 200));
  }

  /** @returns {boolean} whether the other side has asked, and waits */
  isAsked() {
    return this.#incoming && this.#state.state === CALLSTATE.RESPONDED && this.#state.status.code === 180;
  }

  /**
   * Goes on by what the other side has asked, in the place of what this side has, and accepts that.
   * @param {Invitation} theirs it waits for an answer
   */
  goOnBy(theirs) {
    const request = theirs.#unanswered();
    const remote = theirs.media()?.remote();
    const media = this.#media;
    if (!remote || !media) return;
    theirs.#finish("ended", undefined, "it goes on in another one");
    this.#session.removeSubSession(this.subSessionId);
    this.#incoming = true;
    this.#opening = request;
    [this.#initiator, this.#target] = [theirs.getInitiator(), theirs.getTarget()];
    this.subSessionId = theirs.subSessionId;
    this.#session.putSubSession(this.packageType, this.subSessionId, this);
    media.setRemote(remote);
    this.#respond(request, MESSAGESTATE.FINAL, 200, { sdp: media.sdp() }, null);
    this.#move("responded", 200, "OK");
  }

  /** Frees everything without a word to the server. */
  clear() {
    this.#finish("ended", ERRORCODE.WEBSOCKET_ERROR, "the session is over");
  }

  /** @returns {object} what is worth knowing, without secrets */
  toJSON() {
    const { subSessionId } = this;
    const { state } = this.#state;
    return { subSessionId, initiator: this.#initiator, target: this.#target, state };
  }

  // Going out.

  /** @param {Message} message */
  #answered(message) {
    const { response_code: code, reason } = message.header;
    const final = message.control.message_state === MESSAGESTATE.FINAL;
    const described = message.payload?.sdp ? readSdp(message.payload.sdp) : null;
    if (described && typeof described !== "string") this.#media?.setRemote(described);
    if (!final) {
      this.#move("responded", code ?? (described ? 183 : 180), reason);
      return;
    }
    if (this.#state.state === CALLSTATE.ESTABLISHED || isFinal(this.#state.state)) return;
    this.#move("responded", code ?? 200, reason);
    if (isFinal(this.#state.state)) return;
    message.complete(this.#session);
    const remote = this.#media?.remote();
    const wrong = remote ? this.#media?.wrongWith(remote) : "no session description";
    if (wrong || typeof described === "string") {
      const why = typeof described === "string" ? described : wrong;
      this.#shutdown(this.#opening, null);
      this.#finish("refused", 488, `the answer is unusable: ${why}`);
      return;
    }
    this.#move("completed");
    this.#media?.connect();
  }

  /** @param {Message} message */
  #refused(message) {
    const { error_code: code = 0, warning } = message.header;
    // A network says in a Warning what it means by a code, as `399 host "133 Size exceeded"`.
    const reason = /"([^"]*)"/.exec(warning ?? "")?.[1] ?? message.header.reason ?? "";
    const cancelled = code === ERRORCODE.REQUEST_TERMINATED;
    this.#finish(cancelled ? "ended" : "refused", code, reason);
  }

  /**
   * @param {Message} message
   * @returns {boolean} whether it answers the request that opened it
   */
  isOurs(message) {
    const ours = this.#opening?.control.correlation_id;
    const theirs = message.control.correlation_id;
    return !this.#incoming && (theirs === undefined || theirs === ours);
  }

  // Coming in.

  /** @param {Message} request */
  #arrive(request) {
    this.#incoming = true;
    this.#opening = request;
    this.#initiator = request.header.initiator ?? "";
    this.#target = request.header.target ?? this.#session.getUserName();
    this.subSessionId = request.control.subsession_id ?? this.subSessionId;
    const remote = readSdp(request.payload?.sdp);
    if (typeof remote === "string") {
      this.#session.sendError(request, 488, remote);
      this.#finish("ended", 488, remote);
      return;
    }
    this.#session.putSubSession(this.packageType, this.subSessionId, this);
    this.#prepare(null, remote.secure).setRemote(remote);
    this.#move("started");
    this.#respond(request, MESSAGESTATE.SUBSEQUENT, 180, undefined, null);
    this.#move("responded", 180, "Ringing");
  }

  /**
   * A later `start` in it: a refresh gets the same answer, a change is refused.
   * @param {Message} request
   */
  #renew(request) {
    const remote = readSdp(request.payload?.sdp);
    const known = this.#media?.remote();
    const same = typeof remote !== "string" && known && remote.path.join(" ") === known.path.join(" ");
    if (this.#state.state === CALLSTATE.ESTABLISHED && same) {
      this.#respond(request, MESSAGESTATE.FINAL, 200, { sdp: this.#media?.sdp() }, null);
    } else {
      this.#session.sendError(request, 488, "media cannot be changed");
    }
  }

  #completed() {
    const answered = this.#incoming && this.#state.status.code === 200;
    if (!answered || this.#state.state !== CALLSTATE.RESPONDED) return;
    this.#move("completed");
    this.#media?.connect();
  }

  /** @returns {Message} the incoming request that still waits for the application */
  #unanswered() {
    const waits = this.#incoming && this.#state.state === CALLSTATE.RESPONDED
      && this.#state.status.code === 180;
    if (!waits || !this.#opening) throw new Error("wsc: there is nothing to answer");
    return this.#opening;
  }

  /**
   * @param {Message} request
   * @param {string} messageState
   * @param {number} code
   * @param {any} payload
   * @param {Headers} [extHeaders]
   */
  #respond(request, messageState, code, payload, extHeaders) {
    if (payload?.sdp) payload = { ...payload, sdp: answerTo(payload.sdp, String(request.payload?.sdp ?? "")) };
    const { package_type, subsession_id, correlation_id } = request.control;
    const { action, initiator, target } = request.header;
    const response = new Message({
      control: {
        type: MESSAGETYPE.RESPONSE,
        package_type,
        subsession_id,
        correlation_id,
        message_state: messageState,
      },
      header: { action, initiator, target, response_code: code },
      payload,
    });
    response.addExtHeaders(extHeaders);
    this.#session.sendMessage(response);
  }

  // Both.

  /**
   * @param {Message | null} opening
   * @param {Headers} [extHeaders]
   */
  #shutdown(opening, extHeaders) {
    const established = this.#state.state === CALLSTATE.ESTABLISHED;
    const message = this.#message(ACTION.SHUTDOWN, established
      ? this.#session.genNewCorrelationId() : opening?.control.correlation_id);
    message.addExtHeaders(extHeaders);
    this.#session.sendMessage(message);
  }

  /**
   * @param {string} action
   * @param {string | undefined} correlation
   * @returns {Message} one that nothing answers
   */
  #message(action, correlation) {
    const own = this.#incoming ? this.#target : this.#initiator;
    const other = this.#incoming ? this.#initiator : this.#target;
    return new Message({
      control: {
        type: MESSAGETYPE.MESSAGE,
        package_type: this.packageType,
        subsession_id: this.subSessionId,
        correlation_id: correlation,
      },
      header: { action, initiator: own, target: other },
    });
  }

  /**
   * The server has a new way in for the media connection.
   * @param {Message} message
   */
  #rebound(message) {
    const remote = readSdp(message.payload?.sdp);
    if (typeof remote === "string") log("warn", `a new way in is unusable: ${remote}`);
    else this.#media?.rebind(remote);
  }

  /** Asks for a new way in, unless the server can't hear it now: it will tell by itself then. */
  #askForWayIn() {
    if (this.#session.getSessionState() !== SESSIONSTATE.CONNECTED) return;
    this.#session.sendMessage(this.#message(ACTION.REBIND, this.#session.genNewCorrelationId()));
  }

  /** @returns {boolean} */
  #sessionIsSecure() {
    return /^wss:/i.test(this.#session.webSocketUri);
  }

  /**
   * @param {any} config
   * @param {boolean} secure
   * @returns {MediaLink}
   */
  #prepare(config, secure) {
    this.#media = this.createMedia(config, secure);
    return this.#media;
  }

  /**
   * Makes the media of one side; a chat and a file transfer have their own.
   * @param {any} config what the application gave, or nothing
   * @param {boolean} secure
   * @returns {MediaLink}
   */
  createMedia(config, secure) {
    throw new Error(`wsc: nothing has ${secure ? "secure " : ""}media of ${config}`);
  }

  /**
   * What every kind of media tells.
   * @param {Record<string, string>} [about] goes along with the state
   * @returns {import("./media-link.js").LinkHooks}
   */
  linkHooks(about = {}) {
    return {
      state: (state) => {
        this.#connectionState = state;
        fire(this, "onConnectionStateChange", { state, ...about });
      },
      lost: () => this.#askForWayIn(),
    };
  }

  /** @returns {MediaLink | null} */
  media() {
    return this.#media;
  }

  /**
   * @param {import("./call-state.js").CallEvent} event
   * @param {number} [code]
   * @param {string} [reason]
   */
  #move(event, code, reason) {
    const next = nextCallState(this.#state.state, event);
    if (next === null) return;
    this.#state = new CallState(next, code, reason);
    fireFirst(this, STATE_NAMES, this.#state);
  }

  /**
   * @param {"refused" | "ended"} event
   * @param {number} [code]
   * @param {string} [reason]
   */
  #finish(event, code, reason = "") {
    if (isFinal(this.#state.state)) return;
    this.#session.removeSubSession(this.subSessionId);
    const media = this.#media;
    this.#move(event, code, reason);
    const status = event === "refused" && code ? code : ERRORCODE.REQUEST_TERMINATED;
    media?.end(status, reason || "it is over");
  }
}
return { Invitation };
})();

modules["chat.js"] = (function () {
const { ChatMessage, readConfig } = modules["chat-config.js"];
const { ChatMedia } = modules["chat-media.js"];
const { ACTION, CALLSTATE, MESSAGESTATE, MESSAGETYPE } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { ERRORCODE, ErrorInfo } = modules["errors.js"];
const { fire, startTimer, stopTimer } = modules["events.js"];
const { Invitation } = modules["invitation.js"];
const { bareType } = modules["media-types.js"];
const { Message } = modules["message.js"];
const { partyUri, sameParty, shownParty } = modules["party.js"];
//! A chat between two users, or in a group. Not here: its signalling (`invitation.js`), messages (`chat-media.js`), finding
//! the chat of a frame (`chat-package.js`).


/** @typedef {import("./chat-config.js").ChatConfig} ChatConfig */

/**
 * What names a group for good. Keep it, and come back with `ChatPackage.rejoinGroup`.
 * @typedef {{ id: string, focus: string, conversation?: string }} GroupName
 */

/**
 * Somebody in a group.
 * @typedef {object} Participant
 * @property {string} user such as `bob@example.com`
 * @property {string} state `invited`, `joined`, `left`, `removed`, `declined`, `busy` or `failed`
 * @property {string} [name]
 */

/**
 * What can be sent: a text, or something with its type.
 * @typedef {{ contentType?: string, content: string | Uint8Array } | string} ChatText
 */

/** Messages whose outcome is remembered. */
const OUTCOMES_MAX = 256;
/** Where both sides have called and both were refused, one calls again after so many milliseconds, by chance up to this much more. */
const AGAIN_MS = 300;
/** How often. */
const AGAIN_MAX = 5;
/** Refusals of a message that goes along with an invitation, not of the invitation. RFC 3261, 21.4.11, 21.4.13 and 21.5.7. */
const NO_FIRST = [413, 415, 513];

/** A chat. Made by `ChatPackage.createChat`, or handed to `onIncomingChat`. */
class Chat extends Invitation {
  /** @type {ChatConfig | null} */
  #config = null;
  /** Outcomes of messages, and who waits for one.
   * @type {Map<string, { error?: ErrorInfo | null, settle?: (error: ErrorInfo | null) => void }>} */
  #outcomes = new Map();
  /** Whom to invite when it is started. @type {string[]} */
  #invited = [];
  /** @type {GroupName | null} */
  #group = null;
  #isGroup = false;
  /** @type {Participant[]} */
  #participants = [];
  /** What came along with the invitation, and what its sender wants to know of it. @type {{ message: ChatMessage, said: any } | null} */
  #first = null;
  /** Requests for more participants, by their correlation ids.
   * @type {Map<string, (error: ErrorInfo | null) => void>} */
  #adding = new Map();

  /** How often the other side has called while it was called by this one. */
  #crossings = 0;
  /** Set while this side waits before it calls again. @type {any} */
  #again = null;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} callee who is asked to chat
   */
  constructor(session, callee) {
    super(session, callee, "chat");
    /** A message came. @type {((chatMessage: ChatMessage) => void) | undefined} */
    this.onChatMessage = this.onChatMessage;
    /** A message is there. @type {((msgId: string) => void) | undefined} */
    this.onMessageSendSuccess = this.onMessageSendSuccess;
    /** A message failed.
     * @type {((msgId: string, status: number, reason: string) => void) | undefined} */
    this.onMessageSendFailure = this.onMessageSendFailure;
    /** What became of a message later, where the other side tells: `delivered`, `displayed`, `failed`; in a group
     * also who tells. @type {((msgId: string, status: string, by: string) => void) | undefined} */
    this.onMessageStatus = this.onMessageStatus;
    /** The other side types; in a group, who. @type {((by: string) => void) | undefined} */
    this.onMessageTyping = this.onMessageTyping;
    /** The other side stopped typing; in a group, who. @type {((by: string) => void) | undefined} */
    this.onMessageTypingStop = this.onMessageTypingStop;
    /** In a group: who is there has changed. @type {((participants: Participant[]) => void) | undefined} */
    this.onParticipantsChange = this.onParticipantsChange;
  }

  /**
   * Invites people into a group: before the chat is started those with whom it is made, later further ones.
   * @param {string[]} participants such as `bob@example.com`
   * @returns {Promise<void>} settles when the group has taken the wish; who comes, onParticipantsChange tells
   */
  addParticipants(participants) {
    const names = participants.map((name) => name.trim()).filter((name) => name !== "");
    if (names.length === 0) throw new Error("wsc: there must be somebody to invite");
    const { state } = this.getState();
    if (state === CALLSTATE.NONE) {
      this.#isGroup = true;
      this.#invited.push(...names);
      return Promise.resolve();
    }
    if (state !== CALLSTATE.ESTABLISHED) throw new Error("wsc: the chat is not up");
    const { session, packageType, peer } = this.capabilityContext();
    const request = new Message({
      control: {
        type: MESSAGETYPE.REQUEST, package_type: packageType, subsession_id: this.subSessionId,
        message_state: MESSAGESTATE.SUBSEQUENT,
      },
      header: { action: ACTION.START, initiator: session.getUserName(), target: peer, participants: names },
    });
    return new Promise((resolve, reject) => {
      session.sendMessage(request);
      this.#adding.set(request.control.correlation_id ?? "", (error) => (error ? reject(error) : resolve()));
    });
  }

  /** @returns {boolean} whether it is a group, or is to be one */
  isGroup() {
    return this.#isGroup;
  }

  /** @returns {GroupName | null} what names the group, once that is known */
  getGroup() {
    return this.#group;
  }

  /** @returns {Participant[]} who else is in the group */
  getParticipants() {
    return [...this.#participants];
  }

  /**
   * Asks the callee, or makes the group.
   * @override
   * @param {any} [config]
   * @param {Record<string, any> | null} [extHeaders]
   * @param {ChatText} [firstMessage] goes along with the invitation, so that it is there before anybody answers
   * @returns {string | undefined} the first message's id, as `send` gives it
   */
  start(config, extHeaders, firstMessage) {
    const group = {
      ...(this.#invited.length > 0 ? { participants: this.#invited } : {}),
      ...(this.#group ? { group: this.#group } : {}),
    };
    const first = firstMessage === undefined ? null : readText(firstMessage);
    const rides = first !== null && typeof first.content === "string";
    /** @type {string | undefined} */
    let messageId;
    this.open(config, { ...extHeaders, ...group }, () => {
      if (!first || !rides) return {};
      const message = this.#chatMedia()?.sendFirst(first);
      messageId = this.#follow(message?.message_id ?? "");
      return { message };
    });
    return first && !rides ? this.send(first) : messageId;
  }

  /** @returns {ChatMessage | null} what came along with the invitation; onChatMessage gets it, too */
  getFirstMessage() {
    return this.#first?.message ?? null;
  }

  /**
   * Sends a message; before the chat is up it waits.
   * @param {ChatText} message
   * @returns {string} its id, which comes back in onMessageSendSuccess or onMessageSendFailure
   */
  send(message) {
    const media = this.#chatMedia();
    if (!media) throw new Error("wsc: the chat was not started");
    return this.#follow(media.send(readText(message)));
  }

  /**
   * @param {string} msgId what `send` gave
   * @returns {Promise<void>} settles when the message's fate is known; rejects with an ErrorInfo
   */
  sent(msgId) {
    const outcome = this.#outcomes.get(msgId);
    if (!outcome) return Promise.reject(new ErrorInfo(404, "no such message"));
    return new Promise((resolve, reject) => {
      const settle = (/** @type {ErrorInfo | null} */ error) => {
        if (error) reject(error);
        else resolve();
      };
      if (outcome.error !== undefined) {
        settle(outcome.error);
        return;
      }
      const earlier = outcome.settle;
      outcome.settle = (error) => {
        earlier?.(error);
        settle(error);
      };
    });
  }

  /**
   * Tells the other side that the user types, or does not any more. Call it for every key; the
   * library sees to it that little is sent.
   * @param {boolean} [isTyping]
   */
  indicateTyping(isTyping = true) {
    this.#chatMedia()?.indicateTyping(isTyping);
  }

  /**
   * The user has seen a message: tells its sender, who may have asked for that.
   * @param {ChatMessage} message what onChatMessage got
   */
  displayed(message) {
    const first = this.#first;
    if (first && this.#isGroup && message === first.message && !this.#chatMedia()) {
      // A group's focus passes notes on, and is not there yet.
      first.said.seen = true;
      return;
    }
    if (this.#isGroup || message !== first?.message) {
      this.#chatMedia()?.displayed(message);
      return;
    }
    const { message_id: messageId = "", date_time: dateTime = "", notify = [], routes, original_to } = first.said;
    first.said = {};
    const about = { messageId, dateTime, from: "", routes, originalTo: original_to };
    if (!notify.includes("display") || this.#chatMedia()?.notify(about, "displayed")) return;
    // There is no connection, not yet or not any more.
    const { session, peer } = this.capabilityContext();
    session.sendMessage(new Message({
      control: {
        type: MESSAGETYPE.MESSAGE, package_type: "messaging", subsession_id: session.generateSubSessionId(),
      },
      header: { action: ACTION.REPORT, initiator: session.getUserName(), target: peer },
      payload: { message_id: messageId, date_time: dateTime, kind: "display", status: "displayed", routes, original_to },
    }));
  }

  /**
   * What came along with an invitation. In a group the envelope says who has written it; if it does not, who invites has.
   * @param {any} said
   * @param {string} inviter
   * @returns {ChatMessage}
   */
  #firstSaid(said, inviter) {
    const message = new ChatMessage(bareType(said.content_type ?? "text/plain"), said.content);
    if (!this.#isGroup) return message;
    said.from ??= partyUri(inviter);
    message.from = shownParty(String(said.from));
    if (said.from_name) message.fromName = String(said.from_name);
    return message;
  }

  /** @returns {ChatConfig | null} */
  getChatConfig() {
    return this.#config;
  }

  // For package developers.

  /**
   * Says which group it is, before it is started or when the group is known.
   * @param {any} group
   */
  joinGroup(group) {
    if (typeof group?.id !== "string" || typeof group?.focus !== "string") return;
    this.#isGroup = true;
    this.#group = group;
  }

  /**
   * Whether this side calls that user, alone.
   * @param {string} user such as `bob@example.com`
   */
  calls(user) {
    const own = this.capabilityContext().session.getUserName();
    const target = partyUri(this.getTarget());
    const isWhole = /[@]|^(tel|urn):/i.test(target);
    return !this.#isGroup && this.isCalling() && sameParty(isWhole ? target : `${target}@${own.split("@")[1]}`, partyUri(user));
  }

  /**
   * Both sides have called. While ours is on its way theirs is refused, as RCS does on both sides; what came along with it
   * is there all the same. Where ours was refused already theirs is taken.
   * @param {Chat} theirs it waits for an answer
   */
  crossed(theirs) {
    if (theirs.#first) {
      this.#first = theirs.#first;
      fire(this, "onChatMessage", theirs.#first.message);
    }
    if (this.#again) {
      this.#noMore();
      this.goOnBy(theirs);
      return;
    }
    this.#crossings += 1;
    theirs.decline(ERRORCODE.BUSY_HERE, "Both have called");
  }

  /**
   * This side's call was refused as busy: because of a call of the other side's, perhaps.
   * @returns {boolean} whether it goes on
   */
  #refusedAsCrossing() {
    const { session, peer } = this.capabilityContext();
    const all = /** @type {unknown[]} */ (session.getSubSessionsByPackageType(this.packageType).values());
    const theirs = all.find((one) => one instanceof Chat && one !== this && one.isAsked() && !one.isGroup()
      && this.calls(one.getInitiator()));
    if (theirs instanceof Chat) {
      this.#chatMedia()?.firstArrived();
      this.goOnBy(theirs);
      return true;
    }
    if (this.#crossings === 0 || this.#crossings > AGAIN_MAX || peer === "") return false;
    // What came along was kept over there, too.
    this.#chatMedia()?.firstArrived();
    const pause = AGAIN_MS + Math.trunc(environment.chance() * AGAIN_MS * 2 ** this.#crossings);
    this.#again = startTimer(() => {
      this.#again = null;
      if (this.isCalling()) this.ask();
    }, pause);
    return true;
  }

  #noMore() {
    stopTimer(this.#again);
    this.#again = null;
  }

  /**
   * @override
   * @param {Message} message
   */
  onMessage(message) {
    const { action, group, participants } = message.header;
    const settle = this.#adding.get(message.control.correlation_id ?? "");
    if (settle && action === ACTION.START && !message.isRequest()) {
      if (message.isResponse() && message.control.message_state === MESSAGESTATE.SUBSEQUENT) return;
      this.#adding.delete(message.control.correlation_id ?? "");
      const { error_code: code = 0, reason = "" } = message.header;
      settle(message.isError() ? new ErrorInfo(code, reason) : null);
      return;
    }
    if (action === ACTION.ROSTER && message.isMessage()) {
      this.#tellParticipants(message.payload?.participants);
      return;
    }
    if (action === ACTION.START && group) this.joinGroup(group);
    if (action === ACTION.START && message.isRequest() && Array.isArray(participants)) {
      this.#participants = participants.map((name) => ({ user: String(name), state: "invited" }));
    }
    const opens = action === ACTION.START;
    if (opens && message.isRequest() && !this.#first && typeof message.payload?.message?.content === "string") {
      const said = message.payload.message;
      this.#first = { message: this.#firstSaid(said, message.header.initiator ?? ""), said };
    } else if (opens && message.isResponse() && this.isOurs(message)) {
      this.#chatMedia()?.firstArrived();
    } else if (opens && message.isError() && this.isOurs(message) && NO_FIRST.includes(message.header.error_code ?? 0)
      && this.#chatMedia()?.firstLater()) {
      // It takes no message along with the invitation: asked without one, it gets it later.
      this.ask();
      return;
    } else if (opens && message.isError() && this.isOurs(message) && !this.#isGroup
      && message.header.error_code === ERRORCODE.BUSY_HERE && this.#refusedAsCrossing()) {
      return;
    }
    super.onMessage(message);
    if (action === ACTION.SHUTDOWN) this.#giveUpAdding();
  }

  /** @override */
  toJSON() {
    return { ...super.toJSON(), ...(this.#group ? { group: this.#group } : {}) };
  }

  /** @override */
  clear() {
    this.#noMore();
    super.clear();
    this.#giveUpAdding();
  }

  /**
   * @override
   * @param {{ acceptTypes?: string[], acceptWrappedTypes?: string[], maxSize?: number } | null} config
   * @param {boolean} secure
   */
  createMedia(config, secure) {
    this.#config = readConfig(config);
    const own = this.#isGroup ? partyUri(this.capabilityContext().session.getUserName()) : null;
    const media = new ChatMedia(this.#config, secure, {
      ...this.linkHooks(),
      message: (message) => fire(this, "onChatMessage", message),
      sent: (messageId) => {
        this.#settle(messageId, null);
        fire(this, "onMessageSendSuccess", messageId);
      },
      failed: (messageId, status, reason) => {
        this.#settle(messageId, new ErrorInfo(status, reason));
        fire(this, "onMessageSendFailure", messageId, status, reason);
      },
      status: (messageId, status, by) => this.#reported(messageId, status, by),
      typing: (typing, by) => fire(this, typing ? "onMessageTyping" : "onMessageTypingStop", by),
    }, own);
    // In a chat of two the server tells what became of it.
    if (this.#isGroup && this.#first) media.firstCame(this.#first.message, this.#first.said);
    return media;
  }

  /** @param {any} told */
  #tellParticipants(told) {
    if (!Array.isArray(told)) return;
    this.#participants = told.map(({ user, state, name }) => ({
      user: String(user), state: String(state), ...(name ? { name: String(name) } : {}),
    }));
    fire(this, "onParticipantsChange", this.getParticipants());
  }

  #giveUpAdding() {
    const waiting = [...this.#adding.values()];
    this.#adding.clear();
    for (const settle of waiting) settle(new ErrorInfo(481, "the chat is over"));
  }

  /**
   * @param {string} messageId of a message that is on its way
   * @returns {string}
   */
  #follow(messageId) {
    this.#outcomes.set(messageId, {});
    const { session } = this.capabilityContext();
    session.awaitReport(messageId, (status, by) => this.#reported(messageId, status, by));
    return messageId;
  }

  /**
   * @param {string} messageId
   * @param {string} status
   * @param {string} by
   */
  #reported(messageId, status, by) {
    fire(this, "onMessageStatus", messageId, status, by);
  }

  /** @returns {ChatMedia | null} */
  #chatMedia() {
    return /** @type {ChatMedia | null} */ (this.media());
  }

  /**
   * @param {string} messageId
   * @param {ErrorInfo | null} error
   */
  #settle(messageId, error) {
    const outcome = this.#outcomes.get(messageId);
    this.#outcomes.delete(messageId);
    this.#outcomes.set(messageId, { error });
    outcome?.settle?.(error);
    for (const [oldest, { error: known }] of this.#outcomes) {
      if (this.#outcomes.size <= OUTCOMES_MAX || known === undefined) break;
      this.#outcomes.delete(oldest);
    }
  }
}

/**
 * @param {ChatText} text
 * @returns {ChatMessage}
 */
function readText(text) {
  const { contentType = "text/plain", content } = typeof text === "string" ? { content: text } : text;
  if (typeof content !== "string" && !(content instanceof Uint8Array)) {
    throw new TypeError("wsc: a message's content is a string or a Uint8Array");
  }
  if (/[^\t -~]/.test(contentType)) throw new TypeError("wsc: not a content type");
  return new ChatMessage(contentType, content);
}
return { Chat };
})();

modules["invitation-package.js"] = (function () {
const { ACTION, CALLSTATE } = modules["constants.js"];
//! The package of things that somebody is invited to: finds what a frame belongs to.


/** @typedef {import("./invitation.js").Invitation} Invitation */

/**
 * All of one kind in a session.
 * @template {Invitation} T
 */
class InvitationPackage {
  #session;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} packageType
   * @param {string[]} services what users of the package can do
   */
  constructor(session, packageType, services) {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    /** What users of the package can do. */
    this.services = services;
    session.registerPackage(this);
  }

  /**
   * @param {import("./client.js").Session} _session
   * @param {string} _callee
   * @returns {T} not started yet
   */
  prepare(_session, _callee) {
    throw new Error("wsc: a package must say what it makes");
  }

  /**
   * Something came in that nobody knows yet.
   * @param {T} _arrived
   * @param {Record<string, any>} _extHeaders
   */
  arrived(_arrived, _extHeaders) {}

  /**
   * @param {string} target with whom, such as `bob@example.com`
   * @returns {T} not started yet
   */
  make(target) {
    if (typeof target !== "string" || target.trim() === "") {
      throw new Error("wsc: there must be somebody to ask");
    }
    const made = this.prepare(this.#session, target.trim());
    made.packageType = this.packageType;
    return made;
  }

  /** @returns {T[]} what is not over */
  all() {
    const all = this.#session.getSubSessionsByPackageType(this.packageType).values();
    return /** @type {T[]} */ (/** @type {unknown} */ (all));
  }

  /** Ends everything. */
  close() {
    for (const one of this.all()) one.end();
  }

  /** Frees everything without a word to the server. */
  clear() {
    for (const one of this.all()) one.clear();
  }

  /**
   * Takes a frame of the package.
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const known = this.#session.getSubSession(id);
    if (known) {
      known.onMessage(message);
    } else if (message.isRequest() && message.header.action === ACTION.START && id !== "") {
      const made = this.prepare(this.#session, message.header.target ?? "");
      made.packageType = this.packageType;
      made.onMessage(message);
      if (made.getState().state === CALLSTATE.RESPONDED) this.arrived(made, message.getExtHeaders());
    } else if (message.isRequest()) {
      this.#session.sendError(message, 481, "no such subsession");
    }
  }
}
return { InvitationPackage };
})();

modules["chat-package.js"] = (function () {
const { Chat } = modules["chat.js"];
const { CALLSTATE, FACTORY } = modules["constants.js"];
const { ERRORCODE } = modules["errors.js"];
const { fire } = modules["events.js"];
const { InvitationPackage } = modules["invitation-package.js"];
const { log } = modules["log.js"];
//! The package of chats.


/**
 * All chats of a session.
 * @extends {InvitationPackage<Chat>}
 */
class ChatPackage extends InvitationPackage {
  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "chat") {
    super(session, packageType, ["IM/CHAT"]);
    /**
     * Somebody asks to chat: accept or decline it, now or later.
     * @type {((chat: Chat, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onIncomingChat = this.onIncomingChat;
    /**
     * The page was in a group when it was loaded anew: set the callbacks of the chat, and `start` it to come back.
     * @type {((chat: Chat) => void) | undefined}
     */
    this.onResurrect = this.onResurrect;
  }

  /** @param {any} data what was going on in the former page */
  onRehydration(data) {
    if (typeof data?.group?.focus === "string") fire(this, "onResurrect", this.rejoinGroup(data.group));
  }

  /**
   * @param {string} target with whom, such as `bob@example.com`
   * @returns {Chat} not started yet
   */
  createChat(target) {
    return this.make(target);
  }

  /**
   * @param {string[]} participants whom to invite, such as `bob@example.com`
   * @param {string} [factory] where the network makes groups
   * @returns {Chat} not started yet; a title goes along as `start(null, { subject })`
   */
  createGroup(participants, factory = FACTORY) {
    const chat = this.make(factory);
    chat.addParticipants(participants);
    return chat;
  }

  /**
   * Comes back into a group, or with `participants` makes one anew that the network has forgotten (it has said 404).
   * @param {import("./chat.js").GroupName} group what `getGroup` gave
   * @param {string[]} [participants]
   * @returns {Chat} not started yet
   */
  rejoinGroup(group, participants = []) {
    const chat = participants.length > 0 ? this.createGroup(participants) : this.make(FACTORY);
    chat.joinGroup(group);
    return chat;
  }

  /**
   * Makes a chat; overridable to make an extended one.
   * @param {import("./client.js").Session} session
   * @param {string} callee
   * @returns {Chat}
   */
  prepareChat(session, callee) {
    return new Chat(session, callee);
  }

  /** @returns {Chat[]} the chats that are not over */
  getChats() {
    return this.all();
  }

  /**
   * @override
   * @param {import("./client.js").Session} session
   * @param {string} callee
   */
  prepare(session, callee) {
    return this.prepareChat(session, callee);
  }

  /**
   * @override
   * @param {Chat} chat
   * @param {Record<string, any>} extHeaders
   */
  arrived(chat, extHeaders) {
    const ours = chat.isGroup() ? undefined : this.getChats().find((one) => one !== chat && one.calls(chat.getInitiator()));
    if (ours) {
      ours.crossed(chat);
      return;
    }
    if (typeof this.onIncomingChat === "function") {
      const first = chat.getFirstMessage();
      if (first) this.#replaceEarlier(chat);
      fire(this, "onIncomingChat", chat, extHeaders);
      if (first) fire(chat, "onChatMessage", first);
      return;
    }
    log("warn", "a chat came in and nobody has set onIncomingChat");
    chat.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
  }

  /**
   * Handsets send the next text as another invitation while the last one waits for its answer: that one is done with.
   * @param {Chat} newest
   */
  #replaceEarlier(newest) {
    for (const chat of this.getChats()) {
      const waits = chat.getState().state === CALLSTATE.RESPONDED && chat.getState().status.code === 180;
      const isSame = chat !== newest && chat.getInitiator() === newest.getInitiator()
        && chat.getGroup()?.id === newest.getGroup()?.id;
      if (waits && isSame && chat.getFirstMessage()) chat.decline(ERRORCODE.BUSY_HERE, "There is a newer invitation");
    }
  }
}
return { ChatPackage };
})();

modules["connection-state.js"] = (function () {
const { SESSIONSTATE } = modules["constants.js"];
//! States of a session: the table of edges, and nothing else. Pure.


/**
 * What can happen to a session.
 *
 * - `connected`: the server answered the first connect
 * - `refused`: it answered with an error, or the socket could not be opened
 * - `lost`: the socket went away, or nothing came back to our pings
 * - `resumed`: the server answered a resuming connect, with this or with a fresh session
 * - `given-up`: the time for reconnecting is over, or resuming was refused
 * - `moved`: the server says that the session goes on elsewhere
 * - `ended`: the server ended it in good order
 * - `fatal`: the server says that the session cannot go on
 * - `close`: the application closed it
 * - `restored`: it goes on with what another page has left
 * - `parked`: the server keeps it while nobody is there
 *
 * @typedef {"connected" | "refused" | "lost" | "resumed" | "given-up" | "moved" | "ended"
 *   | "fatal" | "close" | "restored" | "parked"} SessionEvent
 */

const { NONE, CONNECTED, RECONNECTING, RELOADING, HIBERNATED, SUSPENDED, FAILED, CLOSED } = SESSIONSTATE;

/** State → event → next state. What is not listed changes nothing. */
const SESSION_EDGES = Object.freeze({
  [NONE]: {
    connected: CONNECTED,
    restored: RELOADING,
    refused: FAILED,
    lost: FAILED,
    ended: CLOSED,
    fatal: CLOSED,
    close: CLOSED,
  },
  [RELOADING]: {
    resumed: CONNECTED,
    lost: RECONNECTING,
    moved: SUSPENDED,
    ended: CLOSED,
    fatal: CLOSED,
    "given-up": FAILED,
    close: CLOSED,
  },
  [HIBERNATED]: { lost: RECONNECTING, close: CLOSED },
  [CONNECTED]: {
    parked: HIBERNATED,
    lost: RECONNECTING,
    moved: SUSPENDED,
    ended: CLOSED,
    fatal: CLOSED,
    "given-up": FAILED,
    close: CLOSED,
  },
  [RECONNECTING]: {
    resumed: CONNECTED,
    moved: SUSPENDED,
    ended: CLOSED,
    fatal: CLOSED,
    "given-up": FAILED,
    close: CLOSED,
  },
  [SUSPENDED]: { close: CLOSED },
  [FAILED]: { close: CLOSED },
  [CLOSED]: {},
});

/**
 * @param {string} state
 * @param {SessionEvent} event
 * @returns {string} the next state, which may be the same
 */
function nextSessionState(state, event) {
  const edges = /** @type {Record<string, Record<string, string>>} */ (SESSION_EDGES)[state];
  return edges?.[event] ?? state;
}

/**
 * @param {number} code with which the socket was closed
 * @returns {SessionEvent} what that means for a session that was up
 */
function meaningOfClose(code) {
  if (code === 1000) return "ended";
  if (code === 1001 || code === 4000) return "moved";
  if (code === 4008) return "given-up";
  return "lost";
}

/**
 * @param {string} state
 * @returns {boolean} whether the session takes no frames any more
 */
function isOver(state) {
  return state === FAILED || state === CLOSED || state === SUSPENDED;
}
return { SESSION_EDGES, nextSessionState, meaningOfClose, isOver };
})();

modules["connection.js"] = (function () {
const { environment } = modules["environment.js"];
const { startTimer, stopTimer, turn } = modules["events.js"];
const { log } = modules["log.js"];
//! The socket of a session: one at a time, watched by pings, opened again when asked.
//! Not here: what is said over it (`client.js`), when to give up (`client.js`).


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
class Connection {
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
return { Connection };
})();

modules["ice.js"] = (function () {
const { turnServers } = modules["auth.js"];
const { ACTION, MESSAGETYPE } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { startTimer, stopTimer } = modules["events.js"];
const { Message } = modules["message.js"];
//! STUN and TURN servers: those the application gives, else those the server has told, asked for anew when they are old.


/** Longest wait for the server's answer, in milliseconds. */
const ANSWER_MS_MAX = 2000;

/** The servers of one session. */
class IceServers {
  /** @type {RTCIceServer[]} */
  #known = [];
  #goodUntil = Infinity;
  /** Who waits for the server's answer. @type {(() => void)[]} */
  #waiting = [];

  /** @param {any} payload of a connect's or an enquiry's response */
  learn(payload) {
    if (Array.isArray(payload?.iceServers)) {
      this.#known = payload.iceServers;
      const seconds = Number(payload.iceServersTtl);
      this.#goodUntil = seconds > 0 ? environment.now() + seconds * 1000 : Infinity;
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /**
   * @param {import("./client.js").Session} session
   * @param {import("./auth.js").AuthHandler | null} handler
   * @returns {Promise<RTCIceServer[]>}
   */
  async get(session, handler) {
    const given = await turnServers(handler);
    if (given) return given;
    if (environment.now() >= this.#goodUntil) await this.#ask(session);
    return this.#known;
  }

  /** @param {import("./client.js").Session} session */
  #ask(session) {
    const user = session.getUserName();
    return new Promise((resolve) => {
      const timer = startTimer(() => resolve(null), ANSWER_MS_MAX);
      this.#waiting.push(() => {
        stopTimer(timer);
        resolve(null);
      });
      session.sendMessage(new Message({
        control: { type: MESSAGETYPE.REQUEST, package_type: "register" },
        header: { action: ACTION.ICE_ENQUIRY, initiator: user, target: user },
      }));
    });
  }
}
return { IceServers };
})();

modules["subsession-map.js"] = (function () {
//! The `Map` of the API: older than the language's own, and with other names.

/**
 * Keys and values in the order they were put.
 * @template V
 */
class WscMap {
  constructor() {
    /** The entries themselves. @type {Record<string, V>} */
    this.entry = Object.create(null);
  }

  /**
   * @param {string} key
   * @param {V} value
   */
  put(key, value) {
    this.entry[key] = value;
  }

  /**
   * @param {string} key
   * @returns {V | undefined}
   */
  get(key) {
    return this.entry[key];
  }

  /** @param {string} key */
  remove(key) {
    delete this.entry[key];
  }

  /** @returns {string[]} */
  keys() {
    return Object.keys(this.entry);
  }

  /** @returns {V[]} */
  values() {
    return Object.values(this.entry);
  }

  /** @returns {number} */
  size() {
    return Object.keys(this.entry).length;
  }
}
return { WscMap };
})();

modules["packages.js"] = (function () {
const { guarded } = modules["events.js"];
const { randomUuid } = modules["identifiers.js"];
const { WscMap } = modules["subsession-map.js"];
//! Which packages and subsessions a session has.


/** Messages of which it is remembered who hears what became of them. */
const SENDERS_MAX = 256;

/** @typedef {import("./message.js").Message} Message */

/**
 * A service of the session, such as a ChatPackage.
 * @typedef {object} Package
 * @property {string} packageType
 * @property {(message: Message) => void} onMessage
 * @property {string[]} [services] what a user of it can do
 * @property {() => void} [clear] frees everything without a word to the server
 * @property {() => void} [close] ends everything
 */

/**
 * One activity of a package, such as a Chat.
 * @typedef {object} SubSession
 * @property {string} subSessionId
 * @property {(message: Message) => void} onMessage
 */

/**
 * Who takes the enquiries of a subsession.
 * @typedef {{ onMessage: (message: Message) => void, clear: () => void }} Exchange
 */

/** The part of a session that knows its packages and subsessions. */
class PackageHost {
  /** @type {Map<string, Package>} */
  #packages = new Map();
  /** @type {Map<string, { packageType: string, subSession: SubSession }>} */
  #subSessions = new Map();
  /** @type {Map<string, Exchange>} */
  #exchanges = new Map();

  /** Who hears what became of a message, by the message's id.
   * @type {Map<string, (status: string, by: string) => void>} */
  #senders = new Map();

  /**
   * What became of a message goes to its sender, also when it is told outside of the chat.
   * @param {string} messageId
   * @param {(status: string, by: string) => void} told
   */
  awaitReport(messageId, told) {
    this.#senders.set(messageId, told);
    if (this.#senders.size > SENDERS_MAX) this.#senders.delete(this.#senders.keys().next().value ?? "");
  }

  /**
   * @param {import("./message.js").Message} message says what became of a message
   * @returns {boolean} whether somebody has waited for that
   */
  takeReport({ header, payload }) {
    const told = this.#senders.get(String(payload?.message_id ?? ""));
    if (told) guarded("a report", () => told(String(payload?.status ?? "error"), header.initiator ?? ""));
    return told !== undefined;
  }

  /**
   * Adds a package; a second one of a type is an error.
   * @param {Package} added
   */
  registerPackage(added) {
    if (this.#packages.has(added.packageType)) {
      throw new Error(`wsc: the session already has a package "${added.packageType}"`);
    }
    this.#packages.set(added.packageType, added);
  }

  /** @returns {string} what the page can do by the packages it has made: `IM/CHAT,File transfer` */
  services() {
    return Array.from(this.#packages.values(), ({ services }) => services ?? []).flat().join(",");
  }

  /**
   * Enquiries inside a subsession go to this exchange from now on.
   * @param {string} id of the subsession
   * @param {Exchange} exchange
   */
  attachExchange(id, exchange) {
    this.#exchanges.set(id, exchange);
  }

  /**
   * @param {string} id of a subsession
   * @returns {Exchange | undefined}
   */
  exchangeOf(id) {
    return this.#exchanges.get(id);
  }

  /**
   * @param {string} packageType
   * @returns {Package | undefined}
   */
  getPackage(packageType) {
    return this.#packages.get(packageType);
  }

  /**
   * @param {string} packageType
   * @param {string} id
   * @param {SubSession} subSession
   */
  putSubSession(packageType, id, subSession) {
    this.#subSessions.set(id, { packageType, subSession });
  }

  /**
   * @param {string} id
   * @returns {SubSession | undefined}
   */
  getSubSession(id) {
    return this.#subSessions.get(id)?.subSession;
  }

  /** @param {string} id */
  removeSubSession(id) {
    this.#subSessions.delete(id);
    this.#exchanges.delete(id);
  }

  /**
   * @param {string} type
   * @returns {WscMap<SubSession>}
   */
  getSubSessionsByPackageType(type) {
    /** @type {WscMap<SubSession>} */
    const found = new WscMap();
    for (const [id, { packageType, subSession }] of this.#subSessions) {
      if (packageType === type) found.put(id, subSession);
    }
    return found;
  }

  /** @returns {SubSession[]} */
  getAllSubSessions() {
    return Array.from(this.#subSessions.values(), ({ subSession }) => subSession);
  }

  /** @returns {boolean} */
  hasSubSessions() {
    return this.#subSessions.size > 0;
  }

  /**
   * @param {string} id of a subsession
   * @returns {string | undefined} type of the package it belongs to
   */
  packageTypeOf(id) {
    return this.#subSessions.get(id)?.packageType;
  }

  /** @returns {string} */
  generateSubSessionId() {
    return randomUuid();
  }

  /** Drops all subsessions; their packages free what they hold, without a word to the server. */
  clearSubSessions() {
    for (const owner of this.#packages.values()) {
      guarded(`package ${owner.packageType}`, () => owner.clear?.());
    }
    for (const exchange of this.#exchanges.values()) exchange.clear();
    this.#subSessions.clear();
    this.#exchanges.clear();
  }
}
return { PackageHost };
})();

modules["sequence.js"] = (function () {
//! Numbers of frames, and the frames the server has not confirmed yet. Pure.

/** @typedef {import("./message.js").Message} Message */

/** Frames kept at most until the server confirms them. */
const UNCONFIRMED_MAX = 1000;

/** Both directions' counters of one session. */
class Sequence {
  /** Highest number given out. */
  lastSent = 0;
  /** Highest number received. */
  lastReceived = 0;
  /** Highest number we told the server we received. */
  lastConfirmed = 0;
  /** Ours that the server has not confirmed, ascending. @type {Message[]} */
  unconfirmed = [];

  /**
   * Numbers a frame of ours and keeps it.
   * @param {Message} message
   */
  stamp(message) {
    if (this.unconfirmed.length >= UNCONFIRMED_MAX) {
      throw new Error(`wsc: ${UNCONFIRMED_MAX} frames wait for the server; no more are taken`);
    }
    this.lastSent += 1;
    message.control.sequence = this.lastSent;
    this.unconfirmed.push(message);
  }

  /**
   * The server has everything up to `number`.
   * @param {number | undefined} number
   */
  confirm(number) {
    if (number === undefined) return;
    while (this.unconfirmed.length > 0
      && /** @type {number} */ (this.unconfirmed[0].control.sequence) <= number) {
      this.unconfirmed.shift();
    }
  }

  /**
   * Takes the number of a frame of the server's.
   * @param {number | undefined} number
   * @returns {"next" | "gap" | "duplicate"}
   */
  receive(number) {
    if (number === undefined) return "next";
    if (number <= this.lastReceived) return "duplicate";
    const verdict = number === this.lastReceived + 1 ? "next" : "gap";
    this.lastReceived = number;
    return verdict;
  }

  /**
   * What a resuming connect tells: last received, and the edges of what is unconfirmed.
   * @returns {{ cslr: number, cslw?: number, csuw?: number }}
   */
  marks() {
    if (this.lastSent === 0) return { cslr: this.lastReceived };
    const lowest = this.unconfirmed[0]?.control.sequence ?? this.lastSent + 1;
    return { cslr: this.lastReceived, cslw: lowest, csuw: this.lastSent };
  }

  /** @returns {import("./session-store.js").SessionImage["sequence"]} for whoever goes on with it */
  image() {
    const { lastSent, lastReceived, unconfirmed } = this;
    return { lastSent, lastReceived, unconfirmed: unconfirmed.map(({ control, header, payload }) => ({ control, header, payload })) };
  }

  /** The server gave a new session for the lost one: its connect counts as number 1. */
  restart() {
    this.lastSent = 1;
    this.lastReceived = 0;
    this.lastConfirmed = 0;
    this.unconfirmed = [];
  }
}
return { UNCONFIRMED_MAX, Sequence };
})();

modules["session-store.js"] = (function () {
const { environment } = modules["environment.js"];
const { Message } = modules["message.js"];
//! What is kept of a session over a reload of its page, or given to another device.


/** Name under which the id of the page's session is kept. */
const LAST = "sessionId";

/**
 * All that a session needs to go on elsewhere. It is as good as a password for as long as the session lives.
 * @typedef {object} SessionImage
 * @property {string} sessionId
 * @property {string} userName
 * @property {string} [wscId] of the server's node
 * @property {{ lastSent: number, lastReceived: number, unconfirmed: object[] }} sequence
 * @property {{ packageType: string, subSessionId: string, data: any }[]} subSessions what was going on
 */

/**
 * Keeps it in this tab.
 * @param {SessionImage} image
 * @returns {boolean} whether that was possible
 */
function keep(image) {
  try {
    const storage = environment.storage();
    storage.setItem(image.sessionId, JSON.stringify(image));
    storage.setItem(LAST, image.sessionId);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} sessionId
 * @returns {SessionImage | null} what was kept; it is not kept any more
 */
function recall(sessionId) {
  try {
    const image = readImage(JSON.parse(environment.storage().getItem(sessionId) ?? "null"));
    forget(sessionId);
    return image?.sessionId === sessionId ? image : null;
  } catch {
    return null;
  }
}

/** @param {string} sessionId */
function forget(sessionId) {
  try {
    const storage = environment.storage();
    storage.removeItem(sessionId);
    if (storage.getItem(LAST) === sessionId) storage.removeItem(LAST);
  } catch {
    // A page without storage has nothing to forget.
  }
}

/**
 * @param {any} given
 * @returns {SessionImage | null} null if it is none
 */
function readImage(given) {
  const image = typeof given === "string" ? JSON.parse(given) : given;
  const { sessionId, userName, wscId, sequence, subSessions } = image ?? {};
  const { lastSent, lastReceived, unconfirmed } = sequence ?? {};
  const counts = [lastSent, lastReceived].every((count) => Number.isSafeInteger(count) && count >= 0);
  if (typeof sessionId !== "string" || typeof userName !== "string" || !counts) return null;
  return {
    sessionId, userName, wscId,
    sequence: { lastSent, lastReceived, unconfirmed: Array.isArray(unconfirmed) ? unconfirmed : [] },
    subSessions: Array.isArray(subSessions) ? subSessions : [],
  };
}

/**
 * @param {SessionImage} image
 * @param {import("./sequence.js").Sequence} sequence gets the numbers, and the frames that nobody has confirmed
 */
function restoreSequence(image, sequence) {
  sequence.lastSent = image.sequence.lastSent;
  sequence.lastReceived = image.sequence.lastReceived;
  sequence.unconfirmed = image.sequence.unconfirmed.map((frame) => new Message(frame));
}
return { keep, recall, forget, readImage, restoreSequence };
})();

modules["client.js"] = (function () {
const { Challenges } = modules["auth.js"];
const { answer } = modules["capability.js"];
const { isOver, meaningOfClose, nextSessionState } = modules["connection-state.js"];
const { Connection } = modules["connection.js"];
const { ACTION, MESSAGETYPE, SESSIONSTATE } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { ERRORCODE, ErrorInfo } = modules["errors.js"];
const { fire, guarded, later, startTimer, stopTimer } = modules["events.js"];
const { IceServers } = modules["ice.js"];
const { log } = modules["log.js"];
const { Message, PROTOCOL_VERSION, errorTo, readMessage } = modules["message.js"];
const { PackageHost } = modules["packages.js"];
const { Sequence } = modules["sequence.js"];
const { forget, keep, readImage, recall, restoreSequence } = modules["session-store.js"];
//! The session: a relation to the server that outlives its sockets.
//!
//! Numbers and keeps the frames (`sequence.js`), moves through the states (`connection-state.js`),
//! hands what comes to its package. Not here: sockets (`connection.js`), which packages and
//! subsessions there are (`packages.js`), chats (`chat.js`).


/** The first attempt to reconnect comes within this time, spread by chance. */
const FIRST_RETRY_MS_MAX = 250;
/** No ping interval may be shorter. */
const PING_INTERVAL_MS_MIN = 1000;

/** @typedef {import("./session-store.js").SessionImage} SessionImage */

/** A session with the server. */
class Session extends PackageHost {
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
return { Session };
})();

modules["direct-session.js"] = (function () {
const { ChannelSocket, routeDirectly } = modules["direct-socket.js"];
const { ACTION, MESSAGETYPE, SESSIONSTATE } = modules["constants.js"];
const { startTimer, stopTimer, turn } = modules["events.js"];
const { Message, errorTo, readMessage } = modules["message.js"];
const { PackageHost } = modules["packages.js"];
//! A session of two browsers with nobody between them: frames go over a data channel of a call, media over others. Chats and
//! transfers are made in it as in any session. Not here: who calls, and when (`direct-package.js`).


/** Label of the channel that carries frames. */
const FRAMES = "jsonrtc";
/** Milliseconds after which a session in which nothing is left is given up by who has called. */
const IDLE_MS = 60_000;
/** Channels that may wait for the chat or file they are of. */
const CHANNELS_MAX = 64;

/** One of them. It lives as long as its call. */
class DirectSession extends PackageHost {
  #call;
  #own;
  #peer;
  #calls;
  #numbers = 0;
  /** What was sent before the channel was open. @type {string[]} */
  #early = [];
  /** Channels that are here, or listened to, of which the other is still to come; by label.
   * @type {Map<string, ChannelSocket>} */
  #channels = new Map();
  #hosts = new Set();
  #over = false;
  /** @type {any} */
  #idleTimer;

  /**
   * @param {import("./call.js").Call} call established, or about to be
   * @param {string} own the user's name
   * @param {string} peer the other side's
   * @param {boolean} calls whether this side has called
   */
  constructor(call, own, peer, calls) {
    super();
    this.#call = call;
    this.#own = own;
    this.#peer = peer;
    this.#calls = calls;
    /** No server: media have no address, and need no TLS of their own, for data channels have. */
    this.webSocketUri = "ws:";
  }

  /** @returns {string} */
  getUserName() {
    return this.#own;
  }

  /** @returns {string} who is at the other end */
  getPeerName() {
    return this.#peer;
  }

  /** @returns {string} */
  getSessionState() {
    return this.#over ? SESSIONSTATE.CLOSED : SESSIONSTATE.CONNECTED;
  }

  /** @returns {string} */
  genNewCorrelationId() {
    return `${this.#calls ? "c" : "s"}${this.#numbers + 1}`;
  }

  /** @returns {boolean} nothing that was sent can be taken back */
  withdraw() {
    return false;
  }

  /** @param {import("./message.js").Message} message */
  sendMessage(message) {
    if (message.isRequest()) message.control.correlation_id ??= this.genNewCorrelationId();
    this.#numbers += 1;
    const text = JSON.stringify(message);
    const sender = this.#call.getDataTransfer(FRAMES)?.getSender();
    if (sender) sender.send(text);
    else this.#early.push(text);
  }

  /**
   * @param {import("./message.js").Message} request
   * @param {number} code
   * @param {string} [reason]
   * @param {Record<string, any> | null} [extHeaders]
   */
  sendError(request, code, reason, extHeaders) {
    this.sendMessage(errorTo(request, code, reason, extHeaders));
  }

  /**
   * @override
   * @param {string} id
   */
  removeSubSession(id) {
    super.removeSubSession(id);
    stopTimer(this.#idleTimer);
    if (!this.#calls) return;
    this.#idleTimer = startTimer(() => {
      if (!this.hasSubSessions()) this.#call.end();
    }, IDLE_MS);
  }

  /**
   * A channel of the call's: the one for frames, or one of media.
   * @param {import("./data-transfer.js").DataTransfer} transfer
   */
  channel(transfer) {
    if (transfer.label === FRAMES) {
      transfer.getReceiver().onMessage = ({ data }) => turn(() => this.#receive(String(data)));
      transfer.onOpen = () => {
        for (const text of this.#early.splice(0)) transfer.getSender()?.send(text);
      };
    } else {
      const socket = this.#socket(transfer.label);
      socket?.attach(transfer.getChannel());
      if (socket?.isWanted()) this.#channels.delete(transfer.label);
    }
  }

  /** Frees everything: the call is over. */
  clear() {
    if (this.#over) return;
    this.#over = true;
    stopTimer(this.#idleTimer);
    for (const host of this.#hosts) routeDirectly(host, null);
    this.clearSubSessions();
  }

  /** @param {string} text */
  #receive(text) {
    const message = readMessage(text);
    if (!message || this.#over) return;
    const { control, header, payload } = message;
    const asks = message.isRequest() || message.isMessage();
    // Who is at the other end is known from the call, whatever is written here.
    if (asks) [header.initiator, header.target] = [this.#peer, this.#own];
    const id = control.subsession_id ?? "";
    if (typeof payload?.sdp === "string") payload.sdp = this.#addressed(payload.sdp, id, !message.isRequest());
    if (header.action === ACTION.REPORT && this.takeReport(message)) return;
    const first = message.isRequest() && header.action === ACTION.START ? payload?.message : null;
    if (typeof first?.message_id === "string") {
      // What a server says beside a first message, and does for it: whether it was seen is to be told, that it is there is now.
      Object.assign(first, { date_time: new Date().toISOString(), notify: ["display"] });
      this.#reportFirst(first);
    }
    const handler = this.getPackage(control.package_type ?? "");
    if (handler) handler.onMessage(message);
    else if (message.isRequest()) this.sendError(message, 404, "package not available");
  }

  /** @param {{ message_id: string, date_time: string }} first a message that came with an invitation */
  #reportFirst({ message_id, date_time }) {
    this.sendMessage(new Message({
      control: { type: MESSAGETYPE.MESSAGE, package_type: "messaging", subsession_id: this.generateSubSessionId() },
      header: { action: ACTION.REPORT, initiator: this.#own, target: this.#peer },
      payload: { message_id, date_time, kind: "delivery", status: "delivered" },
    }));
  }

  /**
   * A description says where media are; between two browsers they are in a channel named after the subsession.
   * @param {string} sdp
   * @param {string} id of the subsession
   * @param {boolean} opens whether this side makes the channel: who has asked does
   * @returns {string}
   */
  #addressed(sdp, id, opens) {
    let section = 0;
    return sdp.replace(/^a=path:msrps?:\/\/([^:;/\s]+)[^\r\n]*\r?\n/gm, (line, host) => {
      const label = `${id}/${section}`;
      section += 1;
      this.#hosts.add(host);
      routeDirectly(host, () => {
        const socket = /** @type {ChannelSocket} */ (this.#socket(label));
        const connection = this.#call.getPeerConnection();
        if (opens && connection) socket.attach(connection.createDataChannel(label));
        // Both are here now, or the other side has it in its hands; what arrives later is a stranger.
        if (opens || socket.isAttached()) this.#channels.delete(label);
        return socket.begin();
      });
      return `${line}a=ws-resource-path:/${label}\r\n`;
    });
  }

  /**
   * @param {string} label
   * @returns {ChannelSocket | undefined} undefined if too many wait
   */
  #socket(label) {
    const known = this.#channels.get(label);
    if (known || this.#channels.size >= CHANNELS_MAX) return known;
    const socket = new ChannelSocket();
    this.#channels.set(label, socket);
    return socket;
  }
}
return { FRAMES, DirectSession };
})();

modules["file-icon.js"] = (function () {
//! The icon of a file, a small picture that goes along with its offer: as pages have it, and as frames have it.
//! Not here: by which name a description refers to it (`file-sdp.js`), when it goes along (`file-transfer.js`).

/** Octets of the largest one. */
const ICON_OCTETS_MAX = 10 * 1024;
/** Pictures that may be shown whoever has sent them; SVG is not among them, for it is a document. */
const PICTURE = /^image\/(png|jpe?g|gif|webp|avif|bmp)$/;

/** An icon as frames have it, in base64. @typedef {{ content_type: string, content: string }} Icon */

/**
 * @param {Blob | string | null | undefined} given a picture, or a `data:` URL of one
 * @returns {Icon | Promise<Icon> | null} null if there is none; a `cid:` URL names one, and is none. Throws if it can't be one
 */
function iconOf(given) {
  if (!given || (typeof given === "string" && !/^data:/i.test(given))) return null;
  if (typeof given === "string") {
    const [, type, content] = /^data:([^;,]+);base64,([a-z0-9+/]+={0,2})$/i.exec(given) ?? [];
    if (content === undefined) throw new TypeError("wsc: an icon's data: URL is one of a picture in base64");
    return checked(type.toLowerCase(), content);
  }
  if (!(given instanceof Blob)) throw new TypeError("wsc: an icon is a Blob or a data: URL");
  // What is wrong with it is known before it is read.
  checked(given.type, "", given.size);
  return given.arrayBuffer().then((octets) =>
    checked(given.type, btoa(String.fromCharCode(...new Uint8Array(octets)))));
}

/**
 * @param {any} said an icon in a frame that came
 * @returns {string | undefined} a `data:` URL of it; undefined if it is none that may be shown
 */
function iconUrl(said) {
  const { content_type: type = "", content = "" } = said ?? {};
  try {
    const icon = iconOf(`data:${type};base64,${content}`);
    return icon ? `data:${type};base64,${content}` : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} type
 * @param {string} content
 * @param {number} [octets]
 * @returns {Icon}
 */
function checked(type, content, octets = Math.floor((content.replace(/=+$/, "").length * 3) / 4)) {
  if (!PICTURE.test(type)) throw new TypeError(`wsc: an icon is a picture, not ${type || "anything"}`);
  if (octets === 0) throw new RangeError("wsc: an icon is not empty");
  if (octets > ICON_OCTETS_MAX) throw new RangeError(`wsc: an icon has at most ${ICON_OCTETS_MAX} octets`);
  return { content_type: type, content };
}
return { iconOf, iconUrl };
})();

modules["blob-reader.js"] = (function () {
//! Reads a Blob from its start, in the same few buffers: a slice at a time costs browsers several times as much, and
//! leaves as many octets of garbage as the Blob has.

/** Reads one Blob, once. */
class BlobReader {
  #blob;
  /** @type {ReadableStreamBYOBReader | null} */
  #reader = null;
  /** Where the next slice begins, without a reader. */
  #next = 0;

  /** @param {Blob} blob */
  constructor(blob) {
    this.#blob = blob;
    try {
      this.#reader = blob.stream().getReader({ mode: "byob" });
    } catch {
      // An older browser: slices it is.
    }
  }

  /**
   * @param {Uint8Array} place where octets may be put; not to be used any more
   * @returns {Promise<Uint8Array>} as many octets as `place` has, less at the end, none after it; of the same buffer, or of
   *   one as large. Rejects if the Blob can't be read any more
   */
  async read(place) {
    const { length } = place;
    const reader = this.#reader;
    if (!reader) {
      const slice = this.#blob.slice(this.#next, this.#next + length);
      this.#next += slice.size;
      return new Uint8Array(await slice.arrayBuffer());
    }
    let { buffer } = place;
    let filled = 0;
    while (filled < length) {
      const { value, done } = await reader.read(new Uint8Array(buffer, filled, length - filled));
      if (value) buffer = value.buffer;
      if (done) break;
      filled += value.length;
    }
    return new Uint8Array(buffer, 0, filled);
  }

  /** Reads no more; what is read at the moment may be less than it would have been. */
  close() {
    this.#reader?.cancel().catch(() => {});
  }
}
return { BlobReader };
})();

modules["file-source.js"] = (function () {
const { BlobReader } = modules["blob-reader.js"];
//! A file on its way out: read a few buffers ahead, never as a whole.


/** Octets of a buffer. */
const BUFFER_OCTETS = 1024 * 1024;
/** Buffers: the one that is sent, and those that are filled meanwhile. */
const BUFFERS = 3;

/** The octets of a Blob, in their order. */
class FileSource {
  #blob;
  #ready;
  #failed;
  /** @type {BlobReader | null} */
  #reader = null;
  /** What has been read, the octets that are sent next first. @type {{ start: number, octets: Uint8Array }[]} */
  #read = [];
  /** @type {Uint8Array[]} */
  #spare = [];
  /** Where the next buffer begins. */
  #next = 0;
  #isReading = false;

  /**
   * @param {Blob} blob
   * @param {() => void} ready more of it is there
   * @param {(reason: string) => void} failed it can't be read any more
   */
  constructor(blob, ready, failed) {
    this.#blob = blob;
    this.#ready = ready;
    this.#failed = failed;
    /** Octets of the whole. */
    this.length = blob.size;
  }

  /**
   * @param {number} start where the octets before ended, or the beginning again
   * @param {number} end
   * @returns {Uint8Array | null} null: not there yet; may be less than was asked for. They hold until the next are asked for
   */
  subarray(start, end) {
    if (start >= this.length) return new Uint8Array(0);
    const isOver = (/** @type {{ start: number, octets: Uint8Array }} */ part) => part.start + part.octets.length <= start;
    while (this.#read.length > 0 && isOver(this.#read[0])) {
      const [{ octets }] = this.#read.splice(0, 1);
      this.#spare.push(new Uint8Array(octets.buffer));
    }
    if (!this.#reader || start < (this.#read[0]?.start ?? this.#next)) this.#begin(start);
    this.#fill();
    const [part] = this.#read;
    return part ? part.octets.subarray(start - part.start, end - part.start) : null;
  }

  /** Nobody asks for more. */
  close() {
    this.#reader?.close();
    this.#reader = null;
  }

  /** @param {number} start */
  #begin(start) {
    this.#reader?.close();
    this.#read = [];
    this.#next = start;
    this.#spare = [];
    for (let count = 0; count < BUFFERS; count += 1) this.#spare.push(new Uint8Array(Math.min(BUFFER_OCTETS, this.length)));
    this.#reader = new BlobReader(this.#blob.slice(start));
    this.#isReading = false;
  }

  async #fill() {
    const reader = this.#reader;
    if (this.#isReading || !reader) return;
    this.#isReading = true;
    while (this.#next < this.length) {
      const place = this.#spare.pop();
      if (!place) break;
      const read = await reader.read(place).catch((/** @type {Error} */ error) => error.message);
      if (reader !== this.#reader) return;
      if (typeof read === "string" || read.length === 0) {
        this.#failed(`the file can't be read: ${read || "it has become shorter"}`);
        return;
      }
      this.#read.push({ start: this.#next, octets: read });
      this.#next += read.length;
      this.#ready();
    }
    if (reader === this.#reader) this.#isReading = false;
  }
}
return { FileSource };
})();

modules["hash-plain.js"] = (function () {
//! SHA-1 and SHA-256 of blocks in JavaScript (FIPS 180-4), for where WebAssembly is not allowed. Pure.
//!
//! Half as fast or less. Four loops for SHA-1 are half as fast again as one.

/** Octets of a block. */
const BLOCK_OCTETS = 64;

/**
 * Mixes blocks into a state.
 * @typedef {(state: Int32Array, octets: Uint8Array) => void} Compression
 */

const words = new Int32Array(80);

/** @param {Uint8Array} octets */
const viewOf = (octets) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);

/** @type {Compression} */
function sha1(state, octets) {
  const view = viewOf(octets);
  for (let at = 0; at < octets.length; at += BLOCK_OCTETS) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 80; i += 1) {
      const word = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16];
      words[i] = (word << 1) | (word >>> 31);
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    /** @type {number} */
    let next;
    for (let i = 0; i < 20; i += 1) {
      next = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + e + 0x5a827999 + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    for (let i = 20; i < 40; i += 1) {
      next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0x6ed9eba1 + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    for (let i = 40; i < 60; i += 1) {
      next = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + e + 0x8f1bbcdc + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    for (let i = 60; i < 80; i += 1) {
      next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0xca62c1d6 + words[i]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
  }
}

/** The first 32 bits of the fractional parts of a root of each of the first primes. */
const roots = (/** @type {number} */ count, /** @type {number} */ root) => {
  const primes = /** @type {number[]} */ ([]);
  for (let n = 2; primes.length < count; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes.map((prime) => ((prime ** (1 / root)) % 1) * 0x1_0000_0000 | 0);
};
const ROUNDS = Int32Array.from(roots(64, 3));

/** @type {Compression} */
function sha256(state, octets) {
  const view = viewOf(octets);
  for (let at = 0; at < octets.length; at += BLOCK_OCTETS) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = words[i - 15];
      const y = words[i - 2];
      const first = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const second = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[i] = (words[i - 16] + first + words[i - 7] + second) | 0;
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i += 1) {
      const sigma = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + sigma + (g ^ (e & (f ^ g))) + ROUNDS[i] + words[i]) | 0;
      const other = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + other + ((b & c) | (d & (b | c)))) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

const plain = { sha1, sha256 };
return { BLOCK_OCTETS, plain };
})();

modules["hash-blocks.js"] = (function () {
const { BlobReader } = modules["blob-reader.js"];
const { BLOCK_OCTETS, plain } = modules["hash-plain.js"];
//! Hashes of what comes piece by piece (FIPS 180-4), which the browser's own digests do not do: they want the whole at
//! once. The same in the page and in its worker, which gets it as a text. Not here: who asks for which (`hash.js`).


/** Where the length of the whole begins in the last block. */
const LENGTH_AT = 56;
/** Octets of a Blob that are read at a time. */
const READ_OCTETS = 1024 * 1024;

/** Where the module takes blocks from, and how many octets at a time; `build/hash-wasm.js` knows the same. */
const STATE_AT = 0;
const BLOCKS_AT = 1024;
const BLOCKS_OCTETS_MAX = 256 * 1024;

/** @typedef {import("./hash-plain.js").Compression} Compression */
/** @typedef {"sha-1" | "sha-256"} Algorithm */
/** A hash that goes on somewhere else.
 * @typedef {{ algorithm: Algorithm, state: Int32Array, block: Uint8Array, used: number, length: number }} SavedHash */

/** What compresses, for all hashes. */
let compressions = plain;

/**
 * From now on blocks are compressed by WebAssembly, if the page's policy allows it and the browser can.
 * @param {string} base64 the module of `hash-wasm.js`
 * @returns {boolean} false: JavaScript goes on to do it, more slowly
 */
function compressBy(base64) {
  try {
    const module = new WebAssembly.Module(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
    const exported = /** @type {any} */ (new WebAssembly.Instance(module).exports);
    const state = new Int32Array(exported.memory.buffer, STATE_AT, 8);
    const blocks = new Uint8Array(exported.memory.buffer, BLOCKS_AT, BLOCKS_OCTETS_MAX);
    /** @type {(compress: (at: number, end: number) => void) => Compression} */
    const by = (compress) => (of, octets) => {
      state.set(of);
      for (let at = 0; at < octets.length; at += BLOCKS_OCTETS_MAX) {
        const part = octets.subarray(at, at + BLOCKS_OCTETS_MAX);
        blocks.set(part);
        compress(BLOCKS_AT, BLOCKS_AT + part.length);
      }
      of.set(state.subarray(0, of.length));
    };
    compressions = { sha1: by(exported.sha1), sha256: by(exported.sha256) };
    return true;
  } catch {
    return false;
  }
}

/** @type {Record<Algorithm, [keyof typeof plain, number[]]>} */
const KNOWN = {
  "sha-1": ["sha1", [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]],
  "sha-256": ["sha256", [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ]],
};

/** One hash of what comes piece by piece. */
class Hash {
  #algorithm;
  /** @type {Int32Array} */
  #state;
  /** The beginning of a block whose rest has not come. @type {Uint8Array} */
  #block = new Uint8Array(BLOCK_OCTETS);
  #used = 0;
  #length = 0;

  /** @param {Algorithm} algorithm */
  constructor(algorithm) {
    this.#algorithm = algorithm;
    this.#state = Int32Array.from(KNOWN[algorithm][1]);
  }

  /** @returns {SavedHash} */
  save() {
    return {
      algorithm: this.#algorithm, state: this.#state, block: this.#block, used: this.#used, length: this.#length,
    };
  }

  /** @param {SavedHash} saved of the same algorithm */
  restore({ state, block, used, length }) {
    this.#state = state;
    this.#block = block;
    this.#used = used;
    this.#length = length;
  }

  /** @param {Uint8Array} octets that follow on those before */
  update(octets) {
    const compress = compressions[KNOWN[this.#algorithm][0]];
    this.#length += octets.length;
    let at = 0;
    if (this.#used > 0) {
      at = Math.min(BLOCK_OCTETS - this.#used, octets.length);
      this.#block.set(octets.subarray(0, at), this.#used);
      this.#used += at;
      if (this.#used < BLOCK_OCTETS) return;
      compress(this.#state, this.#block);
    }
    const end = octets.length - (octets.length - at) % BLOCK_OCTETS;
    if (end > at) compress(this.#state, octets.subarray(at, end));
    this.#block.set(octets.subarray(end));
    this.#used = octets.length - end;
  }

  /** @returns {string} upper-case pairs with colons, as RFC 5547 writes them; nothing may follow */
  digest() {
    const length = this.#length;
    const rest = (this.#used < LENGTH_AT ? 1 : 2) * BLOCK_OCTETS - this.#used;
    const end = new Uint8Array(rest);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(rest - 8, Math.floor(length / 0x2000_0000));
    view.setUint32(rest - 4, (length << 3) >>> 0);
    this.update(end);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0"))
      .join("").toUpperCase().match(/../g)?.join(":") ?? "";
  }
}

/**
 * Goes on with hashes by what follows, here and now.
 * @param {Hash[]} hashes
 * @param {Uint8Array | Blob} source
 * @returns {Promise<void>} rejects if the Blob can't be read
 */
async function absorb(hashes, source) {
  if (source instanceof Uint8Array) {
    for (const hash of hashes) hash.update(source);
    return;
  }
  const reader = new BlobReader(source);
  /** @type {Uint8Array} */
  let place = new Uint8Array(READ_OCTETS);
  for (let octets = await reader.read(place); octets.length > 0; octets = await reader.read(place)) {
    for (const hash of hashes) hash.update(octets);
    place = new Uint8Array(octets.buffer);
  }
}

/**
 * What a worker does: goes on with the hashes that it is sent, and sends back how far they are after each job. It keeps
 * those of which another job may be on its way already.
 * @param {{ postMessage: (message: any, transfer?: any[]) => void, onmessage: any }} scope
 */
function serveHashes(scope) {
  /** @type {Map<number, Hash[]>} */
  const streams = new Map();
  scope.onmessage = async (/** @type {MessageEvent} */ { data }) => {
    if (data.wasm) {
      compressBy(data.wasm);
      return;
    }
    if (data.over) {
      streams.delete(data.over);
      return;
    }
    const { job, stream, source } = data;
    try {
      if (data.saved) streams.set(stream, data.saved.map(restored));
      const hashes = /** @type {Hash[]} */ (streams.get(stream));
      await absorb(hashes, source);
      const saved = hashes.map((hash) => hash.save());
      const spare = source instanceof Uint8Array ? source : new Uint8Array(0);
      scope.postMessage({ job, saved, source: spare }, [spare.buffer]);
    } catch (error) {
      scope.postMessage({ job, error: /** @type {Error} */ (error).message });
    }
  };
  scope.postMessage({ ready: true });
}

/** @param {SavedHash} saved */
function restored(saved) {
  const hash = new Hash(saved.algorithm);
  hash.restore(saved);
  return hash;
}
return { compressBy, Hash, absorb, serveHashes };
})();

modules["hash-wasm.js"] = (function () {
//! SHA-1 and SHA-256 of blocks as a WebAssembly module, in Base64.
//! Made by build/hash-wasm.js; change that, not this.

const HASH_WASM = [
  "AGFzbQEAAAABBgFgAn9/AAMDAgAABQQBAQUFBxoDBm1lbW9yeQIABHNoYTEAAAZzaGEyNTYAAQqwcwLcJwILfwl7A0BBACgCACECQQAoAgQhA0",
  "EAKAIIIQRBACgCDCEFQQAoAhAhBiAA/QAEAP0MAAAAAAAAAAAAAAAAAAAAAP0NAwIBAAcGBQQLCgkIDw4NDCENQQAgDf0MmXmCWpl5glqZeYJa",
  "mXmCWv2uAf0LBEAgAP0ABBD9DAAAAAAAAAAAAAAAAAAAAAD9DQMCAQAHBgUECwoJCA8ODQwhDkEAIA79DJl5glqZeYJamXmCWpl5glr9rgH9Cw",
  "RQIAD9AAQg/QwAAAAAAAAAAAAAAAAAAAAA/Q0DAgEABwYFBAsKCQgPDg0MIQ9BACAP/QyZeYJamXmCWpl5glqZeYJa/a4B/QsEYCAA/QAEMP0M",
  "AAAAAAAAAAAAAAAAAAAAAP0NAwIBAAcGBQQLCgkIDw4NDCEQQQAgEP0MmXmCWpl5glqZeYJamXmCWv2uAf0LBHAgEP0MAAAAAAAAAAAAAAAAAA",
  "AAAP0NBAUGBwgJCgsMDQ4PEBESEyAP/VEgDSAO/Q0ICQoLDA0ODxAREhMUFRYX/VEgDf1RIRUgFUEB/asBIBVBH/2tAf1QIRUgFf0MAAAAAAAA",
  "AAAAAAAAAAAAACAV/Q0AAQIDBAUGBwgJCgsQERITQQH9qwH9DAAAAAAAAAAAAAAAAAAAAAAgFf0NAAECAwQFBgcICQoLEBESE0Ef/a0B/VD9US",
  "ERQQAgEf0MmXmCWpl5glqZeYJamXmCWv2uAf0LBIABIAZBACgCQGogBSADIAQgBXNxc2ogAkEFd2ohBiADQR53IQMgBUEAKAJEaiAEIAIgAyAE",
  "c3FzaiAGQQV3aiEFIAJBHnchAiAEQQAoAkhqIAMgBiACIANzcXNqIAVBBXdqIQQgBkEedyEGIANBACgCTGogAiAFIAYgAnNxc2ogBEEFd2ohAy",
  "AFQR53IQUgEf0MAAAAAAAAAAAAAAAAAAAAAP0NBAUGBwgJCgsMDQ4PEBESEyAQ/VEgDiAP/Q0ICQoLDA0ODxAREhMUFRYX/VEgDv1RIRUgFUEB",
  "/asBIBVBH/2tAf1QIRUgFf0MAAAAAAAAAAAAAAAAAAAAACAV/Q0AAQIDBAUGBwgJCgsQERITQQH9qwH9DAAAAAAAAAAAAAAAAAAAAAAgFf0NAA",
  "ECAwQFBgcICQoLEBESE0Ef/a0B/VD9USESQQAgEv0MoevZbqHr2W6h69luoevZbv2uAf0LBJABIAJBACgCUGogBiAEIAUgBnNxc2ogA0EFd2oh",
  "AiAEQR53IQQgBkEAKAJUaiAFIAMgBCAFc3FzaiACQQV3aiEGIANBHnchAyAFQQAoAlhqIAQgAiADIARzcXNqIAZBBXdqIQUgAkEedyECIARBAC",
  "gCXGogAyAGIAIgA3Nxc2ogBUEFd2ohBCAGQR53IQYgEv0MAAAAAAAAAAAAAAAAAAAAAP0NBAUGBwgJCgsMDQ4PEBESEyAR/VEgDyAQ/Q0ICQoL",
  "DA0ODxAREhMUFRYX/VEgD/1RIRUgFUEB/asBIBVBH/2tAf1QIRUgFf0MAAAAAAAAAAAAAAAAAAAAACAV/Q0AAQIDBAUGBwgJCgsQERITQQH9qw",
  "H9DAAAAAAAAAAAAAAAAAAAAAAgFf0NAAECAwQFBgcICQoLEBESE0Ef/a0B/VD9USETQQAgE/0MoevZbqHr2W6h69luoevZbv2uAf0LBKABIANB",
  "ACgCYGogAiAFIAYgAnNxc2ogBEEFd2ohAyAFQR53IQUgAkEAKAJkaiAGIAQgBSAGc3FzaiADQQV3aiECIARBHnchBCAGQQAoAmhqIAUgAyAEIA",
  "VzcXNqIAJBBXdqIQYgA0EedyEDIAVBACgCbGogBCACIAMgBHNxc2ogBkEFd2ohBSACQR53IQIgE/0MAAAAAAAAAAAAAAAAAAAAAP0NBAUGBwgJ",
  "CgsMDQ4PEBESEyAS/VEgECAR/Q0ICQoLDA0ODxAREhMUFRYX/VEgEP1RIRUgFUEB/asBIBVBH/2tAf1QIRUgFf0MAAAAAAAAAAAAAAAAAAAAAC",
  "AV/Q0AAQIDBAUGBwgJCgsQERITQQH9qwH9DAAAAAAAAAAAAAAAAAAAAAAgFf0NAAECAwQFBgcICQoLEBESE0Ef/a0B/VD9USEUQQAgFP0MoevZ",
  "bqHr2W6h69luoevZbv2uAf0LBLABIARBACgCcGogAyAGIAIgA3Nxc2ogBUEFd2ohBCAGQR53IQYgA0EAKAJ0aiACIAUgBiACc3FzaiAEQQV3ai",
  "EDIAVBHnchBSACQQAoAnhqIAYgBCAFIAZzcXNqIANBBXdqIQIgBEEedyEEIAZBACgCfGogBSADIAQgBXNxc2ogAkEFd2ohBiADQR53IQMgEyAU",
  "/Q0ICQoLDA0ODxAREhMUFRYXIBH9USAO/VEgDf1RIRUgFUEC/asBIBVBHv2tAf1QIQ1BACAN/Qyh69luoevZbqHr2W6h69lu/a4B/QsEwAEgBU",
  "EAKAKAAWogBCACIAMgBHNxc2ogBkEFd2ohBSACQR53IQIgBEEAKAKEAWogAyAGIAIgA3Nxc2ogBUEFd2ohBCAGQR53IQYgA0EAKAKIAWogAiAF",
  "IAYgAnNxc2ogBEEFd2ohAyAFQR53IQUgAkEAKAKMAWogBiAEIAUgBnNxc2ogA0EFd2ohAiAEQR53IQQgFCAN/Q0ICQoLDA0ODxAREhMUFRYXIB",
  "L9USAP/VEgDv1RIRUgFUEC/asBIBVBHv2tAf1QIQ5BACAO/Qyh69luoevZbqHr2W6h69lu/a4B/QsE0AEgBkEAKAKQAWogAyAEcyAFc2ogAkEF",
  "d2ohBiADQR53IQMgBUEAKAKUAWogAiADcyAEc2ogBkEFd2ohBSACQR53IQIgBEEAKAKYAWogBiACcyADc2ogBUEFd2ohBCAGQR53IQYgA0EAKA",
  "KcAWogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgDSAO/Q0ICQoLDA0ODxAREhMUFRYXIBP9USAQ/VEgD/1RIRUgFUEC/asBIBVBHv2tAf1QIQ9B",
  "ACAP/QzcvBuP3Lwbj9y8G4/cvBuP/a4B/QsE4AEgAkEAKAKgAWogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgBkEAKAKkAWogAyAEcyAFc2ogAk",
  "EFd2ohBiADQR53IQMgBUEAKAKoAWogAiADcyAEc2ogBkEFd2ohBSACQR53IQIgBEEAKAKsAWogBiACcyADc2ogBUEFd2ohBCAGQR53IQYgDiAP",
  "/Q0ICQoLDA0ODxAREhMUFRYXIBT9USAR/VEgEP1RIRUgFUEC/asBIBVBHv2tAf1QIRBBACAQ/QzcvBuP3Lwbj9y8G4/cvBuP/a4B/QsE8AEgA0",
  "EAKAKwAWogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAkEAKAK0AWogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgBkEAKAK4AWogAyAEcyAFc2og",
  "AkEFd2ohBiADQR53IQMgBUEAKAK8AWogAiADcyAEc2ogBkEFd2ohBSACQR53IQIgDyAQ/Q0ICQoLDA0ODxAREhMUFRYXIA39USAS/VEgEf1RIR",
  "UgFUEC/asBIBVBHv2tAf1QIRFBACAR/QzcvBuP3Lwbj9y8G4/cvBuP/a4B/QsEgAIgBEEAKALAAWogBiACcyADc2ogBUEFd2ohBCAGQR53IQYg",
  "A0EAKALEAWogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAkEAKALIAWogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgBkEAKALMAWogAyAEcyAFc2",
  "ogAkEFd2ohBiADQR53IQMgECAR/Q0ICQoLDA0ODxAREhMUFRYXIA79USAT/VEgEv1RIRUgFUEC/asBIBVBHv2tAf1QIRJBACAS/QzcvBuP3Lwb",
  "j9y8G4/cvBuP/a4B/QsEkAIgBUEAKALQAWogAiADcyAEc2ogBkEFd2ohBSACQR53IQIgBEEAKALUAWogBiACcyADc2ogBUEFd2ohBCAGQR53IQ",
  "YgA0EAKALYAWogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAkEAKALcAWogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgESAS/Q0ICQoLDA0ODxAR",
  "EhMUFRYXIA/9USAU/VEgE/1RIRUgFUEC/asBIBVBHv2tAf1QIRNBACAT/QzcvBuP3Lwbj9y8G4/cvBuP/a4B/QsEoAIgBkEAKALgAWogAyAEcS",
  "AFIAMgBHJxcmogAkEFd2ohBiADQR53IQMgBUEAKALkAWogAiADcSAEIAIgA3JxcmogBkEFd2ohBSACQR53IQIgBEEAKALoAWogBiACcSADIAYg",
  "AnJxcmogBUEFd2ohBCAGQR53IQYgA0EAKALsAWogBSAGcSACIAUgBnJxcmogBEEFd2ohAyAFQR53IQUgEiAT/Q0ICQoLDA0ODxAREhMUFRYXIB",
  "D9USAN/VEgFP1RIRUgFUEC/asBIBVBHv2tAf1QIRRBACAU/QzWwWLK1sFiytbBYsrWwWLK/a4B/QsEsAIgAkEAKALwAWogBCAFcSAGIAQgBXJx",
  "cmogA0EFd2ohAiAEQR53IQQgBkEAKAL0AWogAyAEcSAFIAMgBHJxcmogAkEFd2ohBiADQR53IQMgBUEAKAL4AWogAiADcSAEIAIgA3JxcmogBk",
  "EFd2ohBSACQR53IQIgBEEAKAL8AWogBiACcSADIAYgAnJxcmogBUEFd2ohBCAGQR53IQYgEyAU/Q0ICQoLDA0ODxAREhMUFRYXIBH9USAO/VEg",
  "Df1RIRUgFUEC/asBIBVBHv2tAf1QIQ1BACAN/QzWwWLK1sFiytbBYsrWwWLK/a4B/QsEwAIgA0EAKAKAAmogBSAGcSACIAUgBnJxcmogBEEFd2",
  "ohAyAFQR53IQUgAkEAKAKEAmogBCAFcSAGIAQgBXJxcmogA0EFd2ohAiAEQR53IQQgBkEAKAKIAmogAyAEcSAFIAMgBHJxcmogAkEFd2ohBiAD",
  "QR53IQMgBUEAKAKMAmogAiADcSAEIAIgA3JxcmogBkEFd2ohBSACQR53IQIgFCAN/Q0ICQoLDA0ODxAREhMUFRYXIBL9USAP/VEgDv1RIRUgFU",
  "EC/asBIBVBHv2tAf1QIQ5BACAO/QzWwWLK1sFiytbBYsrWwWLK/a4B/QsE0AIgBEEAKAKQAmogBiACcSADIAYgAnJxcmogBUEFd2ohBCAGQR53",
  "IQYgA0EAKAKUAmogBSAGcSACIAUgBnJxcmogBEEFd2ohAyAFQR53IQUgAkEAKAKYAmogBCAFcSAGIAQgBXJxcmogA0EFd2ohAiAEQR53IQQgBk",
  "EAKAKcAmogAyAEcSAFIAMgBHJxcmogAkEFd2ohBiADQR53IQMgDSAO/Q0ICQoLDA0ODxAREhMUFRYXIBP9USAQ/VEgD/1RIRUgFUEC/asBIBVB",
  "Hv2tAf1QIQ9BACAP/QzWwWLK1sFiytbBYsrWwWLK/a4B/QsE4AIgBUEAKAKgAmogAiADcSAEIAIgA3JxcmogBkEFd2ohBSACQR53IQIgBEEAKA",
  "KkAmogBiACcSADIAYgAnJxcmogBUEFd2ohBCAGQR53IQYgA0EAKAKoAmogBSAGcSACIAUgBnJxcmogBEEFd2ohAyAFQR53IQUgAkEAKAKsAmog",
  "BCAFcSAGIAQgBXJxcmogA0EFd2ohAiAEQR53IQQgDiAP/Q0ICQoLDA0ODxAREhMUFRYXIBT9USAR/VEgEP1RIRUgFUEC/asBIBVBHv2tAf1QIR",
  "BBACAQ/QzWwWLK1sFiytbBYsrWwWLK/a4B/QsE8AIgBkEAKAKwAmogAyAEcyAFc2ogAkEFd2ohBiADQR53IQMgBUEAKAK0AmogAiADcyAEc2og",
  "BkEFd2ohBSACQR53IQIgBEEAKAK4AmogBiACcyADc2ogBUEFd2ohBCAGQR53IQYgA0EAKAK8AmogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAk",
  "EAKALAAmogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgBkEAKALEAmogAyAEcyAFc2ogAkEFd2ohBiADQR53IQMgBUEAKALIAmogAiADcyAEc2og",
  "BkEFd2ohBSACQR53IQIgBEEAKALMAmogBiACcyADc2ogBUEFd2ohBCAGQR53IQYgA0EAKALQAmogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAk",
  "EAKALUAmogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgBkEAKALYAmogAyAEcyAFc2ogAkEFd2ohBiADQR53IQMgBUEAKALcAmogAiADcyAEc2og",
  "BkEFd2ohBSACQR53IQIgBEEAKALgAmogBiACcyADc2ogBUEFd2ohBCAGQR53IQYgA0EAKALkAmogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAk",
  "EAKALoAmogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQQgBkEAKALsAmogAyAEcyAFc2ogAkEFd2ohBiADQR53IQMgBUEAKALwAmogAiADcyAEc2og",
  "BkEFd2ohBSACQR53IQIgBEEAKAL0AmogBiACcyADc2ogBUEFd2ohBCAGQR53IQYgA0EAKAL4AmogBSAGcyACc2ogBEEFd2ohAyAFQR53IQUgAk",
  "EAKAL8AmogBCAFcyAGc2ogA0EFd2ohAiAEQR53IQRBAEEAKAIAIAJqNgIAQQBBACgCBCADajYCBEEAQQAoAgggBGo2AghBAEEAKAIMIAVqNgIM",
  "QQBBACgCECAGajYCECAAQcAAaiEAIAAgAUcNAAsLz0sCC38JewNAQQAoAgAhAkEAKAIEIQNBACgCCCEEQQAoAgwhBUEAKAIQIQZBACgCFCEHQQ",
  "AoAhghCEEAKAIcIQkgAP0ABAD9DAAAAAAAAAAAAAAAAAAAAAD9DQMCAQAHBgUECwoJCA8ODQwhDUEAIA39DJgvikKRRDdxz/vAtaXbten9rgH9",
  "CwRAIAD9AAQQ/QwAAAAAAAAAAAAAAAAAAAAA/Q0DAgEABwYFBAsKCQgPDg0MIQ5BACAO/QxbwlY58RHxWaSCP5LVXhyr/a4B/QsEUCAA/QAEIP",
  "0MAAAAAAAAAAAAAAAAAAAAAP0NAwIBAAcGBQQLCgkIDw4NDCEPQQAgD/0MmKoH2AFbgxK+hTEkw30MVf2uAf0LBGAgAP0ABDD9DAAAAAAAAAAA",
  "AAAAAAAAAAD9DQMCAQAHBgUECwoJCA8ODQwhEEEAIBD9DHRdvnL+sd6Apwbcm3Txm8H9rgH9CwRwIA0gDv0NBAUGBwgJCgsMDQ4PEBESEyEVIB",
  "VBB/2tASAVQRn9qwH9USAVQRL9rQH9USAVQQ79qwH9USAVQQP9rQH9USAN/a4BIA8gEP0NBAUGBwgJCgsMDQ4PEBESE/2uASEVIBD9DAAAAAAA",
  "AAAAAAAAAAAAAAD9DQgJCgsMDQ4PEBESExAREhMhESAVIBFBEf2tASARQQ/9qwH9USARQRP9rQH9USARQQ39qwH9USARQQr9rQH9Uf2uASEVIB",
  "X9DAAAAAAAAAAAAAAAAAAAAAD9DRAREhMQERITAAECAwQFBgchESAVIBFBEf2tASARQQ/9qwH9USARQRP9rQH9USARQQ39qwH9USARQQr9rQH9",
  "Uf2uASERQQAgEf0MwWmb5IZHvu/GncEPzKEMJP2uAf0LBIABIAMgBHMhCyACIANzIQwgCUEAKAJAaiAIIAYgByAIc3FzaiAGQQZ4IAZBC3hzIA",
  "ZBGXhzaiEKIAUgCmohBSAKIAMgCyAMcXNqIAJBAnggAkENeHMgAkEWeHNqIQkgCSACcyELIAhBACgCRGogByAFIAYgB3Nxc2ogBUEGeCAFQQt4",
  "cyAFQRl4c2ohCiAEIApqIQQgCiACIAwgC3FzaiAJQQJ4IAlBDXhzIAlBFnhzaiEIIAggCXMhDCAHQQAoAkhqIAYgBCAFIAZzcXNqIARBBnggBE",
  "ELeHMgBEEZeHNqIQogAyAKaiEDIAogCSALIAxxc2ogCEECeCAIQQ14cyAIQRZ4c2ohByAHIAhzIQsgBkEAKAJMaiAFIAMgBCAFc3FzaiADQQZ4",
  "IANBC3hzIANBGXhzaiEKIAIgCmohAiAKIAggDCALcXNqIAdBAnggB0ENeHMgB0EWeHNqIQYgDiAP/Q0EBQYHCAkKCwwNDg8QERITIRUgFUEH/a",
  "0BIBVBGf2rAf1RIBVBEv2tAf1RIBVBDv2rAf1RIBVBA/2tAf1RIA79rgEgECAR/Q0EBQYHCAkKCwwNDg8QERIT/a4BIRUgEf0MAAAAAAAAAAAA",
  "AAAAAAAAAP0NCAkKCwwNDg8QERITEBESEyESIBUgEkER/a0BIBJBD/2rAf1RIBJBE/2tAf1RIBJBDf2rAf1RIBJBCv2tAf1R/a4BIRUgFf0MAA",
  "AAAAAAAAAAAAAAAAAAAP0NEBESExAREhMAAQIDBAUGByESIBUgEkER/a0BIBJBD/2rAf1RIBJBE/2tAf1RIBJBDf2rAf1RIBJBCv2tAf1R/a4B",
  "IRJBACAS/QxvLOktqoR0StypsFzaiPl2/a4B/QsEkAEgBiAHcyEMIAVBACgCUGogBCACIAMgBHNxc2ogAkEGeCACQQt4cyACQRl4c2ohCiAJIA",
  "pqIQkgCiAHIAsgDHFzaiAGQQJ4IAZBDXhzIAZBFnhzaiEFIAUgBnMhCyAEQQAoAlRqIAMgCSACIANzcXNqIAlBBnggCUELeHMgCUEZeHNqIQog",
  "CCAKaiEIIAogBiAMIAtxc2ogBUECeCAFQQ14cyAFQRZ4c2ohBCAEIAVzIQwgA0EAKAJYaiACIAggCSACc3FzaiAIQQZ4IAhBC3hzIAhBGXhzai",
  "EKIAcgCmohByAKIAUgCyAMcXNqIARBAnggBEENeHMgBEEWeHNqIQMgAyAEcyELIAJBACgCXGogCSAHIAggCXNxc2ogB0EGeCAHQQt4cyAHQRl4",
  "c2ohCiAGIApqIQYgCiAEIAwgC3FzaiADQQJ4IANBDXhzIANBFnhzaiECIA8gEP0NBAUGBwgJCgsMDQ4PEBESEyEVIBVBB/2tASAVQRn9qwH9US",
  "AVQRL9rQH9USAVQQ79qwH9USAVQQP9rQH9USAP/a4BIBEgEv0NBAUGBwgJCgsMDQ4PEBESE/2uASEVIBL9DAAAAAAAAAAAAAAAAAAAAAD9DQgJ",
  "CgsMDQ4PEBESExAREhMhEyAVIBNBEf2tASATQQ/9qwH9USATQRP9rQH9USATQQ39qwH9USATQQr9rQH9Uf2uASEVIBX9DAAAAAAAAAAAAAAAAA",
  "AAAAD9DRAREhMQERITAAECAwQFBgchEyAVIBNBEf2tASATQQ/9qwH9USATQRP9rQH9USATQQ39qwH9USATQQr9rQH9Uf2uASETQQAgE/0MUlE+",
  "mG3GMajIJwOwx39Zv/2uAf0LBKABIAIgA3MhDCAJQQAoAmBqIAggBiAHIAhzcXNqIAZBBnggBkELeHMgBkEZeHNqIQogBSAKaiEFIAogAyALIA",
  "xxc2ogAkECeCACQQ14cyACQRZ4c2ohCSAJIAJzIQsgCEEAKAJkaiAHIAUgBiAHc3FzaiAFQQZ4IAVBC3hzIAVBGXhzaiEKIAQgCmohBCAKIAIg",
  "DCALcXNqIAlBAnggCUENeHMgCUEWeHNqIQggCCAJcyEMIAdBACgCaGogBiAEIAUgBnNxc2ogBEEGeCAEQQt4cyAEQRl4c2ohCiADIApqIQMgCi",
  "AJIAsgDHFzaiAIQQJ4IAhBDXhzIAhBFnhzaiEHIAcgCHMhCyAGQQAoAmxqIAUgAyAEIAVzcXNqIANBBnggA0ELeHMgA0EZeHNqIQogAiAKaiEC",
  "IAogCCAMIAtxc2ogB0ECeCAHQQ14cyAHQRZ4c2ohBiAQIBH9DQQFBgcICQoLDA0ODxAREhMhFSAVQQf9rQEgFUEZ/asB/VEgFUES/a0B/VEgFU",
  "EO/asB/VEgFUED/a0B/VEgEP2uASASIBP9DQQFBgcICQoLDA0ODxAREhP9rgEhFSAT/QwAAAAAAAAAAAAAAAAAAAAA/Q0ICQoLDA0ODxAREhMQ",
  "ERITIRQgFSAUQRH9rQEgFEEP/asB/VEgFEET/a0B/VEgFEEN/asB/VEgFEEK/a0B/VH9rgEhFSAV/QwAAAAAAAAAAAAAAAAAAAAA/Q0QERITEB",
  "ESEwABAgMEBQYHIRQgFSAUQRH9rQEgFEEP/asB/VEgFEET/a0B/VEgFEEN/asB/VEgFEEK/a0B/VH9rgEhFEEAIBT9DPML4MZHkafVUWPKBmcp",
  "KRT9rgH9CwSwASAGIAdzIQwgBUEAKAJwaiAEIAIgAyAEc3FzaiACQQZ4IAJBC3hzIAJBGXhzaiEKIAkgCmohCSAKIAcgCyAMcXNqIAZBAnggBk",
  "ENeHMgBkEWeHNqIQUgBSAGcyELIARBACgCdGogAyAJIAIgA3Nxc2ogCUEGeCAJQQt4cyAJQRl4c2ohCiAIIApqIQggCiAGIAwgC3FzaiAFQQJ4",
  "IAVBDXhzIAVBFnhzaiEEIAQgBXMhDCADQQAoAnhqIAIgCCAJIAJzcXNqIAhBBnggCEELeHMgCEEZeHNqIQogByAKaiEHIAogBSALIAxxc2ogBE",
  "ECeCAEQQ14cyAEQRZ4c2ohAyADIARzIQsgAkEAKAJ8aiAJIAcgCCAJc3FzaiAHQQZ4IAdBC3hzIAdBGXhzaiEKIAYgCmohBiAKIAQgDCALcXNq",
  "IANBAnggA0ENeHMgA0EWeHNqIQIgESAS/Q0EBQYHCAkKCwwNDg8QERITIRUgFUEH/a0BIBVBGf2rAf1RIBVBEv2tAf1RIBVBDv2rAf1RIBVBA/",
  "2tAf1RIBH9rgEgEyAU/Q0EBQYHCAkKCwwNDg8QERIT/a4BIRUgFP0MAAAAAAAAAAAAAAAAAAAAAP0NCAkKCwwNDg8QERITEBESEyENIBUgDUER",
  "/a0BIA1BD/2rAf1RIA1BE/2tAf1RIA1BDf2rAf1RIA1BCv2tAf1R/a4BIRUgFf0MAAAAAAAAAAAAAAAAAAAAAP0NEBESExAREhMAAQIDBAUGBy",
  "ENIBUgDUER/a0BIA1BD/2rAf1RIA1BE/2tAf1RIA1BDf2rAf1RIA1BCv2tAf1R/a4BIQ1BACAN/QyFCrcnOCEbLvxtLE0TDThT/a4B/QsEwAEg",
  "AiADcyEMIAlBACgCgAFqIAggBiAHIAhzcXNqIAZBBnggBkELeHMgBkEZeHNqIQogBSAKaiEFIAogAyALIAxxc2ogAkECeCACQQ14cyACQRZ4c2",
  "ohCSAJIAJzIQsgCEEAKAKEAWogByAFIAYgB3Nxc2ogBUEGeCAFQQt4cyAFQRl4c2ohCiAEIApqIQQgCiACIAwgC3FzaiAJQQJ4IAlBDXhzIAlB",
  "FnhzaiEIIAggCXMhDCAHQQAoAogBaiAGIAQgBSAGc3FzaiAEQQZ4IARBC3hzIARBGXhzaiEKIAMgCmohAyAKIAkgCyAMcXNqIAhBAnggCEENeH",
  "MgCEEWeHNqIQcgByAIcyELIAZBACgCjAFqIAUgAyAEIAVzcXNqIANBBnggA0ELeHMgA0EZeHNqIQogAiAKaiECIAogCCAMIAtxc2ogB0ECeCAH",
  "QQ14cyAHQRZ4c2ohBiASIBP9DQQFBgcICQoLDA0ODxAREhMhFSAVQQf9rQEgFUEZ/asB/VEgFUES/a0B/VEgFUEO/asB/VEgFUED/a0B/VEgEv",
  "2uASAUIA39DQQFBgcICQoLDA0ODxAREhP9rgEhFSAN/QwAAAAAAAAAAAAAAAAAAAAA/Q0ICQoLDA0ODxAREhMQERITIQ4gFSAOQRH9rQEgDkEP",
  "/asB/VEgDkET/a0B/VEgDkEN/asB/VEgDkEK/a0B/VH9rgEhFSAV/QwAAAAAAAAAAAAAAAAAAAAA/Q0QERITEBESEwABAgMEBQYHIQ4gFSAOQR",
  "H9rQEgDkEP/asB/VEgDkET/a0B/VEgDkEN/asB/VEgDkEK/a0B/VH9rgEhDkEAIA79DFRzCmW7Cmp2LsnCgYUscpL9rgH9CwTQASAGIAdzIQwg",
  "BUEAKAKQAWogBCACIAMgBHNxc2ogAkEGeCACQQt4cyACQRl4c2ohCiAJIApqIQkgCiAHIAsgDHFzaiAGQQJ4IAZBDXhzIAZBFnhzaiEFIAUgBn",
  "MhCyAEQQAoApQBaiADIAkgAiADc3FzaiAJQQZ4IAlBC3hzIAlBGXhzaiEKIAggCmohCCAKIAYgDCALcXNqIAVBAnggBUENeHMgBUEWeHNqIQQg",
  "BCAFcyEMIANBACgCmAFqIAIgCCAJIAJzcXNqIAhBBnggCEELeHMgCEEZeHNqIQogByAKaiEHIAogBSALIAxxc2ogBEECeCAEQQ14cyAEQRZ4c2",
  "ohAyADIARzIQsgAkEAKAKcAWogCSAHIAggCXNxc2ogB0EGeCAHQQt4cyAHQRl4c2ohCiAGIApqIQYgCiAEIAwgC3FzaiADQQJ4IANBDXhzIANB",
  "FnhzaiECIBMgFP0NBAUGBwgJCgsMDQ4PEBESEyEVIBVBB/2tASAVQRn9qwH9USAVQRL9rQH9USAVQQ79qwH9USAVQQP9rQH9USAT/a4BIA0gDv",
  "0NBAUGBwgJCgsMDQ4PEBESE/2uASEVIA79DAAAAAAAAAAAAAAAAAAAAAD9DQgJCgsMDQ4PEBESExAREhMhDyAVIA9BEf2tASAPQQ/9qwH9USAP",
  "QRP9rQH9USAPQQ39qwH9USAPQQr9rQH9Uf2uASEVIBX9DAAAAAAAAAAAAAAAAAAAAAD9DRAREhMQERITAAECAwQFBgchDyAVIA9BEf2tASAPQQ",
  "/9qwH9USAPQRP9rQH9USAPQQ39qwH9USAPQQr9rQH9Uf2uASEPQQAgD/0Moei/oktmGqhwi0vCo1Fsx/2uAf0LBOABIAIgA3MhDCAJQQAoAqAB",
  "aiAIIAYgByAIc3FzaiAGQQZ4IAZBC3hzIAZBGXhzaiEKIAUgCmohBSAKIAMgCyAMcXNqIAJBAnggAkENeHMgAkEWeHNqIQkgCSACcyELIAhBAC",
  "gCpAFqIAcgBSAGIAdzcXNqIAVBBnggBUELeHMgBUEZeHNqIQogBCAKaiEEIAogAiAMIAtxc2ogCUECeCAJQQ14cyAJQRZ4c2ohCCAIIAlzIQwg",
  "B0EAKAKoAWogBiAEIAUgBnNxc2ogBEEGeCAEQQt4cyAEQRl4c2ohCiADIApqIQMgCiAJIAsgDHFzaiAIQQJ4IAhBDXhzIAhBFnhzaiEHIAcgCH",
  "MhCyAGQQAoAqwBaiAFIAMgBCAFc3FzaiADQQZ4IANBC3hzIANBGXhzaiEKIAIgCmohAiAKIAggDCALcXNqIAdBAnggB0ENeHMgB0EWeHNqIQYg",
  "FCAN/Q0EBQYHCAkKCwwNDg8QERITIRUgFUEH/a0BIBVBGf2rAf1RIBVBEv2tAf1RIBVBDv2rAf1RIBVBA/2tAf1RIBT9rgEgDiAP/Q0EBQYHCA",
  "kKCwwNDg8QERIT/a4BIRUgD/0MAAAAAAAAAAAAAAAAAAAAAP0NCAkKCwwNDg8QERITEBESEyEQIBUgEEER/a0BIBBBD/2rAf1RIBBBE/2tAf1R",
  "IBBBDf2rAf1RIBBBCv2tAf1R/a4BIRUgFf0MAAAAAAAAAAAAAAAAAAAAAP0NEBESExAREhMAAQIDBAUGByEQIBUgEEER/a0BIBBBD/2rAf1RIB",
  "BBE/2tAf1RIBBBDf2rAf1RIBBBCv2tAf1R/a4BIRBBACAQ/QwZ6JLRJAaZ1oU1DvRwoGoQ/a4B/QsE8AEgBiAHcyEMIAVBACgCsAFqIAQgAiAD",
  "IARzcXNqIAJBBnggAkELeHMgAkEZeHNqIQogCSAKaiEJIAogByALIAxxc2ogBkECeCAGQQ14cyAGQRZ4c2ohBSAFIAZzIQsgBEEAKAK0AWogAy",
  "AJIAIgA3Nxc2ogCUEGeCAJQQt4cyAJQRl4c2ohCiAIIApqIQggCiAGIAwgC3FzaiAFQQJ4IAVBDXhzIAVBFnhzaiEEIAQgBXMhDCADQQAoArgB",
  "aiACIAggCSACc3FzaiAIQQZ4IAhBC3hzIAhBGXhzaiEKIAcgCmohByAKIAUgCyAMcXNqIARBAnggBEENeHMgBEEWeHNqIQMgAyAEcyELIAJBAC",
  "gCvAFqIAkgByAIIAlzcXNqIAdBBnggB0ELeHMgB0EZeHNqIQogBiAKaiEGIAogBCAMIAtxc2ogA0ECeCADQQ14cyADQRZ4c2ohAiANIA79DQQF",
  "BgcICQoLDA0ODxAREhMhFSAVQQf9rQEgFUEZ/asB/VEgFUES/a0B/VEgFUEO/asB/VEgFUED/a0B/VEgDf2uASAPIBD9DQQFBgcICQoLDA0ODx",
  "AREhP9rgEhFSAQ/QwAAAAAAAAAAAAAAAAAAAAA/Q0ICQoLDA0ODxAREhMQERITIREgFSARQRH9rQEgEUEP/asB/VEgEUET/a0B/VEgEUEN/asB",
  "/VEgEUEK/a0B/VH9rgEhFSAV/QwAAAAAAAAAAAAAAAAAAAAA/Q0QERITEBESEwABAgMEBQYHIREgFSARQRH9rQEgEUEP/asB/VEgEUET/a0B/V",
  "EgEUEN/asB/VEgEUEK/a0B/VH9rgEhEUEAIBH9DBbBpBkIbDceTHdIJ7W8sDT9rgH9CwSAAiACIANzIQwgCUEAKALAAWogCCAGIAcgCHNxc2og",
  "BkEGeCAGQQt4cyAGQRl4c2ohCiAFIApqIQUgCiADIAsgDHFzaiACQQJ4IAJBDXhzIAJBFnhzaiEJIAkgAnMhCyAIQQAoAsQBaiAHIAUgBiAHc3",
  "FzaiAFQQZ4IAVBC3hzIAVBGXhzaiEKIAQgCmohBCAKIAIgDCALcXNqIAlBAnggCUENeHMgCUEWeHNqIQggCCAJcyEMIAdBACgCyAFqIAYgBCAF",
  "IAZzcXNqIARBBnggBEELeHMgBEEZeHNqIQogAyAKaiEDIAogCSALIAxxc2ogCEECeCAIQQ14cyAIQRZ4c2ohByAHIAhzIQsgBkEAKALMAWogBS",
  "ADIAQgBXNxc2ogA0EGeCADQQt4cyADQRl4c2ohCiACIApqIQIgCiAIIAwgC3FzaiAHQQJ4IAdBDXhzIAdBFnhzaiEGIA4gD/0NBAUGBwgJCgsM",
  "DQ4PEBESEyEVIBVBB/2tASAVQRn9qwH9USAVQRL9rQH9USAVQQ79qwH9USAVQQP9rQH9USAO/a4BIBAgEf0NBAUGBwgJCgsMDQ4PEBESE/2uAS",
  "EVIBH9DAAAAAAAAAAAAAAAAAAAAAD9DQgJCgsMDQ4PEBESExAREhMhEiAVIBJBEf2tASASQQ/9qwH9USASQRP9rQH9USASQQ39qwH9USASQQr9",
  "rQH9Uf2uASEVIBX9DAAAAAAAAAAAAAAAAAAAAAD9DRAREhMQERITAAECAwQFBgchEiAVIBJBEf2tASASQQ/9qwH9USASQRP9rQH9USASQQ39qw",
  "H9USASQQr9rQH9Uf2uASESQQAgEv0MswwcOUqq2E5Pypxb828uaP2uAf0LBJACIAYgB3MhDCAFQQAoAtABaiAEIAIgAyAEc3FzaiACQQZ4IAJB",
  "C3hzIAJBGXhzaiEKIAkgCmohCSAKIAcgCyAMcXNqIAZBAnggBkENeHMgBkEWeHNqIQUgBSAGcyELIARBACgC1AFqIAMgCSACIANzcXNqIAlBBn",
  "ggCUELeHMgCUEZeHNqIQogCCAKaiEIIAogBiAMIAtxc2ogBUECeCAFQQ14cyAFQRZ4c2ohBCAEIAVzIQwgA0EAKALYAWogAiAIIAkgAnNxc2og",
  "CEEGeCAIQQt4cyAIQRl4c2ohCiAHIApqIQcgCiAFIAsgDHFzaiAEQQJ4IARBDXhzIARBFnhzaiEDIAMgBHMhCyACQQAoAtwBaiAJIAcgCCAJc3",
  "FzaiAHQQZ4IAdBC3hzIAdBGXhzaiEKIAYgCmohBiAKIAQgDCALcXNqIANBAnggA0ENeHMgA0EWeHNqIQIgDyAQ/Q0EBQYHCAkKCwwNDg8QERIT",
  "IRUgFUEH/a0BIBVBGf2rAf1RIBVBEv2tAf1RIBVBDv2rAf1RIBVBA/2tAf1RIA/9rgEgESAS/Q0EBQYHCAkKCwwNDg8QERIT/a4BIRUgEv0MAA",
  "AAAAAAAAAAAAAAAAAAAP0NCAkKCwwNDg8QERITEBESEyETIBUgE0ER/a0BIBNBD/2rAf1RIBNBE/2tAf1RIBNBDf2rAf1RIBNBCv2tAf1R/a4B",
  "IRUgFf0MAAAAAAAAAAAAAAAAAAAAAP0NEBESExAREhMAAQIDBAUGByETIBUgE0ER/a0BIBNBD/2rAf1RIBNBE/2tAf1RIBNBDf2rAf1RIBNBCv",
  "2tAf1R/a4BIRNBACAT/Qzugo90b2OleBR4yIQIAseM/a4B/QsEoAIgAiADcyEMIAlBACgC4AFqIAggBiAHIAhzcXNqIAZBBnggBkELeHMgBkEZ",
  "eHNqIQogBSAKaiEFIAogAyALIAxxc2ogAkECeCACQQ14cyACQRZ4c2ohCSAJIAJzIQsgCEEAKALkAWogByAFIAYgB3Nxc2ogBUEGeCAFQQt4cy",
  "AFQRl4c2ohCiAEIApqIQQgCiACIAwgC3FzaiAJQQJ4IAlBDXhzIAlBFnhzaiEIIAggCXMhDCAHQQAoAugBaiAGIAQgBSAGc3FzaiAEQQZ4IARB",
  "C3hzIARBGXhzaiEKIAMgCmohAyAKIAkgCyAMcXNqIAhBAnggCEENeHMgCEEWeHNqIQcgByAIcyELIAZBACgC7AFqIAUgAyAEIAVzcXNqIANBBn",
  "ggA0ELeHMgA0EZeHNqIQogAiAKaiECIAogCCAMIAtxc2ogB0ECeCAHQQ14cyAHQRZ4c2ohBiAQIBH9DQQFBgcICQoLDA0ODxAREhMhFSAVQQf9",
  "rQEgFUEZ/asB/VEgFUES/a0B/VEgFUEO/asB/VEgFUED/a0B/VEgEP2uASASIBP9DQQFBgcICQoLDA0ODxAREhP9rgEhFSAT/QwAAAAAAAAAAA",
  "AAAAAAAAAA/Q0ICQoLDA0ODxAREhMQERITIRQgFSAUQRH9rQEgFEEP/asB/VEgFEET/a0B/VEgFEEN/asB/VEgFEEK/a0B/VH9rgEhFSAV/QwA",
  "AAAAAAAAAAAAAAAAAAAA/Q0QERITEBESEwABAgMEBQYHIRQgFSAUQRH9rQEgFEEP/asB/VEgFEET/a0B/VEgFEEN/asB/VEgFEEK/a0B/VH9rg",
  "EhFEEAIBT9DPr/vpDrbFCk96P5vvJ4ccb9rgH9CwSwAiAGIAdzIQwgBUEAKALwAWogBCACIAMgBHNxc2ogAkEGeCACQQt4cyACQRl4c2ohCiAJ",
  "IApqIQkgCiAHIAsgDHFzaiAGQQJ4IAZBDXhzIAZBFnhzaiEFIAUgBnMhCyAEQQAoAvQBaiADIAkgAiADc3FzaiAJQQZ4IAlBC3hzIAlBGXhzai",
  "EKIAggCmohCCAKIAYgDCALcXNqIAVBAnggBUENeHMgBUEWeHNqIQQgBCAFcyEMIANBACgC+AFqIAIgCCAJIAJzcXNqIAhBBnggCEELeHMgCEEZ",
  "eHNqIQogByAKaiEHIAogBSALIAxxc2ogBEECeCAEQQ14cyAEQRZ4c2ohAyADIARzIQsgAkEAKAL8AWogCSAHIAggCXNxc2ogB0EGeCAHQQt4cy",
  "AHQRl4c2ohCiAGIApqIQYgCiAEIAwgC3FzaiADQQJ4IANBDXhzIANBFnhzaiECIAIgA3MhDCAJQQAoAoACaiAIIAYgByAIc3FzaiAGQQZ4IAZB",
  "C3hzIAZBGXhzaiEKIAUgCmohBSAKIAMgCyAMcXNqIAJBAnggAkENeHMgAkEWeHNqIQkgCSACcyELIAhBACgChAJqIAcgBSAGIAdzcXNqIAVBBn",
  "ggBUELeHMgBUEZeHNqIQogBCAKaiEEIAogAiAMIAtxc2ogCUECeCAJQQ14cyAJQRZ4c2ohCCAIIAlzIQwgB0EAKAKIAmogBiAEIAUgBnNxc2og",
  "BEEGeCAEQQt4cyAEQRl4c2ohCiADIApqIQMgCiAJIAsgDHFzaiAIQQJ4IAhBDXhzIAhBFnhzaiEHIAcgCHMhCyAGQQAoAowCaiAFIAMgBCAFc3",
  "FzaiADQQZ4IANBC3hzIANBGXhzaiEKIAIgCmohAiAKIAggDCALcXNqIAdBAnggB0ENeHMgB0EWeHNqIQYgBiAHcyEMIAVBACgCkAJqIAQgAiAD",
  "IARzcXNqIAJBBnggAkELeHMgAkEZeHNqIQogCSAKaiEJIAogByALIAxxc2ogBkECeCAGQQ14cyAGQRZ4c2ohBSAFIAZzIQsgBEEAKAKUAmogAy",
  "AJIAIgA3Nxc2ogCUEGeCAJQQt4cyAJQRl4c2ohCiAIIApqIQggCiAGIAwgC3FzaiAFQQJ4IAVBDXhzIAVBFnhzaiEEIAQgBXMhDCADQQAoApgC",
  "aiACIAggCSACc3FzaiAIQQZ4IAhBC3hzIAhBGXhzaiEKIAcgCmohByAKIAUgCyAMcXNqIARBAnggBEENeHMgBEEWeHNqIQMgAyAEcyELIAJBAC",
  "gCnAJqIAkgByAIIAlzcXNqIAdBBnggB0ELeHMgB0EZeHNqIQogBiAKaiEGIAogBCAMIAtxc2ogA0ECeCADQQ14cyADQRZ4c2ohAiACIANzIQwg",
  "CUEAKAKgAmogCCAGIAcgCHNxc2ogBkEGeCAGQQt4cyAGQRl4c2ohCiAFIApqIQUgCiADIAsgDHFzaiACQQJ4IAJBDXhzIAJBFnhzaiEJIAkgAn",
  "MhCyAIQQAoAqQCaiAHIAUgBiAHc3FzaiAFQQZ4IAVBC3hzIAVBGXhzaiEKIAQgCmohBCAKIAIgDCALcXNqIAlBAnggCUENeHMgCUEWeHNqIQgg",
  "CCAJcyEMIAdBACgCqAJqIAYgBCAFIAZzcXNqIARBBnggBEELeHMgBEEZeHNqIQogAyAKaiEDIAogCSALIAxxc2ogCEECeCAIQQ14cyAIQRZ4c2",
  "ohByAHIAhzIQsgBkEAKAKsAmogBSADIAQgBXNxc2ogA0EGeCADQQt4cyADQRl4c2ohCiACIApqIQIgCiAIIAwgC3FzaiAHQQJ4IAdBDXhzIAdB",
  "FnhzaiEGIAYgB3MhDCAFQQAoArACaiAEIAIgAyAEc3FzaiACQQZ4IAJBC3hzIAJBGXhzaiEKIAkgCmohCSAKIAcgCyAMcXNqIAZBAnggBkENeH",
  "MgBkEWeHNqIQUgBSAGcyELIARBACgCtAJqIAMgCSACIANzcXNqIAlBBnggCUELeHMgCUEZeHNqIQogCCAKaiEIIAogBiAMIAtxc2ogBUECeCAF",
  "QQ14cyAFQRZ4c2ohBCAEIAVzIQwgA0EAKAK4AmogAiAIIAkgAnNxc2ogCEEGeCAIQQt4cyAIQRl4c2ohCiAHIApqIQcgCiAFIAsgDHFzaiAEQQ",
  "J4IARBDXhzIARBFnhzaiEDIAMgBHMhCyACQQAoArwCaiAJIAcgCCAJc3FzaiAHQQZ4IAdBC3hzIAdBGXhzaiEKIAYgCmohBiAKIAQgDCALcXNq",
  "IANBAnggA0ENeHMgA0EWeHNqIQJBAEEAKAIAIAJqNgIAQQBBACgCBCADajYCBEEAQQAoAgggBGo2AghBAEEAKAIMIAVqNgIMQQBBACgCECAGaj",
  "YCEEEAQQAoAhQgB2o2AhRBAEEAKAIYIAhqNgIYQQBBACgCHCAJajYCHCAAQcAAaiEAIAAgAUcNAAsL",
].join("");
return { HASH_WASM };
})();

modules["hash-worker-text.js"] = (function () {
//! The script of the worker that computes hashes, as a text.
//! Made by build/classic.js from hash-blocks.js and what it imports; change those, not this.

const HASH_WORKER = [
  "(function () {",
  "\"use strict\";",
  "const modules = {};",
  "modules[\"blob-reader.js\"] = (function () {",
  "class BlobReader {",
  "#blob;",
  "#reader = null;",
  "#next = 0;",
  "constructor(blob) {",
  "this.#blob = blob;",
  "try {",
  "this.#reader = blob.stream().getReader({ mode: \"byob\" });",
  "} catch {",
  "}",
  "}",
  "async read(place) {",
  "const { length } = place;",
  "const reader = this.#reader;",
  "if (!reader) {",
  "const slice = this.#blob.slice(this.#next, this.#next + length);",
  "this.#next += slice.size;",
  "return new Uint8Array(await slice.arrayBuffer());",
  "}",
  "let { buffer } = place;",
  "let filled = 0;",
  "while (filled < length) {",
  "const { value, done } = await reader.read(new Uint8Array(buffer, filled, length - filled));",
  "if (value) buffer = value.buffer;",
  "if (done) break;",
  "filled += value.length;",
  "}",
  "return new Uint8Array(buffer, 0, filled);",
  "}",
  "close() {",
  "this.#reader?.cancel().catch(() => {});",
  "}",
  "}",
  "return { BlobReader };",
  "})();",
  "modules[\"hash-plain.js\"] = (function () {",
  "const BLOCK_OCTETS = 64;",
  "const words = new Int32Array(80);",
  "const viewOf = (octets) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);",
  "function sha1(state, octets) {",
  "const view = viewOf(octets);",
  "for (let at = 0; at < octets.length; at += BLOCK_OCTETS) {",
  "for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);",
  "for (let i = 16; i < 80; i += 1) {",
  "const word = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16];",
  "words[i] = (word << 1) | (word >>> 31);",
  "}",
  "let a = state[0];",
  "let b = state[1];",
  "let c = state[2];",
  "let d = state[3];",
  "let e = state[4];",
  "let next;",
  "for (let i = 0; i < 20; i += 1) {",
  "next = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + e + 0x5a827999 + words[i]) | 0;",
  "e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;",
  "}",
  "for (let i = 20; i < 40; i += 1) {",
  "next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0x6ed9eba1 + words[i]) | 0;",
  "e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;",
  "}",
  "for (let i = 40; i < 60; i += 1) {",
  "next = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + e + 0x8f1bbcdc + words[i]) | 0;",
  "e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;",
  "}",
  "for (let i = 60; i < 80; i += 1) {",
  "next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0xca62c1d6 + words[i]) | 0;",
  "e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;",
  "}",
  "state[0] += a;",
  "state[1] += b;",
  "state[2] += c;",
  "state[3] += d;",
  "state[4] += e;",
  "}",
  "}",
  "const roots = (/** @type {number} */ count, /** @type {number} */ root) => {",
  "const primes = /** @type {number[]} */ ([]);",
  "for (let n = 2; primes.length < count; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n);",
  "return primes.map((prime) => ((prime ** (1 / root)) % 1) * 0x1_0000_0000 | 0);",
  "};",
  "const ROUNDS = Int32Array.from(roots(64, 3));",
  "function sha256(state, octets) {",
  "const view = viewOf(octets);",
  "for (let at = 0; at < octets.length; at += BLOCK_OCTETS) {",
  "for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);",
  "for (let i = 16; i < 64; i += 1) {",
  "const x = words[i - 15];",
  "const y = words[i - 2];",
  "const first = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);",
  "const second = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);",
  "words[i] = (words[i - 16] + first + words[i - 7] + second) | 0;",
  "}",
  "let a = state[0];",
  "let b = state[1];",
  "let c = state[2];",
  "let d = state[3];",
  "let e = state[4];",
  "let f = state[5];",
  "let g = state[6];",
  "let h = state[7];",
  "for (let i = 0; i < 64; i += 1) {",
  "const sigma = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));",
  "const one = (h + sigma + (g ^ (e & (f ^ g))) + ROUNDS[i] + words[i]) | 0;",
  "const other = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));",
  "h = g;",
  "g = f;",
  "f = e;",
  "e = (d + one) | 0;",
  "d = c;",
  "c = b;",
  "b = a;",
  "a = (one + other + ((b & c) | (d & (b | c)))) | 0;",
  "}",
  "state[0] += a;",
  "state[1] += b;",
  "state[2] += c;",
  "state[3] += d;",
  "state[4] += e;",
  "state[5] += f;",
  "state[6] += g;",
  "state[7] += h;",
  "}",
  "}",
  "const plain = { sha1, sha256 };",
  "return { BLOCK_OCTETS, plain };",
  "})();",
  "modules[\"hash-blocks.js\"] = (function () {",
  "const { BlobReader } = modules[\"blob-reader.js\"];",
  "const { BLOCK_OCTETS, plain } = modules[\"hash-plain.js\"];",
  "const LENGTH_AT = 56;",
  "const READ_OCTETS = 1024 * 1024;",
  "const STATE_AT = 0;",
  "const BLOCKS_AT = 1024;",
  "const BLOCKS_OCTETS_MAX = 256 * 1024;",
  "let compressions = plain;",
  "function compressBy(base64) {",
  "try {",
  "const module = new WebAssembly.Module(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));",
  "const exported = /** @type {any} */ (new WebAssembly.Instance(module).exports);",
  "const state = new Int32Array(exported.memory.buffer, STATE_AT, 8);",
  "const blocks = new Uint8Array(exported.memory.buffer, BLOCKS_AT, BLOCKS_OCTETS_MAX);",
  "const by = (compress) => (of, octets) => {",
  "state.set(of);",
  "for (let at = 0; at < octets.length; at += BLOCKS_OCTETS_MAX) {",
  "const part = octets.subarray(at, at + BLOCKS_OCTETS_MAX);",
  "blocks.set(part);",
  "compress(BLOCKS_AT, BLOCKS_AT + part.length);",
  "}",
  "of.set(state.subarray(0, of.length));",
  "};",
  "compressions = { sha1: by(exported.sha1), sha256: by(exported.sha256) };",
  "return true;",
  "} catch {",
  "return false;",
  "}",
  "}",
  "const KNOWN = {",
  "\"sha-1\": [\"sha1\", [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]],",
  "\"sha-256\": [\"sha256\", [",
  "0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,",
  "]],",
  "};",
  "class Hash {",
  "#algorithm;",
  "#state;",
  "#block = new Uint8Array(BLOCK_OCTETS);",
  "#used = 0;",
  "#length = 0;",
  "constructor(algorithm) {",
  "this.#algorithm = algorithm;",
  "this.#state = Int32Array.from(KNOWN[algorithm][1]);",
  "}",
  "save() {",
  "return {",
  "algorithm: this.#algorithm, state: this.#state, block: this.#block, used: this.#used, length: this.#length,",
  "};",
  "}",
  "restore({ state, block, used, length }) {",
  "this.#state = state;",
  "this.#block = block;",
  "this.#used = used;",
  "this.#length = length;",
  "}",
  "update(octets) {",
  "const compress = compressions[KNOWN[this.#algorithm][0]];",
  "this.#length += octets.length;",
  "let at = 0;",
  "if (this.#used > 0) {",
  "at = Math.min(BLOCK_OCTETS - this.#used, octets.length);",
  "this.#block.set(octets.subarray(0, at), this.#used);",
  "this.#used += at;",
  "if (this.#used < BLOCK_OCTETS) return;",
  "compress(this.#state, this.#block);",
  "}",
  "const end = octets.length - (octets.length - at) % BLOCK_OCTETS;",
  "if (end > at) compress(this.#state, octets.subarray(at, end));",
  "this.#block.set(octets.subarray(end));",
  "this.#used = octets.length - end;",
  "}",
  "digest() {",
  "const length = this.#length;",
  "const rest = (this.#used < LENGTH_AT ? 1 : 2) * BLOCK_OCTETS - this.#used;",
  "const end = new Uint8Array(rest);",
  "end[0] = 0x80;",
  "const view = new DataView(end.buffer);",
  "view.setUint32(rest - 8, Math.floor(length / 0x2000_0000));",
  "view.setUint32(rest - 4, (length << 3) >>> 0);",
  "this.update(end);",
  "return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, \"0\"))",
  ".join(\"\").toUpperCase().match(/../g)?.join(\":\") ?? \"\";",
  "}",
  "}",
  "async function absorb(hashes, source) {",
  "if (source instanceof Uint8Array) {",
  "for (const hash of hashes) hash.update(source);",
  "return;",
  "}",
  "const reader = new BlobReader(source);",
  "let place = new Uint8Array(READ_OCTETS);",
  "for (let octets = await reader.read(place); octets.length > 0; octets = await reader.read(place)) {",
  "for (const hash of hashes) hash.update(octets);",
  "place = new Uint8Array(octets.buffer);",
  "}",
  "}",
  "function serveHashes(scope) {",
  "const streams = new Map();",
  "scope.onmessage = async (/** @type {MessageEvent} */ { data }) => {",
  "if (data.wasm) {",
  "compressBy(data.wasm);",
  "return;",
  "}",
  "if (data.over) {",
  "streams.delete(data.over);",
  "return;",
  "}",
  "const { job, stream, source } = data;",
  "try {",
  "if (data.saved) streams.set(stream, data.saved.map(restored));",
  "const hashes = /** @type {Hash[]} */ (streams.get(stream));",
  "await absorb(hashes, source);",
  "const saved = hashes.map((hash) => hash.save());",
  "const spare = source instanceof Uint8Array ? source : new Uint8Array(0);",
  "scope.postMessage({ job, saved, source: spare }, [spare.buffer]);",
  "} catch (error) {",
  "scope.postMessage({ job, error: /** @type {Error} */ (error).message });",
  "}",
  "};",
  "scope.postMessage({ ready: true });",
  "}",
  "function restored(saved) {",
  "const hash = new Hash(saved.algorithm);",
  "hash.restore(saved);",
  "return hash;",
  "}",
  "return { compressBy, Hash, absorb, serveHashes };",
  "})();",
  "modules[\"hash-blocks.js\"].serveHashes(globalThis);",
  "})();",
].join("\n");
return { HASH_WORKER };
})();

modules["hash-worker.js"] = (function () {
const { environment } = modules["environment.js"];
const { startTimer, stopTimer } = modules["events.js"];
const { HASH_WORKER } = modules["hash-worker-text.js"];
//! A worker that goes on with hashes, away from the page's thread. It gets one job after the other without being waited
//! for, and keeps nothing when it has none, so that it can be ended then.


/** Milliseconds without a job after which the worker is ended. */
const IDLE_MS = 10_000;

/** @typedef {import("./hash-blocks.js").Hash} Hash */
/** @typedef {import("./hash-blocks.js").SavedHash} SavedHash */
/** What comes back: the octets too, to be filled anew. @typedef {{ saved: SavedHash[], source: Uint8Array }} Done */

/** The worker of a page, as long as there is something to do. */
class HashWorker {
  #wasm;
  /** Settles once it is there; null if the page's policy forbids it. @type {Promise<Worker | null> | null} */
  #worker = null;
  /** @type {Map<number, { resolve: (done: Done) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  /** Hashes that the worker goes on with: their number, and jobs of theirs that are not done.
   * @type {Map<Hash[], { stream: number, open: number }>} */
  #streams = new Map();
  /** Jobs and streams so far, and the jobs that are not done. */
  #jobs = 0;
  #streamsMade = 0;
  #open = 0;
  /** @type {any} */
  #idle;

  /** @param {string} wasm the module that computes, in Base64 */
  constructor(wasm) {
    this.#wasm = wasm;
  }

  /**
   * Goes on with hashes by what follows. More octets may be given before it is done.
   * @param {Hash[]} hashes the same list each time; they are up to date when all is done
   * @param {Uint8Array | Blob} source not to be used any more, unless there is no worker
   * @returns {Promise<Uint8Array | null>} what may be filled anew; null if there is no worker, and nothing was done. Rejects
   *   if it can't be read
   */
  async absorb(hashes, source) {
    stopTimer(this.#idle);
    this.#open += 1;
    try {
      const worker = await (this.#worker ??= this.#start());
      return worker ? await this.#job(worker, hashes, source) : null;
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#endSoon();
    }
  }

  /**
   * @param {Worker} worker
   * @param {Hash[]} hashes
   * @param {Uint8Array | Blob} source
   */
  async #job(worker, hashes, source) {
    /** @type {SavedHash[] | undefined} */
    let saved;
    let stream = this.#streams.get(hashes);
    if (!stream) {
      this.#streamsMade += 1;
      stream = { stream: this.#streamsMade, open: 0 };
      this.#streams.set(hashes, stream);
      saved = hashes.map((hash) => hash.save());
    }
    stream.open += 1;
    this.#jobs += 1;
    const job = this.#jobs;
    try {
      const done = await new Promise((resolve, reject) => {
        this.#waiting.set(job, { resolve, reject });
        const transferred = source instanceof Uint8Array ? [source.buffer] : [];
        worker.postMessage({ job, stream: stream.stream, saved, source }, transferred);
      });
      hashes.forEach((hash, at) => hash.restore(done.saved[at]));
      return done.source;
    } finally {
      stream.open -= 1;
      if (stream.open === 0) {
        this.#streams.delete(hashes);
        worker.postMessage({ over: stream.stream });
      }
    }
  }

  /** @returns {Promise<Worker | null>} */
  #start() {
    return new Promise((resolve) => {
      try {
        const worker = environment.openWorker(HASH_WORKER);
        worker.onmessage = ({ data }) => (data.ready ? resolve(worker) : this.#done(data));
        worker.onerror = (event) => {
          event.preventDefault();
          this.#worker = Promise.resolve(null);
          resolve(null);
          for (const { reject } of this.#waiting.values()) reject(new Error("the worker for hashes has failed"));
          this.#waiting.clear();
        };
        worker.postMessage({ wasm: this.#wasm });
      } catch {
        resolve(null);
      }
    });
  }

  /** @param {Done & { job: number, error?: string }} done */
  #done({ job, saved, source, error }) {
    const waiting = this.#waiting.get(job);
    this.#waiting.delete(job);
    if (error) waiting?.reject(new Error(error));
    else waiting?.resolve({ saved, source });
  }

  async #endSoon() {
    const worker = await this.#worker;
    if (!worker || this.#open > 0) return;
    this.#idle = startTimer(() => {
      this.#worker = null;
      worker.terminate();
    }, IDLE_MS);
  }
}
return { HashWorker };
})();

modules["hash.js"] = (function () {
const { absorb, compressBy, Hash } = modules["hash-blocks.js"];
const { HASH_WASM } = modules["hash-wasm.js"];
const { HashWorker } = modules["hash-worker.js"];
//! Which hashes a file has, and whether they are those that were announced. Large ones are computed in a worker, where the
//! page allows one; WebAssembly does it, where the page allows that. Not here: how they are computed (`hash-blocks.js`).


/** The hashes that are known, the one that is trusted most first. */
const KNOWN = /** @type {const} */ (["sha-256", "sha-1"]);
/** Octets of a Blob after which is asked whether anybody still wants to know. */
const SLICE_OCTETS = 64 * 1024 * 1024;
/** From so many octets on it is worth a worker. */
const LARGE_OCTETS = 4 * 1024 * 1024;
/** Octets that go to the worker at a time; so many of these may be on their way before more has to wait. */
const BATCH_OCTETS = 2 * 1024 * 1024;
const BATCHES_MAX = 2;

/** @typedef {{ algorithmName: string, value: string }} HashValue */

/** Where large files are hashed; made when a first file needs it. @type {HashWorker | null} */
let worker = null;

/** @returns {HashWorker} */
function theWorker() {
  if (!worker) compressBy(HASH_WASM);
  worker ??= new HashWorker(HASH_WASM);
  return worker;
}

/**
 * Goes on with hashes by what follows.
 * @param {Hash[]} hashes
 * @param {Uint8Array | Blob} source not to be used any more
 * @returns {Promise<Uint8Array>} what may be filled anew. Rejects if it can't be read
 */
async function absorbed(hashes, source) {
  const spare = await theWorker().absorb(hashes, source);
  if (spare) return spare;
  await absorb(hashes, source);
  return source instanceof Uint8Array ? source : new Uint8Array(0);
}

/** Checks octets against one hash that was announced. */
class HashCheck {
  /** One. @type {Hash[]} */
  #hashes;
  #announced;
  /** Octets gathered for the worker; null if they are not so many that it is worth it. @type {Uint8Array | null} */
  #batch = null;
  #gathered = 0;
  /** Batches that are on their way, the first one first. @type {Promise<void>[]} */
  #passed = [];
  /** Rejects once one of them has failed. @type {Promise<void>} */
  #work = Promise.resolve();
  /** Batches to be filled anew. @type {Uint8Array[]} */
  #spare = [];

  /**
   * @param {"sha-1" | "sha-256"} algorithm
   * @param {string} announced
   * @param {boolean} isLarge
   */
  constructor(algorithm, announced, isLarge) {
    theWorker();
    this.#hashes = [new Hash(algorithm)];
    this.#announced = announced.toUpperCase();
    if (isLarge) this.#batch = new Uint8Array(BATCH_OCTETS);
  }

  /**
   * @param {Uint8Array} octets that follow on those before
   * @returns {Promise<void> | null} when more is to be given; null: now
   */
  update(octets) {
    if (!this.#batch) {
      this.#hashes[0].update(octets);
      return null;
    }
    for (let at = 0; at < octets.length;) {
      const part = octets.subarray(at, at + BATCH_OCTETS - this.#gathered);
      this.#batch.set(part, this.#gathered);
      this.#gathered += part.length;
      at += part.length;
      if (this.#gathered === BATCH_OCTETS) this.#pass(this.#batch);
    }
    // The worker goes on with the others meanwhile.
    return this.#passed.at(-1 - BATCHES_MAX) ?? null;
  }

  /** @returns {boolean | Promise<boolean>} whether they have that hash; asked once, at the end. May reject */
  holds() {
    const isRight = () => this.#hashes[0].digest() === this.#announced;
    if (!this.#batch) return isRight();
    this.#pass(this.#batch.subarray(0, this.#gathered));
    return this.#work.then(isRight);
  }

  /** @param {Uint8Array} batch */
  #pass(batch) {
    this.#gathered = 0;
    this.#batch = this.#spare.pop() ?? new Uint8Array(BATCH_OCTETS);
    const before = this.#work;
    const absorbing = absorbed(this.#hashes, batch);
    this.#work = absorbing.then((spare) => {
      this.#passed.shift();
      if (spare.buffer.byteLength === BATCH_OCTETS) this.#spare.push(new Uint8Array(spare.buffer));
      return before;
    });
    this.#passed.push(this.#work);
    // Whoever waits is told; nobody may.
    this.#work.catch(() => {});
  }
}

/**
 * What checks octets against hashes that were announced; null if none of them is known.
 * @param {HashValue[]} announced
 * @param {number | null} size octets; null: nobody knows
 * @returns {HashCheck | null}
 */
function hashCheck(announced, size) {
  for (const name of KNOWN) {
    const value = announced.find(({ algorithmName }) => algorithmName.toLowerCase() === name)?.value;
    if (value !== undefined) return new HashCheck(name, value, (size ?? Infinity) >= LARGE_OCTETS);
  }
  return null;
}

/**
 * The hashes of a file: SHA-1, as RFC 5547 wants, and SHA-256.
 * @param {Blob} blob
 * @param {() => boolean} wanted whether anybody still wants to know
 * @returns {Promise<HashValue[]>} rejects if the file can't be read
 */
async function hashesOf(blob, wanted = () => true) {
  theWorker();
  const names = [...KNOWN].reverse();
  const hashes = names.map((algorithmName) => new Hash(algorithmName));
  if (blob.size < LARGE_OCTETS) await absorb(hashes, blob);
  for (let at = 0; blob.size >= LARGE_OCTETS && at < blob.size && wanted(); at += SLICE_OCTETS) {
    await absorbed(hashes, blob.slice(at, at + SLICE_OCTETS));
  }
  return names.map((algorithmName, at) => ({ algorithmName, value: hashes[at].digest() }));
}
return { HashCheck, hashCheck, hashesOf };
})();

modules["file-media.js"] = (function () {
const { turn } = modules["events.js"];
const { fileLines } = modules["file-sdp.js"];
const { FileSource } = modules["file-source.js"];
const { hashCheck } = modules["hash.js"];
const { randomWord } = modules["identifiers.js"];
const { MediaLink } = modules["media-link.js"];
const { writeSdp } = modules["sdp.js"];
//! One file on its way: from a Blob to MSRP, or from MSRP to the application, piece by piece.
//! Not here: signalling (`invitation.js`), the connection (`media-link.js`), chunks (`msrp/endpoint.js`).


/** Octets of the largest file taken whose size was not announced. */
const UNANNOUNCED_OCTETS_MAX = 16 * 1024 * 1024 * 1024;

/** @typedef {import("./file-sdp.js").FileDescription} FileDescription */

/**
 * What has come of a file, and what is needed to go on with the rest.
 * @typedef {object} Received
 * @property {number} octets from its start
 * @property {ReturnType<typeof hashCheck>} check of all of them; null if there is none
 * @property {WritableStreamDefaultWriter | null} writer where they went
 */

/** What is wrong with a file that came: a status, and why; null: nothing. @typedef {[number, string] | null} Wrong */

/**
 * @typedef {object} FileHooks
 * @property {(octets: number, total: number) => void} progress so many of the whole have arrived over there
 * @property {(from: number, content: Uint8Array, total: number) => void} data where it is in the whole
 * @property {() => void} success
 * @property {(status: number, reason: string) => void} failure
 */

/** One file, or the rest of one, in one direction. */
class FileMedia extends MediaLink {
  #hooks;
  #file;
  /** The whole of what is sent; null if this side receives. @type {Blob | null} */
  #blob;
  #asks;
  #chunks;
  #messageId = randomWord(24);
  #settled = false;
  /** The end has come in and is being judged, whatever becomes of the connection. */
  #isWhole = false;
  /** @type {FileSource | null} */
  #source = null;
  /** Octets of the file before what this transfer carries. */
  #offset;
  /** @type {Received} */
  #received;
  /** Octets at the start of it that the other side has. */
  #arrived;

  /**
   * @param {FileDescription} file
   * @param {Blob | null} blob
   * @param {{ chunkOctets: number, chunkOctetsMax: number, secure: boolean, asks: boolean, sink: WritableStream | null,
   *   received: Received | null }} choices `asks`: for a file of the other side's; `received`: of an earlier transfer
   * @param {FileHooks & import("./media-link.js").LinkHooks} hooks
   */
  constructor(file, blob, { chunkOctets, chunkOctetsMax, secure, asks, sink, received }, hooks) {
    super(secure, hooks);
    this.#file = file;
    this.#blob = blob;
    this.#asks = asks;
    this.#chunks = { chunkOctets, chunkOctetsMax };
    this.#hooks = hooks;
    this.#offset = (file.range?.start ?? 1) - 1;
    this.#arrived = this.#offset;
    const writer = sink?.getWriter() ?? received?.writer ?? null;
    // Of a part whose start nobody here has seen there is no hash.
    const check = this.#offset === 0 ? hashCheck(file.hashes, file.size) : null;
    this.#received = received ? { ...received, writer } : { octets: this.#offset, check, writer };
  }

  /** @override */
  sdp() {
    const sends = this.#blob !== null;
    return writeSdp({
      ...this.ownSide,
      acceptTypes: ["*"],
      acceptWrappedTypes: [],
      direction: sends ? "sendonly" : "recvonly",
      information: sends ? this.#file.description : "",
      attributes: fileLines(this.#file, sends, this.#asks),
    });
  }

  /**
   * @override
   * @param {import("./sdp.js").RemoteMedia} remote
   */
  wrongWith({ direction, file, maxSize }) {
    const ours = this.#file;
    const part = (/** @type {FileDescription} */ { range }) => (range ? `${range.start}-${range.stop ?? "*"}` : "");
    if (direction === (this.#blob ? "sendonly" : "recvonly")) return "both sides go the same way";
    if (this.#asks && !file) return "it names no file";
    if (file && file.id !== ours.id) return "it is for another file";
    // The answer repeats the range, or there is no transfer of a part: RFC 5547, 8.3.
    if ((file || ours.range) && part(file ?? { ...ours, range: null }) !== part(ours)) return "it is for another part";
    if (this.#blob && this.#part().size > maxSize) return "the file is larger than it takes";
    if (this.#asks && file) {
      const { size, hashes, name, type, disposition, description, dates } = file;
      Object.assign(ours, { size, hashes, disposition, description, dates });
      Object.assign(ours, { name: name || ours.name, type: type || ours.type });
      if (this.#received.octets === 0) this.#received.check = hashCheck(hashes, size);
    }
    return "";
  }

  /** @override @returns {ReturnType<MediaLink["endpoint"]>} */
  endpoint() {
    return [{
      acceptTypes: ["*"],
      octetsMax: this.#file.size ?? UNANNOUNCED_OCTETS_MAX,
      ...this.#chunks,
      bulk: true,
    }, {
      message: () => 415,
      piece: ({ from, octets, total, last }) => this.#receive(from, octets, total, last),
      aborted: () => this.#settle(487, "the sender gave up"),
      progress: (_, octets) => {
        this.#arrived = this.#offset + octets;
        this.#hooks.progress(this.#arrived, this.#blob?.size ?? 0);
      },
      sent: () => this.#settle(0, ""),
      failed: (_, status, reason) => this.#settle(status, reason),
    }];
  }

  /** @override */
  begun() {
    if (!this.#blob) return;
    this.#source = new FileSource(
      this.#part(),
      () => turn(() => this.connection()?.resume()),
      (reason) => turn(() => {
        this.abort();
        this.#settle(400, reason);
      }),
    );
    const contentType = this.#file.type || "application/octet-stream";
    this.connection()?.send({ messageId: this.#messageId, contentType, body: this.#source });
  }

  /**
   * Whether the far end still has the beginning of what it was being sent, nobody knows: the relay may have cut a chunk,
   * which gives up the message (RFC 4975, 7.1). What is missing is a matter for another transfer.
   * @override
   */
  interrupted() {
    if (this.#blob) this.#settle(481, "the connection was lost");
  }

  /** What is under way is not sent to its end; the other side is told. */
  abort() {
    if (this.#blob && !this.#settled) this.connection()?.abort(this.#messageId);
  }

  /**
   * @override
   * @param {number} status
   * @param {string} reason
   */
  finished(status, reason) {
    this.#source?.close();
    if (!this.#isWhole) this.#settle(status, reason);
  }

  /** @returns {number} octets of the file, from its start, that are over there as far as we know */
  arrived() {
    return this.#arrived;
  }

  /** @returns {number} octets of the file, from its start, that have come */
  come() {
    return this.#received.octets;
  }

  /** @returns {Received} what has come, for the transfer of the rest; this one takes nothing more */
  handOver() {
    this.#settled = true;
    return this.#received;
  }

  /** What is sent. RFC 5547, 6: Byte-Range counts from 1 in the part. */
  #part() {
    const blob = /** @type {Blob} */ (this.#blob);
    return this.#file.range ? blob.slice(this.#offset, this.#file.range.stop ?? blob.size) : blob;
  }

  /**
   * @param {number} start in what this transfer carries
   * @param {Uint8Array} piece
   * @param {number | null} total
   * @param {boolean} last
   * @returns {import("./msrp/endpoint.js").Taken | Promise<import("./msrp/endpoint.js").Taken>} a status to refuse it with; a
   *   promise: once it is taken
   */
  #receive(start, piece, total, last) {
    if (this.#blob || this.#settled) return 413;
    const { size, range } = this.#file;
    const stop = range?.stop ?? size;
    const received = this.#received;
    // An earlier transfer may have brought more than its sender knew.
    const octets = piece.subarray(Math.max(received.octets - this.#offset - start, 0));
    const from = received.octets;
    received.octets += octets.length;
    const hashed = received.check?.update(octets);
    const whole = size ?? this.#offset + (total ?? 0);
    const { writer } = received;
    if (octets.length > 0 && !writer) this.#hooks.data(from, octets, whole);
    const written = writer ? this.#written(writer, octets, whole) : null;
    this.#isWhole = last;
    const wrong = last ? this.#wrongAtTheEnd(stop, total) : null;
    if (hashed || written || wrong instanceof Promise) {
      return this.#taken([hashed, written], wrong, last ? writer : null).then(
        (found) => (last || found ? this.#ends(found) : undefined),
      );
    }
    return last ? this.#ends(wrong) : undefined;
  }

  /**
   * @param {WritableStreamDefaultWriter} writer
   * @param {Uint8Array} octets
   * @param {number} whole
   */
  async #written(writer, octets, whole) {
    if (octets.length > 0) await writer.write(octets);
    turn(() => this.#hooks.progress(this.#received.octets, whole));
  }

  /**
   * Waits until a piece is kept and counted in.
   * @param {(Promise<void> | null | undefined)[]} steps
   * @param {Wrong | Promise<Wrong>} judged
   * @param {WritableStreamDefaultWriter | null} writer to be closed if nothing is wrong
   * @returns {Promise<Wrong>}
   */
  async #taken(steps, judged, writer) {
    try {
      const [wrong] = await Promise.all([judged, ...steps]);
      if (!wrong) await writer?.close();
      return wrong;
    } catch (error) {
      return [413, `what has come can't be kept: ${/** @type {Error} */ (error)?.message ?? error}`];
    }
  }

  /**
   * @param {number | null} stop
   * @param {number | null} total
   * @returns {Wrong | Promise<Wrong>}
   */
  #wrongAtTheEnd(stop, total) {
    if (stop !== null && stop !== this.#offset + (total ?? 0)) {
      return [413, `${total} octets came of ${stop - this.#offset}`];
    }
    const { check, octets } = this.#received;
    const isWhole = this.#file.size === null || this.#file.size === octets;
    if (!check || !isWhole) return null;
    const holds = check.holds();
    return holds instanceof Promise ? holds.then((held) => this.#judged(held)) : this.#judged(holds);
  }

  /**
   * @param {boolean} holds whether the hash is right
   * @returns {Wrong}
   */
  #judged(holds) {
    if (holds) return null;
    // Going on from here can't mend it.
    this.#received = { octets: 0, check: null, writer: null };
    return [400, "the file's hash is not the one that was announced"];
  }

  /**
   * @param {Wrong} wrong
   * @returns {number | undefined}
   */
  #ends(wrong) {
    if (this.#settled) return wrong ? 413 : undefined;
    this.#settle(...(wrong ?? /** @type {[number, string]} */ ([0, ""])));
    return wrong?.[0];
  }

  /**
   * @param {number} status 0: all is there
   * @param {string} reason
   */
  #settle(status, reason) {
    if (this.#settled) return;
    this.#settled = true;
    if (status === 0) this.#hooks.success();
    else this.#hooks.failure(status, reason);
  }
}
return { FileMedia };
})();

modules["several-files.js"] = (function () {
const { CallState, isFinal } = modules["call-state.js"];
const { CALLSTATE } = modules["constants.js"];
const { fire, fireFirst } = modules["events.js"];
//! Several files that are offered or asked for at once: each goes in a transfer of its own, for devices take one in a session, and
//! one transfer, which the application holds, tells of all. Not here: one file (`file-transfer.js`).


/** @typedef {import("./file-transfer.js").FileTransfer} FileTransfer */
/** @typedef {import("./file-transfer.js").FileConfig} FileConfig */

/** How far a transfer can get before it is over. @type {string[]} */
const STEPS = [CALLSTATE.NONE, CALLSTATE.STARTED, CALLSTATE.RESPONDED, CALLSTATE.ESTABLISHED];

/** The transfers behind one. */
class SeveralFiles {
  #whole;
  #transfers;
  /** How each of them stands, as far as it was told. @type {Map<FileTransfer, CallState>} */
  #states = new Map();
  /** Those given up before they were offered: their state says nothing of that. @type {Set<FileTransfer>} */
  #givenUp = new Set();

  /**
   * @param {FileTransfer} whole tells of all; its state is the furthest that any of them has come to, until all are over: then it
   *   is ENDED, or FAILED if none was accepted
   * @param {FileTransfer[]} transfers one for each file, just started
   */
  constructor(whole, transfers) {
    this.#whole = whole;
    this.#transfers = transfers;
    for (const one of transfers) {
      this.#follow(one);
      this.#states.set(one, one.getState());
    }
    this.#stand();
  }

  /** @returns {FileConfig[]} */
  configs() {
    return this.#transfers.flatMap((one) => one.getFileConfigs());
  }

  /**
   * @param {string} fileTransferId
   * @returns {FileTransfer | null}
   */
  find(fileTransferId) {
    return this.#transfers.find((one) => one.getFileTransfer(fileTransferId)) ?? null;
  }

  /** @param {FileConfig[] | null} which null: all */
  abort(which) {
    for (const one of this.#transfers) if (one.hasAnyOf(which)) this.#giveUp(one, () => one.abort());
  }

  /** @param {Record<string, any> | null} [extHeaders] for the other side */
  end(extHeaders) {
    for (const one of this.#transfers) this.#giveUp(one, () => one.end(extHeaders));
  }

  /**
   * @param {FileTransfer} one
   * @param {() => void} ends
   */
  #giveUp(one, ends) {
    ends();
    this.#givenUp.add(one);
    this.#states.set(one, one.getState());
    this.#stand();
  }

  /** @param {FileTransfer} one */
  #follow(one) {
    const whole = this.#whole;
    one.onFileData = (data) => fire(whole, "onFileData", data);
    one.onProgress = (progress) => fire(whole, "onProgress", progress);
    one.onFileTransferSuccess = (id) => fire(whole, "onFileTransferSuccess", id);
    one.onFileTransferFailure = (...why) => {
      if (one.getState().state === CALLSTATE.NONE) this.#givenUp.add(one);
      fireFirst(whole, ["onFileTransferFailure", "onFiieTransferFailure"], ...why);
      this.#stand();
    };
    one.onConnectionStateChange = ({ state, ...about }) => whole.linkHooks(about).state(state);
    one.onStateChange = (state) => {
      if (!this.#givenUp.has(one)) this.#states.set(one, state);
      this.#stand();
    };
  }

  /** Says how all of them stand. */
  #stand() {
    const known = this.#whole.getState();
    if (isFinal(known.state)) return;
    const states = [...this.#states.values()];
    const isOver = (/** @type {FileTransfer} */ one) => isFinal(this.#states.get(one)?.state ?? "") || this.#givenUp.has(one);
    if (this.#transfers.every(isOver)) {
      const ended = states.find(({ state }) => state !== CALLSTATE.FAILED);
      const { code, reason } = (ended ?? states[0]).status;
      this.#whole.stands(new CallState(ended ? CALLSTATE.ENDED : CALLSTATE.FAILED, code, reason));
      return;
    }
    const furthest = states.reduce((most, one) =>
      (STEPS.indexOf(one.state) > STEPS.indexOf(most.state) ? one : most), known);
    if (furthest !== known) this.#whole.stands(furthest);
  }
}
return { SeveralFiles };
})();

modules["file-transfer.js"] = (function () {
const { isFinal } = modules["call-state.js"];
const { ACTION, CALLSTATE } = modules["constants.js"];
const { environment } = modules["environment.js"];
const { fire, fireFirst, later, startTimer, stopTimer, turn } = modules["events.js"];
const { iconOf, iconUrl } = modules["file-icon.js"];
const { FileMedia } = modules["file-media.js"];
const { hashesOf } = modules["hash.js"];
const { randomWord } = modules["identifiers.js"];
const { Invitation } = modules["invitation.js"];
const { readSdp } = modules["sdp.js"];
const { SeveralFiles } = modules["several-files.js"];
//! One file between two users, and what an application says and hears of it.
//! Not here: signalling (`invitation.js`), the octets (`file-media.js`), finding the transfer of a frame
//! (`file-transfer-package.js`).


/** Octets of a chunk if the application does not say; on a fast way, the most there may be. */
const CHUNK_OCTETS = 64 * 1024;
const CHUNK_OCTETS_MAX = 256 * 1024;
/** The rest of a file is asked for again for so long while the server has too much to do for anything new. */
const ASK_AGAIN_FOR_MS = 60_000;
/** Seconds until then if the server does not say; spread by chance over as long again. */
const ASK_AGAIN_S = 2;
/** Who answers so takes no icon along with an offer: media type not supported, or too large. */
const NO_ICON = [413, 415, 513];

/**
 * What is known of a file.
 * @typedef {object} FileProperty
 * @property {string} [name]
 * @property {number} [size] octets
 * @property {string} [type]
 * @property {{ algorithmName: string, value: string }[]} [hashes] of the whole file, `sha-1` and `sha-256`, upper-case
 *   pairs with colons. Computed if they are not given, for which the file is read once more; `[]`: none
 * @property {string} [disposition] `render` or `attachment`
 * @property {string} [dispositon] the same, as the patent prints it
 * @property {string} [description]
 * @property {string} [creationTime] such as `Wed, 01 May 2024 09:30:00 +0000`
 * @property {string} [modificationTime]
 * @property {string} [readTime]
 * @property {string | number} [startOffset] the first octet that is sent, counted from 1: a part of a file
 * @property {string | number} [stopOffset] the last one; `*` or nothing: to the end
 * @property {Blob | string} [icon] a small picture of it, PNG, JPEG, GIF or the like of at most 10 KiB, that goes along with the
 *   offer: a Blob or a `data:` URL. That of a file which is offered is a `data:` URL. Devices that want one say so by the service
 *   `File transfer thumbnail`
 * @property {string} [direction] `send`, or `receive`: who starts it wants the file
 * @property {string} [fileTransferId] made by the library
 */

/**
 * A file to be sent, or one that comes in (without `file`). `sink` is where a file that comes in is to be written, in
 * order, such as what `createWritable()` of a file in OPFS gives; it is closed when the file is there, and left open
 * after a failure, for the rest.
 * @typedef {{ file?: Blob | null, props?: FileProperty | null, fileTransferId?: string,
 *   sink?: WritableStream | null }} FileConfig
 */

/** Where octets are in a file: the first has number 1, `end` is the last one.
 * @typedef {{ start: number, end: number, total: number }} FileDataRange */
/** @typedef {{ fileTransferId: string, range: FileDataRange, content: Uint8Array }} FileData */
/** @typedef {{ fileTransferId: string, range: FileDataRange }} FileProgressData */
/** @typedef {import("./file-sdp.js").FileDescription} FileDescription */
/**
 * What a file is for beside one user: a group, or an image that is shared in a call.
 * @typedef {{ group?: import("./chat.js").GroupName, share?: "image" }} FilePurpose
 */

/** A transfer. Made by `FileTransferPackage.createFileTransfer`, or handed to `onFileTransfer`. */
class FileTransfer extends Invitation {
  #chunkOctets = { chunkOctets: CHUNK_OCTETS, chunkOctetsMax: CHUNK_OCTETS_MAX };
  /** @type {FileConfig | null} */
  #config = null;
  /** @type {FileDescription | null} */
  #file = null;
  /** Whether the other side wants a file of ours. */
  #isWanted = false;
  /** Whether the file is there. */
  #isDone = false;
  /** What goes along with the offer. @type {import("./file-icon.js").Icon | null} */
  #icon = null;
  /** The file's hashes are being computed, or its icon read; what waits for them. @type {object | null} */
  #hashing = null;
  /** Until when it is asked for again, and when next. */
  #askUntil = 0;
  /** @type {any} */
  #askTimer;
  /** What it is for beside one user. @type {FilePurpose} */
  #purpose = {};
  /** The transfers of its files, if there are several. @type {SeveralFiles | null} */
  #several = null;
  /** What an earlier transfer has brought. @type {import("./file-media.js").Received | null} */
  #received = null;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} callee who gets the file
   */
  constructor(session, callee) {
    super(session, callee, "file_transfer");
    /** Octets came. @type {((fileData: FileData) => void) | undefined} */
    this.onFileData = this.onFileData;
    /** So much is there. @type {((progress: FileProgressData) => void) | undefined} */
    this.onProgress = this.onProgress;
    /** The file is there. @type {((fileTransferId: string) => void) | undefined} */
    this.onFileTransferSuccess = this.onFileTransferSuccess;
    /** It is not, and will not be.
     * @type {((fileTransferId: string, status: number, reason: string) => void) | undefined} */
    this.onFileTransferFailure = this.onFileTransferFailure;
    /** The transfer that was cut off and whose rest this one brings; `onFileData` goes on where that one stopped. While a
     * server has too much to do for it (503), it is asked for again, up to a minute. @type {FileTransfer | null} */
    this.resumes = null;
  }

  /**
   * Offers a file, or asks for one: with `props.direction` `receive`, and its hashes or its name in `props`. Several go in a
   * transfer each, and this one tells of all: by `fileTransferId`, which the library puts into each configuration.
   * @override
   * @param {FileConfig | FileConfig[]} fileConfig
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  start(fileConfig, extHeaders) {
    const configs = listOf(fileConfig);
    if (this.#hashing || this.#several) throw new Error("wsc: it was started already");
    if (new Set(configs).size < configs.length) throw new Error("wsc: each file has a configuration of its own");
    if (configs.length === 0) throw new Error("wsc: there is no file");
    configs.forEach(checkConfig);
    const [config] = configs;
    if (configs.length > 1) {
      this.#startSeveral(configs, extHeaders);
      return;
    }
    const asks = config.props?.direction === "receive";
    // Who shares an image wants it shown.
    if (this.isImageShare()) config.props = { disposition: "render", ...config.props };
    const icon = asks ? null : iconOf(config.props?.icon);
    this.#describe(config, randomWord(32), { icon: icon ? `${randomWord(24)}@wsc.invalid` : "" });
    this.#read(config, icon, () => super.start(config, { ...extHeaders, ...this.#purpose }));
  }

  /**
   * Takes what is offered, or gives what is wanted.
   * @override
   * @param {FileConfig | FileConfig[] | null} [fileConfig] `sink`: where the file is to go, if not to `onFileData`;
   *   `file`: the one that is wanted. Of a list the one with its `fileTransferId`, else the first
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  accept(fileConfig, extHeaders) {
    const configs = listOf(fileConfig ?? []);
    const config = configs.find((one) => this.#isOf(one)) ?? configs[0] ?? {};
    if (!this.#isWanted) {
      super.accept(config, extHeaders);
      return;
    }
    if (!(config.file instanceof Blob)) throw new TypeError("wsc: a file is wanted: give a File or a Blob");
    const asked = /** @type {FileDescription} */ (this.#file);
    this.#describe(config, asked.id, { range: asked.range });
    this.#read(config, null, () => {
      const ours = this.#file?.hashes ?? [];
      const other = asked.hashes.some(({ algorithmName, value }) => ours.some((hash) =>
        hash.algorithmName === algorithmName.toLowerCase() && hash.value.toUpperCase() !== value.toUpperCase()));
      if (other) this.decline(488, "that is another file");
      else super.accept(config, extHeaders);
    });
  }

  /**
   * Gives up: what has not come through by now does not any more.
   * @param {FileConfig | FileConfig[] | null} [fileConfig] which of several files; without it all
   */
  abort(fileConfig) {
    const which = fileConfig ? listOf(fileConfig) : null;
    if (this.#several) {
      this.#several.abort(which);
      return;
    }
    if (!this.hasAnyOf(which)) return;
    const media = /** @type {FileMedia | null} */ (this.media());
    media?.abort();
    this.end();
  }

  /**
   * Ends it, or takes back the asking.
   * @override
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  end(extHeaders) {
    if (this.#several) {
      this.#several.end(extHeaders);
      return;
    }
    stopTimer(this.#askTimer);
    if (this.#hashing && this.getState().state === CALLSTATE.NONE) this.#unsent(487, "it was not offered yet");
    super.end(extHeaders);
  }

  /** @param {number} octets of each chunk, at most 256 KiB */
  setChunkSize(octets) {
    const chunkOctets = Math.min(Math.max(Math.trunc(octets), 1), CHUNK_OCTETS_MAX);
    this.#chunkOctets = { chunkOctets, chunkOctetsMax: chunkOctets };
  }

  /** @returns {FileConfig[]} the file, as far as it is known; each of several */
  getFileConfigs() {
    if (this.#several) return this.#several.configs();
    return this.#config ? [this.#config] : [];
  }

  /**
   * @param {string} fileTransferId
   * @returns {FileTransfer | null} the transfer of this file: of several one of its own, such as `resume` wants
   */
  getFileTransfer(fileTransferId) {
    if (this.#several) return this.#several.find(fileTransferId);
    return this.#file?.id === fileTransferId ? this : null;
  }

  /** @returns {boolean} whether it is an image that is shared in a call */
  isImageShare() {
    return this.#purpose.share === "image";
  }

  /** @returns {import("./chat.js").GroupName | null} the group it is for, or comes from */
  getGroup() {
    return this.#purpose.group ?? null;
  }

  // For package developers.

  /**
   * @param {FileConfig[] | null} configs null: of whatever
   * @returns {boolean} whether it is of any of these
   */
  hasAnyOf(configs) {
    return configs === null || configs.some((one) => this.#isOf(one));
  }

  /** @returns {FilePurpose} */
  purpose() {
    return this.#purpose;
  }

  /** @param {FilePurpose} purpose before it is started */
  isFor(purpose) {
    this.#purpose = purpose;
  }

  /**
   * @override
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    if (message.isRequest() && message.payload?.sdp && !this.media()) {
      const { group, share } = message.header;
      if (typeof group?.focus === "string") this.#purpose.group = group;
      if (share === "image") this.#purpose.share = share;
      const remote = readSdp(message.payload.sdp);
      if (typeof remote !== "string" && remote.file) {
        this.#isWanted = remote.direction === "recvonly";
        this.#file = remote.file;
        if (!this.#isWanted) remote.file.name ||= "file";
        const props = propertiesOf(remote.file, this.#isWanted ? "receive" : "send");
        if (remote.file.icon && !this.#isWanted) props.icon = iconUrl(message.payload.icon);
        this.#config = { file: null, props, fileTransferId: remote.file.id };
      }
    }
    if (!this.#asksAgain(message) && !this.#goesWithout(message)) super.onMessage(message);
  }

  /**
   * @override
   * @param {Record<string, any>} [payload]
   */
  ask(payload) {
    super.ask(this.#icon ? { ...payload, icon: this.#icon } : payload);
  }

  /**
   * @param {FileConfig[]} configs
   * @param {Record<string, any> | null} [extHeaders]
   */
  #startSeveral(configs, extHeaders) {
    const { session } = this.capabilityContext();
    const secure = this.wantsSecure();
    /** @type {FileTransfer[]} */
    const started = [];
    try {
      for (const config of configs) {
        const one = new FileTransfer(session, this.getTarget());
        one.packageType = this.packageType;
        one.isFor(this.#purpose);
        one.#chunkOctets = this.#chunkOctets;
        if (secure !== null) one.setSecure(secure);
        one.start(config, extHeaders);
        started.push(one);
      }
    } catch (error) {
      // All of them or none.
      for (const one of started) one.end();
      throw error;
    }
    this.#several = new SeveralFiles(this, started);
  }

  /** @param {FileConfig} config */
  #isOf(config) {
    const id = this.#file?.id;
    return config === this.#config || (id !== undefined && config?.fileTransferId === id);
  }

  /** @override */
  clear() {
    stopTimer(this.#askTimer);
    super.clear();
  }

  /**
   * What had begun goes on, even if the server turns away at the moment what is new to it.
   * @param {import("./message.js").Message} message
   * @returns {boolean} whether it was turned away, and is asked for again
   */
  #asksAgain(message) {
    const { action, error_code: code } = message.header;
    const turnedAway = action === ACTION.START && message.isError() && this.isOurs(message) && code === 503;
    this.#askUntil ||= environment.now() + ASK_AGAIN_FOR_MS;
    if (!turnedAway || !this.resumes || environment.now() > this.#askUntil) return false;
    const seconds = Number(message.header.retry_after) || ASK_AGAIN_S;
    this.#askTimer = startTimer(() => {
      if (!isFinal(this.getState().state)) this.ask();
    }, seconds * 1000 * (1 + environment.chance()));
    return true;
  }

  /**
   * Whoever can't take the icon along with the offer is offered the file without: RFC 3261, 21.4.13; RFC 5547, 8.8.
   * @param {import("./message.js").Message} message
   * @returns {boolean} whether it was refused for the icon, and is offered again
   */
  #goesWithout(message) {
    const { action, error_code: code = 0 } = message.header;
    const isRefused = action === ACTION.START && message.isError() && this.isOurs(message) && NO_ICON.includes(code);
    if (!this.#file || !this.#icon || !isRefused) return false;
    this.#icon = null;
    this.#file.icon = "";
    this.ask();
    return true;
  }

  /** @returns {boolean} whether a file is offered, and not wanted or something else */
  isOffered() {
    return this.#file !== null && !this.#isWanted;
  }

  /** @returns {boolean} whether a file of ours is wanted */
  isWanted() {
    return this.#isWanted;
  }

  /**
   * @param {FileTransfer} former
   * @returns {boolean} whether this one brings the rest of the file that was cut off in that one
   */
  isRestOf(former) {
    const [ours, theirs] = [this.#file, former.#file];
    const media = /** @type {FileMedia | null} */ (former.media());
    const from = (/** @type {FileTransfer} */ one) => one.capabilityContext().peer;
    if (!ours || !theirs || !media || former.#isDone || former.#config?.file || from(former) !== from(this)) return false;
    const same = ours.hashes.length > 0
      ? ours.hashes.some((hash) => theirs.hashes.some((other) => hash.algorithmName === other.algorithmName
        && hash.value.toUpperCase() === other.value.toUpperCase()))
      : ours.name === theirs.name && ours.size === theirs.size;
    return same && (ours.range?.start ?? 1) - 1 <= (former.#received?.octets ?? media.come());
  }

  /**
   * Goes on where a transfer was cut off, which takes nothing more.
   * @param {FileTransfer} former
   */
  takeOver(former) {
    const media = /** @type {FileMedia | null} */ (former.media());
    // Of one that was not accepted, what it had from another.
    const came = media?.handOver() ?? null;
    this.#received = former.#received ?? came;
    this.resumes = former;
    former.end();
  }

  /** @returns {FileConfig} what has not arrived of the file, to be transferred anew; throws if that makes no sense */
  rest() {
    const file = this.#file;
    const media = /** @type {FileMedia | null} */ (this.media());
    if (!file || this.#isDone) throw new Error("wsc: there is nothing to resume");
    const blob = this.#config?.file ?? null;
    const has = (blob ? media?.arrived() : this.#received?.octets ?? media?.come()) ?? 0;
    const startOffset = Math.max(Math.min(has, (blob?.size ?? file.size ?? Infinity) - 1), 0) + 1;
    const props = { ...propertiesOf(file, blob ? "send" : "receive"), startOffset, fileTransferId: undefined };
    if (this.#icon) props.icon = iconUrl(this.#icon);
    return { file: blob, props };
  }

  /**
   * @override
   * @param {FileConfig | null} config
   * @param {boolean} secure
   */
  createMedia(config, secure) {
    const file = this.#file ?? describe({}, null, randomWord(32), {});
    const blob = config?.file ?? null;
    const fileTransferId = file.id;
    const received = this.#received;
    this.#received = null;
    return new FileMedia(file, blob, {
      ...this.#chunkOctets,
      secure,
      asks: this.#config?.props?.direction === "receive" && !this.#isWanted,
      sink: config?.sink ?? null,
      received,
    }, {
      ...this.linkHooks({ fileTransferId }),
      progress: (octets, total) => {
        const range = { start: 1, end: octets, total };
        fire(this, "onProgress", { fileTransferId, range });
      },
      data: (from, content, total) => {
        const range = { start: from + 1, end: from + content.length, total };
        fire(this, "onFileData", { fileTransferId, range, content });
      },
      success: () => {
        this.#isDone = true;
        fire(this, "onFileTransferSuccess", fileTransferId);
        // Who has sent it ends it: RFC 5547, 8.4.
        if (blob) this.end();
      },
      failure: (status, reason) => {
        // Who was refused is told by which code.
        const { code } = this.getState().status;
        const refused = this.getState().state === CALLSTATE.FAILED ? code : undefined;
        const names = ["onFileTransferFailure", "onFiieTransferFailure"];
        fireFirst(this, names, fileTransferId, refused ?? status, reason);
        // What is being answered is answered first.
        later(() => this.end());
      },
    });
  }

  /**
   * @param {FileConfig} config gets what the library adds
   * @param {string} id
   * @param {Partial<Pick<FileDescription, "range" | "icon">>} more the part that is wanted, the name of its icon
   */
  #describe(config, id, more) {
    const file = describe(config, config.file ?? null, id, { ...more, range: more.range ?? rangeOf(config.props ?? {}) });
    this.#file = file;
    this.#config = config;
    config.fileTransferId = id;
    const icon = file.icon ? { icon: config.props?.icon } : {};
    config.props = { ...propertiesOf(file, config.props?.direction === "receive" ? "receive" : "send"), ...icon };
  }

  /**
   * Goes on once the file's hashes are known, and its icon has been read.
   * @param {FileConfig} config
   * @param {ReturnType<typeof iconOf>} icon
   * @param {() => void} next
   */
  #read(config, icon, next) {
    const file = /** @type {FileDescription} */ (this.#file);
    const isHashed = !config.file || (config.props?.hashes?.length ?? 0) > 0 || file.hashes === NONE;
    if (isHashed && !(icon instanceof Promise)) {
      this.#icon = icon;
      next();
      return;
    }
    const turnOf = {};
    this.#hashing = turnOf;
    const hashing = isHashed ? file.hashes : hashesOf(/** @type {Blob} */ (config.file), () => this.#hashing === turnOf);
    Promise.all([hashing, icon]).then(([hashes, read]) => turn(() => {
      if (this.#hashing !== turnOf) return;
      this.#icon = read;
      file.hashes = hashes;
      if (config.props) config.props.hashes = hashes;
      this.#hashing = null;
      next();
    }), (error) => turn(() => this.#unsent(400, `the file or its icon can't be read: ${error?.message ?? error}`)));
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #unsent(status, reason) {
    if (!this.#hashing) return;
    this.#hashing = null;
    fireFirst(this, ["onFileTransferFailure", "onFiieTransferFailure"], this.#file?.id, status, reason);
  }
}

/** No hashes, by the application's wish. @type {never[]} */
const NONE = [];

/**
 * @template T
 * @param {T | T[]} given
 * @returns {T[]}
 */
function listOf(given) {
  return Array.isArray(given) ? given : [given];
}

/** @param {FileConfig} config of what is to be started; throws if it can't be */
function checkConfig(config) {
  const asks = config?.props?.direction === "receive";
  if (!asks && !(config?.file instanceof Blob)) throw new TypeError("wsc: a transfer needs a File or a Blob");
  if (asks && !config.props?.name && !config.props?.hashes?.length) {
    throw new Error("wsc: a file is asked for by its hashes or its name");
  }
}

/**
 * @param {FileProperty} props
 * @returns {import("./file-sdp.js").FileRange | null}
 */
function rangeOf({ startOffset, stopOffset }) {
  const start = Number(startOffset ?? 1);
  const stop = stopOffset === undefined || stopOffset === "*" ? null : Number(stopOffset);
  if (!(start >= 1) || (stop !== null && !(stop >= start))) throw new RangeError("wsc: no part of a file");
  return start === 1 && stop === null ? null : { start, stop };
}

/**
 * @param {FileConfig} config
 * @param {Blob | null} blob
 * @param {string} id
 * @param {Partial<Pick<FileDescription, "range" | "icon">>} more
 * @returns {FileDescription}
 */
function describe({ props }, blob, id, { range = null, icon = "" }) {
  const { name, lastModified } = /** @type {Partial<File>} */ (blob ?? {});
  const modified = lastModified === undefined ? undefined : new Date(lastModified).toUTCString();
  return {
    id,
    name: props?.name ?? name ?? (blob ? "file" : ""),
    type: props?.type ?? blob?.type ?? "",
    size: blob?.size ?? props?.size ?? null,
    hashes: blob && props?.hashes?.length === 0 ? NONE : props?.hashes ?? [],
    disposition: (props?.disposition ?? props?.dispositon) === "attachment" ? "attachment" : "render",
    description: (props?.description ?? "").replace(/[\r\n]+/g, " "),
    dates: {
      creation: props?.creationTime,
      modification: props?.modificationTime ?? modified?.replace("GMT", "+0000"),
      read: props?.readTime,
    },
    range: range && blob ? { start: range.start, stop: range.stop ?? blob.size } : range,
    icon,
  };
}

/**
 * @param {FileDescription} file
 * @param {string} direction
 * @returns {FileProperty}
 */
function propertiesOf(file, direction) {
  const { id, name, type, hashes, disposition, description, dates, range } = file;
  return {
    name,
    type,
    size: file.size ?? undefined,
    hashes,
    disposition,
    description,
    creationTime: dates.creation,
    modificationTime: dates.modification,
    readTime: dates.read,
    ...(range && { startOffset: String(range.start), stopOffset: String(range.stop ?? "*") }),
    direction,
    fileTransferId: id,
  };
}
return { FileTransfer };
})();

modules["file-transfer-package.js"] = (function () {
const { FACTORY } = modules["constants.js"];
const { ERRORCODE } = modules["errors.js"];
const { fire } = modules["events.js"];
const { FileTransfer } = modules["file-transfer.js"];
const { InvitationPackage } = modules["invitation-package.js"];
const { log } = modules["log.js"];
//! The package of file transfers.


/** Files that came in, whole or cut off, of which the rest may still come. */
const RESUMABLE_MAX = 32;

/**
 * All transfers of a session.
 * @extends {InvitationPackage<FileTransfer>}
 */
class FileTransferPackage extends InvitationPackage {
  /** What came in, oldest first. @type {FileTransfer[]} */
  #incoming = [];

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "file_transfer") {
    super(session, packageType, ["File transfer", "File transfer thumbnail"]);
    /**
     * Somebody offers a file: accept or decline it, now or later.
     * @type {((fileTransfer: FileTransfer, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onFileTransfer = this.onFileTransfer;
    /**
     * Somebody wants a file of ours; which one, `props` of its configuration say. Accept with `{ file }`, or decline.
     * @type {((fileTransfer: FileTransfer, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onFileRequest = this.onFileRequest;
    /** Octets of the largest file that is taken; larger ones are declined with 403, `133 Size exceeded`. */
    this.maxFileSize = Infinity;
  }

  /**
   * @param {string} target who gets a file, such as `bob@example.com`
   * @returns {FileTransfer} not started yet
   */
  createFileTransfer(target) {
    return this.make(target);
  }

  /**
   * An image for whom the user has a call with.
   * @param {string} target
   * @returns {FileTransfer} not started yet
   */
  createImageShare(target) {
    const transfer = this.make(target);
    transfer.isFor({ share: "image" });
    return transfer;
  }

  /**
   * A file for all of a group.
   * @param {import("./chat.js").GroupName} group what `getGroup` of its chat gives
   * @returns {FileTransfer} not started yet
   */
  createGroupFileTransfer(group) {
    const transfer = this.make(FACTORY);
    transfer.isFor({ group });
    return transfer;
  }

  /**
   * Transfers what has not arrived of a file whose transfer was cut off: offers the rest of one that went out, asks for
   * the rest of one that came in. Its hash is that of the whole file.
   * @param {FileTransfer} former
   * @param {Record<string, any> | null} [extHeaders] for the other side
   * @returns {FileTransfer} a new one, with an id of its own, that is started; callbacks may be set now
   */
  resume(former, extHeaders) {
    const rest = former.rest();
    const { peer } = former.capabilityContext();
    const next = this.make(peer);
    next.isFor(former.purpose());
    if (rest.file) {
      next.resumes = former;
      former.end();
    } else {
      this.#takeOver(next, former);
    }
    next.start(rest, extHeaders);
    return next;
  }

  /**
   * @param {FileTransfer} next
   * @param {FileTransfer} former
   */
  #takeOver(next, former) {
    next.takeOver(former);
    this.#incoming = [...this.#incoming.filter((one) => one !== former), next].slice(-RESUMABLE_MAX);
  }

  /**
   * Makes a transfer; overridable to make an extended one.
   * @param {import("./client.js").Session} session
   * @param {string} callee
   * @returns {FileTransfer}
   */
  prepareFileTransfer(session, callee) {
    return new FileTransfer(session, callee);
  }

  /** @returns {FileTransfer[]} the transfers that are not over */
  getFileTransfers() {
    return this.all();
  }

  /**
   * @override
   * @param {import("./client.js").Session} session
   * @param {string} callee
   */
  prepare(session, callee) {
    return this.prepareFileTransfer(session, callee);
  }

  /**
   * @override
   * @param {FileTransfer} transfer
   * @param {Record<string, any>} extHeaders
   */
  arrived(transfer, extHeaders) {
    if (transfer.isWanted() && typeof this.onFileRequest === "function") {
      fire(this, "onFileRequest", transfer, extHeaders);
      return;
    }
    const [config] = transfer.getFileConfigs();
    if (!transfer.isOffered()) {
      transfer.decline(488, "no file is offered");
    } else if ((config?.props?.size ?? 0) > this.maxFileSize) {
      transfer.decline(403, "Forbidden", { warning: '399 browser "133 Size exceeded"' });
    } else if (typeof this.onFileTransfer === "function") {
      const former = Number(config?.props?.startOffset ?? 1) > 1
        ? this.#incoming.find((one) => transfer.isRestOf(one)) : undefined;
      if (former) this.#takeOver(transfer, former);
      else this.#incoming = [...this.#incoming, transfer].slice(-RESUMABLE_MAX);
      fire(this, "onFileTransfer", transfer, extHeaders);
    } else {
      log("warn", "a file came in and nobody has set onFileTransfer");
      transfer.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
    }
  }
}
return { FileTransferPackage };
})();

modules["direct-package.js"] = (function () {
const { CallConfig } = modules["call-config.js"];
const { ChatPackage } = modules["chat-package.js"];
const { CALLSTATE, MEDIADIRECTION } = modules["constants.js"];
const { DirectSession, FRAMES } = modules["direct-session.js"];
const { environment } = modules["environment.js"];
const { startTimer, stopTimer } = modules["events.js"];
const { FileTransferPackage } = modules["file-transfer-package.js"];
const { log } = modules["log.js"];
//! Chats and files from browser to browser, without the relay, where the other side is a browser that can; else as usual.


/** What such a call is for, as its description says. */
const PURPOSE = "direct";
/** What users say who can do it. */
const SERVICE = "Data channel";
/** How long the other side may take, in milliseconds; after that it is done as usual. */
const OPEN_MS_MAX = 8000;

/** @typedef {{ session: DirectSession, chats: ChatPackage, files: FileTransferPackage }} Way */

/** Chooses the way of each chat and file. */
class DirectPackage {
  #session;
  #calls;
  #chats;
  #files;
  #exchange;
  /** Ways there are, or that are being opened, by who is at their end. @type {Map<string, Promise<Way | null>>} */
  #ways = new Map();

  /**
   * @param {import("./client.js").Session} session
   * @param {object} packages of the same session
   * @param {import("./call-package.js").CallPackage} packages.calls
   * @param {ChatPackage} packages.chats its `onIncomingChat` hears of chats that come directly, too
   * @param {FileTransferPackage} packages.files its `onFileTransfer` hears of files that come directly, too
   * @param {import("./capability.js").CapabilityExchange} packages.exchange asks who can do it
   */
  constructor(session, { calls, chats, files, exchange }) {
    this.#session = session;
    this.#calls = calls;
    this.#chats = chats;
    this.#files = files;
    this.#exchange = exchange;
    if (environment.hasPeers()) calls.setTaker(PURPOSE, (call) => this.#taken(call));
  }

  /**
   * @param {string} target with whom
   * @returns {Promise<import("./chat.js").Chat>} not started yet
   */
  async createChat(target) {
    const way = await this.#to(target);
    return (way?.chats ?? this.#chats).createChat(target);
  }

  /**
   * @param {string} target who gets a file
   * @returns {Promise<import("./file-transfer.js").FileTransfer>} not started yet
   */
  async createFileTransfer(target) {
    const way = await this.#to(target);
    return (way?.files ?? this.#files).createFileTransfer(target);
  }

  /**
   * @param {string} target
   * @returns {Promise<boolean>} whether there is a direct way to them now
   */
  async isDirect(target) {
    return (await this.#ways.get(this.#name(target)) ?? null) !== null;
  }

  /**
   * @param {string} target
   * @returns {Promise<Way | null>} null: there is none
   */
  #to(target) {
    const name = this.#name(target);
    const known = this.#ways.get(name);
    if (known) return known;
    const opened = this.#open(name).catch((error) => {
      log("info", "there is no direct way", error);
      return null;
    });
    this.#ways.set(name, opened);
    opened.then((way) => {
      if (!way) this.#ways.delete(name);
    });
    return opened;
  }

  /**
   * @param {string} name
   * @returns {Promise<Way | null>}
   */
  async #open(name) {
    if (!environment.hasPeers()) return null;
    const { targetCapability = "" } = await this.#exchange.enquiry(undefined, name);
    if (!targetCapability.split(",").some((service) => service.trim() === SERVICE)) return null;
    const { NONE } = MEDIADIRECTION;
    const call = this.#calls.createCall(name, new CallConfig(NONE, NONE, [{ label: FRAMES, reliable: true }]));
    call.purpose = PURPOSE;
    return new Promise((resolve) => {
      const timer = startTimer(() => {
        call.end();
        resolve(null);
      }, OPEN_MS_MAX);
      const settle = (/** @type {Way | null} */ way) => {
        stopTimer(timer);
        resolve(way);
      };
      this.#follow(call, name, true, settle);
      call.start();
    });
  }

  /** @param {import("./call.js").Call} call that came in */
  #taken(call) {
    const name = this.#name(call.getCaller());
    const way = new Promise((resolve) => { this.#follow(call, name, false, resolve); });
    // Where both have called, each uses its own.
    if (!this.#ways.has(name)) this.#ways.set(name, way);
    call.accept(new CallConfig(MEDIADIRECTION.NONE, MEDIADIRECTION.NONE));
  }

  /**
   * @param {import("./call.js").Call} call
   * @param {string} name
   * @param {boolean} calls whether this side has called
   * @param {(way: Way | null) => void} settle called when it is open, or will not be
   */
  #follow(call, name, calls, settle) {
    const session = new DirectSession(call, this.#session.getUserName(), name, calls);
    const way = this.#inside(session);
    call.onDataTransfer = (transfer) => {
      session.channel(transfer);
      if (transfer.label !== FRAMES) return;
      const opened = transfer.onOpen;
      transfer.onOpen = () => {
        opened?.();
        settle(way);
      };
    };
    call.onCallStateChange = ({ state }) => {
      if (state !== CALLSTATE.FAILED && state !== CALLSTATE.ENDED) return;
      settle(null);
      this.#ways.delete(name);
      session.clear();
    };
    // No way through any more: the next chat asks anew.
    call.errorCallback = () => call.end();
  }

  /**
   * @param {DirectSession} direct
   * @returns {Way}
   */
  #inside(direct) {
    const session = /** @type {any} */ (direct);
    const chats = new ChatPackage(session);
    const files = new FileTransferPackage(session);
    chats.onIncomingChat = (chat, extHeaders) => this.#chats.arrived(chat, extHeaders);
    files.onFileTransfer = (transfer, extHeaders) => this.#files.arrived(transfer, extHeaders);
    return { session: direct, chats, files };
  }

  /**
   * @param {string} target
   * @returns {string} with our own domain, if it has none
   */
  #name(target) {
    const plain = target.trim().replace(/^sips?:/i, "");
    const domain = this.#session.getUserName().split("@")[1];
    return plain.includes("@") || plain.startsWith("tel:") || !domain ? plain : `${plain}@${domain}`;
  }
}
return { DirectPackage };
})();

modules["message-alert.js"] = (function () {
const { ACTION, MESSAGESTATE, MESSAGETYPE } = modules["constants.js"];
const { ErrorInfo } = modules["errors.js"];
const { fire } = modules["events.js"];
const { Message } = modules["message.js"];
//! Notices of waiting messages, such as a mailbox's: package `message_notification`.


/** @typedef {Record<string, any> | null | undefined} Headers */

/**
 * What who subscribes is told.
 * @typedef {object} SubscriptionCallbacks
 * @property {((target: string) => void) | null} [onSuccess]
 * @property {((error: ErrorInfo) => void) | null} [onError]
 * @property {((notification: Notification) => void) | null} [onNotification]
 * @property {(() => void) | null} [onEnd]
 */

/** How many messages of a class there are. */
class MessageCounts {
  #counts;

  /** @param {string} [text] `2/8 (0/2)`, RFC 3842: new/old (urgent new/urgent old) */
  constructor(text = "") {
    const counts = /^(\d+)\/(\d+)(?:\s*\((\d+)\/(\d+)\))?/.exec(text.trim()) ?? [];
    this.#counts = [1, 2, 3, 4].map((at) => Number(counts[at] ?? 0));
  }

  /** @returns {number} */
  getNew() {
    return this.#counts[0];
  }

  /** @returns {number} */
  getOld() {
    return this.#counts[1];
  }

  /** @returns {number} */
  getUrgentNew() {
    return this.#counts[2];
  }

  /** @returns {number} */
  getUrgentOld() {
    return this.#counts[3];
  }
}

/** Something that was told in a subscription. */
class Notification {
  #sender;
  #receiver;
  #content;

  /**
   * @param {string} [sender]
   * @param {string} [receiver]
   * @param {any} [content] the frame's payload
   */
  constructor(sender = "", receiver = "", content = null) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#content = content;
  }

  /** @returns {string} */
  getSender() {
    return this.#sender;
  }

  /** @returns {string} */
  getReceiver() {
    return this.#receiver;
  }

  /** @returns {any} the frame's payload */
  getContent() {
    return this.#content;
  }
}

/** How many messages wait. */
class MessageSummary extends Notification {
  /** @returns {string | undefined} address of the mailbox */
  getMessageAccount() {
    return this.getContent()?.message_account;
  }

  /** @returns {boolean} */
  isMessageWaiting() {
    return String(this.getContent()?.messages_waiting).toLowerCase() === "yes";
  }

  /**
   * @param {string} classType such as `voice_message`
   * @returns {MessageCounts | null} null if nothing was said of it
   */
  getMessageCounts(classType) {
    const text = this.getContent()?.[classType.toLowerCase().replace(/-/g, "_")];
    return typeof text === "string" ? new MessageCounts(text) : null;
  }
}

/** A subscription to somebody's notices. */
class Subscription {
  #session;
  #callbacks;
  #notifier;
  #subscriber;
  #packageType;
  #valid = false;
  #over = false;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} notifier whose notices
   * @param {string} subscriber who gets them
   * @param {SubscriptionCallbacks} callbacks
   * @param {string} [packageType]
   */
  constructor(session, notifier, subscriber, callbacks, packageType = "message_notification") {
    this.#session = session;
    this.#notifier = notifier;
    this.#subscriber = subscriber;
    this.#callbacks = callbacks;
    this.#packageType = packageType;
    /** Id of the subsession. */
    this.subSessionId = session.generateSubSessionId();
  }

  /** @param {Headers} [extHeaders] for the other side */
  start(extHeaders) {
    const request = this.#frame(MESSAGETYPE.REQUEST, ACTION.START);
    request.control.message_state = MESSAGESTATE.INITIAL;
    request.addExtHeaders(extHeaders);
    this.#session.putSubSession(this.#packageType, this.subSessionId, this);
    this.#session.sendMessage(request);
  }

  /** @param {Headers} [extHeaders] for the other side */
  end(extHeaders) {
    if (this.#over) return;
    const message = this.#frame(MESSAGETYPE.MESSAGE, ACTION.SHUTDOWN);
    message.addExtHeaders(extHeaders);
    this.#session.sendMessage(message);
    this.#finish();
  }

  /** @returns {boolean} whether notices come */
  isValid() {
    return this.#valid && !this.#over;
  }

  /** @returns {string} */
  getNotifier() {
    return this.#notifier;
  }

  /** @returns {string} */
  getSubscriber() {
    return this.#subscriber;
  }

  /**
   * Takes a frame of this subsession.
   * @param {Message} message
   */
  onMessage(message) {
    const { action, initiator, target, error_code: code = 0, reason } = message.header;
    if (action === ACTION.START && message.isError()) {
      this.#finish();
      fire(this.#callbacks, "onError", new ErrorInfo(code, reason));
    } else if (action === ACTION.START && message.isResponse()) {
      if (message.control.message_state === MESSAGESTATE.SUBSEQUENT) return;
      this.#valid = true;
      fire(this.#callbacks, "onSuccess", this.#notifier);
    } else if (action === ACTION.NOTIFY) {
      const Kind = message.payload?.messages_waiting === undefined ? Notification : MessageSummary;
      fire(this.#callbacks, "onNotification", new Kind(initiator, target, message.payload));
    } else if (action === ACTION.SHUTDOWN) {
      this.#finish();
      fire(this.#callbacks, "onEnd");
    }
  }

  /** The session is over. */
  clear() {
    this.#finish();
  }

  #finish() {
    this.#over = true;
    this.#session.removeSubSession(this.subSessionId);
  }

  /**
   * @param {string} type
   * @param {string} action
   */
  #frame(type, action) {
    return new Message({
      control: { type, package_type: this.#packageType, subsession_id: this.subSessionId },
      header: { action, initiator: this.#subscriber, target: this.#notifier },
    });
  }
}

/** The package of subscriptions. */
class MessageAlertPackage {
  #session;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "message_notification") {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    session.registerPackage(this);
  }

  /**
   * Makes and starts a subscription.
   * @param {string} target whose notices
   * @param {string} subscriber who gets them, the user if left out
   * @param {SubscriptionCallbacks["onSuccess"]} [onSuccess]
   * @param {SubscriptionCallbacks["onError"]} [onError]
   * @param {SubscriptionCallbacks["onNotification"]} [onNotification]
   * @param {SubscriptionCallbacks["onEnd"]} [onEnd]
   * @param {Headers} [extHeaders]
   * @returns {Subscription}
   */
  createNewSubscription(target, subscriber, onSuccess, onError, onNotification, onEnd, extHeaders) {
    const callbacks = { onSuccess, onError, onNotification, onEnd };
    const who = subscriber || this.#session.getUserName();
    const subscription = new Subscription(this.#session, target, who, callbacks, this.packageType);
    subscription.start(extHeaders);
    return subscription;
  }

  /** @returns {Subscription[]} those that are not over */
  getSubscriptions() {
    return /** @type {any[]} */ (this.#session.getSubSessionsByPackageType(this.packageType).values());
  }

  /**
   * Takes a frame of the package.
   * @param {Message} message
   */
  onMessage(message) {
    const known = this.#session.getSubSession(message.control.subsession_id ?? "");
    if (known) known.onMessage(message);
    else if (message.isRequest()) this.#session.sendError(message, 481, "no such subsession");
  }

  /** The session is over. */
  clear() {
    for (const subscription of this.getSubscriptions()) subscription.clear();
  }
}
return { MessageCounts, Notification, MessageSummary, Subscription, MessageAlertPackage };
})();

modules["large-message.js"] = (function () {
const { CPIM_TYPE, unwrapCpim, wrapCpim } = modules["cpim.js"];
const { CALLSTATE } = modules["constants.js"];
const { IMDN_TYPE, readImdn } = modules["imdn.js"];
const { Invitation } = modules["invitation.js"];
const { MediaLink } = modules["media-link.js"];
const { admits, bareType, decodeText } = modules["media-types.js"];
const { partyUri } = modules["party.js"];
const { writeSdp } = modules["sdp.js"];
//! A text that is too long for a MESSAGE: a session of its own, which brings it over MSRP and ends. Pages see no difference.
//! Not here: who hears of it, and what is told of it (`messaging.js`).


/** Octets of a text that goes as a MESSAGE. RFC 3428, 8. */
const PAGER_BYTES_MAX = 1300;
/** Octets of the longest text. */
const BYTES_MAX = 1024 * 1024;
/** What is taken, in an envelope or bare. */
const TYPES = ["text/plain", "text/html", "application/vnd.gsma.rcspushlocation+xml"];
/** What senders may want to know, as frames call it. RFC 5438, 6.3. */
const NOTIFICATIONS = [
  ["delivery", "positive-delivery"], ["failure", "negative-delivery"], ["display", "display"],
];
const encoder = new TextEncoder();

/**
 * What a large message tells.
 * @typedef {object} LargeHooks
 * @property {(message: LargeMessage) => void} sent all of it is there
 * @property {(message: LargeMessage, code: number, reason: string) => void} failed called once, if it was not sent
 * @property {(message: LargeMessage, payload: Record<string, any>) => void} came as a frame would have it
 * @property {(messageId: string, status: string, by: string) => void} reported what became of one, told by MSRP
 */

/** One of them, out or in. */
class LargeMessage extends Invitation {
  /** The text that goes out. @type {string | null} */
  #text = null;
  #hooks;
  #settled = false;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} target
   * @param {LargeHooks} hooks
   */
  constructor(session, target, hooks) {
    super(session, target, "messaging");
    this.#hooks = hooks;
    /** @override @param {import("./call-state.js").CallState} callState */
    this.onStateChange = ({ state, status }) => {
      if (state === CALLSTATE.FAILED || state === CALLSTATE.ENDED) this.#settle(status.code ?? 487, status.reason ?? "");
    };
  }

  /**
   * @param {string} text
   * @param {Record<string, any> | null} [extHeaders]
   */
  send(text, extHeaders) {
    this.#text = text;
    this.start(null, extHeaders);
  }

  /** Takes one that comes in. @override @param {import("./message.js").Message} message */
  onMessage(message) {
    super.onMessage(message);
    const { state, status } = this.getState();
    if (this.#text === null && state === CALLSTATE.RESPONDED && status.code === 180) this.accept();
  }

  /**
   * @override
   * @param {any} _config
   * @param {boolean} secure
   */
  createMedia(_config, secure) {
    const { session, peer } = this.capabilityContext();
    const letter = this.#text === null ? null : {
      text: this.#text, messageId: this.subSessionId, from: partyUri(session.getUserName()), to: partyUri(peer),
    };
    return new LargeMedia(secure, letter, {
      ...this.linkHooks(),
      sent: () => {
        this.#settle(0, "");
        this.end();
      },
      failed: (code, reason) => {
        this.#settle(code, reason);
        this.end();
      },
      came: (payload) => this.#hooks.came(this, payload),
      reported: (messageId, status) => this.#hooks.reported(messageId, status, peer),
    });
  }

  /**
   * @param {number} code 0: it is there
   * @param {string} reason
   */
  #settle(code, reason) {
    if (this.#settled || this.#text === null) return;
    this.#settled = true;
    if (code === 0) this.#hooks.sent(this);
    else this.#hooks.failed(this, code, reason);
  }
}

/** Its way over MSRP. */
class LargeMedia extends MediaLink {
  #letter;
  #hooks;
  #came = false;

  /**
   * @param {boolean} secure
   * @param {{ text: string, messageId: string, from: string, to: string } | null} letter what goes out, or nothing
   * @param {import("./media-link.js").LinkHooks & { sent: () => void, failed: (code: number, reason: string) => void,
   *   came: (payload: Record<string, any>) => void, reported: (messageId: string, status: string) => void }} hooks
   */
  constructor(secure, letter, hooks) {
    super(secure, hooks);
    this.#letter = letter;
    this.#hooks = hooks;
  }

  /** @override */
  sdp() {
    return writeSdp({
      ...this.ownSide, maxSize: BYTES_MAX, direction: this.#letter ? "sendonly" : "recvonly",
      acceptTypes: [CPIM_TYPE, ...TYPES], acceptWrappedTypes: [...TYPES, IMDN_TYPE],
    });
  }

  /** @override @param {import("./sdp.js").RemoteMedia} remote */
  wrongWith({ direction, maxSize }) {
    if (direction === "sendonly") return "both sides send";
    return maxSize < encoder.encode(this.#letter?.text ?? "").length ? `it takes ${maxSize} octets at most` : "";
  }

  /** @override @returns {ReturnType<MediaLink["endpoint"]>} */
  endpoint() {
    return [{ acceptTypes: [CPIM_TYPE, ...TYPES], octetsMax: BYTES_MAX }, {
      message: ({ contentType, body }) => this.#receive(contentType, body),
      sent: () => this.#hooks.sent(),
      failed: (_, status, reason) => this.#hooks.failed(status, reason),
    }];
  }

  /** @override */
  begun() {
    const letter = this.#letter;
    if (!letter) return;
    const { acceptTypes = [] } = this.remote() ?? {};
    const octets = encoder.encode(letter.text);
    const wrapped = acceptTypes.length === 0 || admits(acceptTypes, CPIM_TYPE);
    const wanted = NOTIFICATIONS.map(([, name]) => name);
    const { messageId, from, to } = letter;
    const body = wrapped
      ? wrapCpim("text/plain;charset=UTF-8", octets, new Date(), { messageId, wanted }, { from, to }) : octets;
    this.connection()?.send({ messageId, contentType: wrapped ? CPIM_TYPE : "text/plain;charset=UTF-8", body });
  }

  /**
   * @param {string} contentType
   * @param {Uint8Array} octets
   * @returns {number | void} a status that refuses it
   */
  #receive(contentType, octets) {
    const envelope = bareType(contentType) === CPIM_TYPE ? unwrapCpim(octets) : null;
    if (bareType(contentType) === CPIM_TYPE && !envelope) return 400;
    // What became of it is no content: RFC 4975, 8.9.
    if (envelope && bareType(envelope.contentType) === IMDN_TYPE) {
      const note = readImdn(decodeText(envelope.content, ""));
      if (note) this.#hooks.reported(note.messageId, note.status);
      return undefined;
    }
    // One session brings one message, to whom it was offered.
    if (this.#letter || this.#came) return 413;
    if (envelope && (envelope.required.length > 0 || !admits(TYPES, bareType(envelope.contentType)))) return 415;
    this.#came = true;
    const type = envelope?.contentType ?? contentType;
    const told = envelope && envelope.messageId !== "" ? {
      message_id: envelope.messageId, date_time: envelope.dateTime,
      notify: NOTIFICATIONS.filter(([, name]) => envelope.wanted.includes(name)).map(([word]) => word),
      ...(envelope.routes.length > 0 ? { routes: envelope.routes } : {}),
      ...(envelope.originalTo ? { original_to: envelope.originalTo } : {}),
    } : {};
    this.#hooks.came({
      content: decodeText(envelope?.content ?? octets, type),
      ...(bareType(type) === "text/plain" ? {} : { content_type: bareType(type) }),
      ...told,
    });
    return undefined;
  }
}
return { PAGER_BYTES_MAX, LargeMessage };
})();

modules["messaging.js"] = (function () {
const { ACTION, MESSAGESTATE, MESSAGETYPE } = modules["constants.js"];
const { ERRORCODE, ErrorInfo } = modules["errors.js"];
const { fire, later } = modules["events.js"];
const { LargeMessage, PAGER_BYTES_MAX } = modules["large-message.js"];
const { log } = modules["log.js"];
const { Message } = modules["message.js"];
//! Standalone messages: one text, one answer. Each has a subsession of its own.


/** Messages that wait for the application's verdict, or for their answer. */
const WAITING_MAX = 256;
/** Answers to a session for one text of those who have no such sessions: it goes as a MESSAGE. */
const NO_LARGE = [405, 415, 488, 501, 606];
/** Controllers of a package that may hear of a message; the newest does. */
const CONTROLLERS_MAX = 32;
/** Characters of a text that the user's other pages get from the one it came to; what is longer stays there. */
const COPY_CHARACTERS_MAX = 32 * 1024;

/** @typedef {Record<string, any> | null} Headers */

/** A standalone message. */
class MessagingMessage {
  /**
   * @param {string} msgId
   * @param {string} initiator
   * @param {string} target
   * @param {string} content
   */
  constructor(msgId, initiator, target, content) {
    /** Its id. */
    this.msgId = msgId;
    /** Who sends it. */
    this.initiator = initiator;
    /** The sender's name, as the network tells it; empty if it tells none. */
    this.initiatorName = "";
    /** Who gets it. */
    this.target = target;
    /** The text. */
    this.content = content;
    /** Its type. */
    this.contentType = "text/plain";
    /** When it was written, where that is known. @type {string | undefined} */
    this.dateTime = undefined;
  }
}

/** The package of standalone messages. */
class MessagingPackage {
  /** The one made last. @type {MessagingPackage | null} */
  static #latest = null;
  #session;
  /** @type {Messaging[]} */
  #controllers = [];

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "messaging") {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    /** What users of the package can do. */
    this.services = ["Standalone message"];
    session.registerPackage(this);
    MessagingPackage.#latest = this;
  }

  /** @returns {Messaging} */
  createMessaging() {
    const messaging = new Messaging(this.#session, this.packageType);
    this.#controllers = [messaging, ...this.#controllers].slice(0, CONTROLLERS_MAX);
    return messaging;
  }

  /**
   * The same of the package that was made last: the patent's example calls it on the class.
   * @returns {Messaging}
   */
  static createMessaging() {
    if (!MessagingPackage.#latest) throw new Error("wsc: make a MessagingPackage first");
    return MessagingPackage.#latest.createMessaging();
  }

  /**
   * Takes a frame of the package.
   * @param {Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const known = /** @type {any} */ (this.#session.getSubSession(id));
    const { action } = message.header;
    if (known && (!message.isRequest() || action === ACTION.START)) {
      known.onMessage(message);
    } else if (message.isRequest() && action === ACTION.START && id !== "") {
      const large = new LargeMessage(this.#session, message.header.target ?? "", {
        sent: () => {}, failed: () => {}, came: (one, payload) => this.#came(one, payload), reported: () => {},
      });
      large.onMessage(message);
    } else if (action === ACTION.SEND || action === ACTION.REPORT) {
      const name = action === ACTION.SEND ? "onNewMessage" : "onMessageStatus";
      later(() => {
        const hears = (/** @type {any} */ one) => typeof one[name] === "function";
        const willing = this.#controllers.find(hears) ?? this.#controllers[0];
        if (willing) willing.onMessage(message);
        else this.#nobody(message);
      });
    } else if (message.isRequest()) {
      this.#session.sendError(message, 405, "unknown action");
    }
  }

  /**
   * A text came by a session of its own. It is told like any other.
   * @param {LargeMessage} large
   * @param {Record<string, any>} payload
   */
  #came(large, payload) {
    const [by, own] = [large.getInitiator(), large.getTarget()];
    const name = large.getInitiatorName();
    const header = { initiator: by, target: own, ...(name ? { initiator_name: name } : {}) };
    this.onMessage(new Message({
      control: { type: MESSAGETYPE.MESSAGE, package_type: this.packageType, subsession_id: `${large.subSessionId}/text` },
      header: { action: ACTION.SEND, ...header },
      payload: { ...payload, large: true },
    }));
    if (payload.content.length > COPY_CHARACTERS_MAX) return;
    // The user's other pages get it from this one. That it is there is told already.
    const notify = (payload.notify ?? []).filter((/** @type {string} */ word) => word === "display");
    this.#session.sendMessage(new Message({
      control: {
        type: MESSAGETYPE.MESSAGE, package_type: this.packageType, subsession_id: this.#session.generateSubSessionId(),
      },
      header: { action: ACTION.COPY, ...header, initiator: own, target: by },
      payload: { ...payload, notify },
    }));
  }

  /** @param {Message} message */
  #nobody(message) {
    if (!message.isRequest()) return;
    log("warn", "a message came in and nobody has set onNewMessage");
    this.#session.sendError(message, ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
  }

  /** Frees everything without a word to the server. */
  clear() {
    for (const controller of this.#controllers) controller.clear();
  }
}

/** Sends and gets standalone messages. */
class Messaging {
  #session;
  #packageType;
  /** Sent messages without an answer, by their ids.
   * @type {Map<string, { message: MessagingMessage, resolve: Function, reject: Function, sent: Promise<void> }>} */
  #pending = new Map();
  /** Frames that wait for the application's verdict. @type {Map<MessagingMessage, Message>} */
  #unanswered = new Map();
  /** What senders want to know. @type {WeakMap<MessagingMessage, any>} */
  #wishes = new WeakMap();

  /**
   * @param {import("./client.js").Session} session
   * @param {string} packageType
   */
  constructor(session, packageType) {
    this.#session = session;
    this.#packageType = packageType;
    /** A message came: accept or reject it.
     * @type {((message: MessagingMessage, extHeaders: Record<string, any>) => void) | undefined} */
    this.onNewMessage = this.onNewMessage;
    /** A message was taken.
     * @type {((message: MessagingMessage, extHeaders: Record<string, any>) => void) | undefined} */
    this.onSuccessResponse = this.onSuccessResponse;
    /** A message failed.
     * @type {((message: MessagingMessage, code: number, reason: string, extHeaders: Record<string, any>) => void)
     *   | undefined} */
    this.onErrorResponse = this.onErrorResponse;
    /** What became of a message: `delivered`, `displayed`, `failed`, `forbidden`, `error`.
     * @type {((msgId: string, status: string, by: string) => void) | undefined} */
    this.onMessageStatus = this.onMessageStatus;
  }

  /**
   * Sends a text.
   * @param {string} textMsg
   * @param {string} target
   * @param {Headers} [extHeaders]
   * @returns {string} the message's id
   */
  send(textMsg, target, extHeaders) {
    if (typeof textMsg !== "string" || textMsg === "") throw new TypeError("wsc: a message is a text");
    if (typeof target !== "string" || target.trim() === "") throw new Error("wsc: a message needs somebody to go to");
    if (this.#pending.size >= WAITING_MAX) throw new Error("wsc: too many messages wait for their answers");
    const isLarge = new TextEncoder().encode(textMsg).length > PAGER_BYTES_MAX;
    const large = isLarge ? this.#large(target.trim(), extHeaders) : null;
    const msgId = large?.subSessionId ?? this.#session.generateSubSessionId();
    const message = new MessagingMessage(msgId, this.#session.getUserName(), target.trim(), textMsg);
    let settle = { resolve: () => {}, reject: () => {} };
    const sent = /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      settle = { resolve: /** @type {any} */ (resolve), reject };
    }));
    sent.catch(() => {});
    this.#pending.set(msgId, { message, ...settle, sent });
    if (large) large.send(textMsg, extHeaders);
    else this.#page(message, extHeaders);
    return msgId;
  }

  /**
   * @param {string} msgId what `send` gave
   * @returns {Promise<void>} settles when the message was taken; rejects with an ErrorInfo
   */
  sent(msgId) {
    return this.#pending.get(msgId)?.sent ?? Promise.reject(new ErrorInfo(404, "no such message"));
  }

  /**
   * @param {string} msgId
   * @returns {MessagingMessage | undefined} a sent message until it has its answer
   */
  getMessage(msgId) {
    return this.#pending.get(msgId)?.message;
  }

  /**
   * Takes a message.
   * @param {MessagingMessage} message
   * @param {Headers} [extHeaders]
   */
  accept(message, extHeaders) {
    this.#tell(message, "delivery", "delivered");
    const request = this.#verdict(message);
    if (!request) return;
    const { package_type, subsession_id, correlation_id } = request.control;
    const { initiator, target } = request.header;
    const response = new Message({
      control: {
        type: MESSAGETYPE.RESPONSE, package_type, subsession_id, correlation_id,
        message_state: MESSAGESTATE.FINAL,
      },
      header: { action: ACTION.SEND, initiator, target, response_code: 200 },
    });
    response.addExtHeaders(extHeaders);
    this.#session.sendMessage(response);
  }

  /**
   * Does not take a message.
   * @param {MessagingMessage} message
   * @param {number} [code]
   * @param {string} [reason]
   * @param {Headers} [extHeaders]
   */
  reject(message, code = ERRORCODE.DECLINED, reason = "Decline", extHeaders) {
    this.#tell(message, "failure", "failed");
    const request = this.#verdict(message);
    if (request) this.#session.sendError(request, code, reason, extHeaders);
  }

  /**
   * The user has seen a message: tells its sender, who may have asked for that.
   * @param {MessagingMessage} message
   */
  displayed(message) {
    const wishes = this.#wishes.get(message);
    this.#wishes.delete(message);
    if (wishes?.notify?.includes("display")) this.#report(message, wishes, "display", "displayed");
  }

  // For package developers.

  /**
   * Takes a frame of a message.
   * @param {Message} frame
   */
  onMessage(frame) {
    const { control, header, payload } = frame;
    const id = control.subsession_id ?? "";
    if (header.action === ACTION.REPORT) {
      fire(this, "onMessageStatus", String(payload?.message_id ?? ""), String(payload?.status ?? "error"),
        header.initiator ?? "");
    } else if (header.action === ACTION.SEND && (frame.isRequest() || frame.isMessage())) {
      this.#arrive(id, frame);
    } else if (header.action === ACTION.SEND) {
      this.#answered(id, frame);
    } else if (header.action === ACTION.SHUTDOWN) {
      this.#forget(id);
    }
  }

  /** The session is over. */
  clear() {
    this.#unanswered.clear();
    for (const [msgId, { message, reject }] of this.#pending) {
      this.#pending.delete(msgId);
      const error = new ErrorInfo(ERRORCODE.WEBSOCKET_ERROR, "the session is over");
      reject(error);
      fire(this, "onErrorResponse", message, error.code, error.reason, {});
    }
  }

  /** Messages have ids of their own. */
  get subSessionId() {
    return "";
  }

  /**
   * Sends a message as one of SIP.
   * @param {MessagingMessage} message
   * @param {Headers | undefined} extHeaders
   */
  #page({ msgId, target, content }, extHeaders) {
    const request = this.#frame(MESSAGETYPE.REQUEST, ACTION.SEND, msgId, target);
    request.control.message_state = MESSAGESTATE.INITIAL;
    request.payload = { content };
    request.addExtHeaders(extHeaders);
    this.#session.sendMessage(request);
    this.#session.putSubSession(this.#packageType, msgId, /** @type {any} */ (this));
  }

  /**
   * A session for one message.
   * @param {string} target
   * @param {Headers | undefined} extHeaders
   */
  #large(target, extHeaders) {
    return new LargeMessage(this.#session, target, {
      sent: ({ subSessionId }) => this.#settle(subSessionId, null, {}),
      failed: ({ subSessionId }, code, reason) => {
        const pending = this.#pending.get(subSessionId);
        if (pending && NO_LARGE.includes(code)) this.#page(pending.message, extHeaders);
        else this.#settle(subSessionId, new ErrorInfo(code, reason), {});
      },
      came: () => {},
      reported: (msgId, status, by) => fire(this, "onMessageStatus", msgId, status, by),
    });
  }

  /**
   * What the page makes of a message that came by a session of its own: the server can't know.
   * @param {MessagingMessage} message
   * @param {string} asked
   * @param {string} status
   */
  #tell(message, asked, status) {
    const wishes = this.#wishes.get(message);
    if (!wishes?.large) return;
    wishes.large = false;
    if (wishes.notify?.includes(asked)) this.#report(message, wishes, "delivery", status);
  }

  /**
   * @param {MessagingMessage} message
   * @param {any} wishes
   * @param {string} kind
   * @param {string} status
   */
  #report(message, { message_id, date_time, routes, original_to }, kind, status) {
    const id = this.#session.generateSubSessionId();
    const report = this.#frame(MESSAGETYPE.MESSAGE, ACTION.REPORT, id, message.initiator);
    report.payload = { message_id, date_time, kind, status, routes, original_to };
    this.#session.sendMessage(report);
  }

  /**
   * @param {string} id
   * @param {Message} frame
   */
  #arrive(id, frame) {
    const { header, payload } = frame;
    const content = String(payload?.content ?? "");
    const message = new MessagingMessage(id, header.initiator ?? "", header.target ?? "", content);
    message.initiatorName = String(header.initiator_name ?? "");
    if (payload?.content_type) message.contentType = String(payload.content_type);
    if (payload?.date_time) message.dateTime = String(payload.date_time);
    this.#wishes.set(message, payload ?? {});
    if (frame.isRequest()) {
      if (this.#unanswered.size >= WAITING_MAX) {
        this.#session.sendError(frame, ERRORCODE.BUSY_HERE, "too many messages wait");
        return;
      }
      this.#unanswered.set(message, frame);
      this.#session.putSubSession(this.#packageType, id, /** @type {any} */ (this));
    }
    fire(this, "onNewMessage", message, frame.getExtHeaders());
  }

  /**
   * @param {string} id
   * @param {Message} frame
   */
  #answered(id, frame) {
    if (frame.isResponse() && frame.control.message_state === MESSAGESTATE.SUBSEQUENT) return;
    const { error_code: code = 0, reason = "" } = frame.header;
    this.#settle(id, frame.isError() ? new ErrorInfo(code, reason) : null, frame.getExtHeaders());
    this.#session.removeSubSession(id);
  }

  /**
   * A message of ours has its answer.
   * @param {string} id
   * @param {ErrorInfo | null} error
   * @param {Record<string, any>} extHeaders
   */
  #settle(id, error, extHeaders) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (!pending) return;
    const { message, resolve, reject } = pending;
    if (error) {
      reject(error);
      fire(this, "onErrorResponse", message, error.code, error.reason, extHeaders);
    } else {
      resolve();
      fire(this, "onSuccessResponse", message, extHeaders);
    }
  }

  /**
   * Nobody waits for a verdict any more.
   * @param {string} id
   */
  #forget(id) {
    this.#session.removeSubSession(id);
    for (const [message] of this.#unanswered) {
      if (message.msgId === id) this.#unanswered.delete(message);
    }
  }

  /**
   * @param {MessagingMessage} message
   * @returns {Message | undefined} what is to be answered; nothing if it was, or too late
   */
  #verdict(message) {
    const request = this.#unanswered.get(message);
    this.#forget(message.msgId);
    return request;
  }

  /**
   * @param {string} type
   * @param {string} action
   * @param {string} id
   * @param {string} target
   */
  #frame(type, action, id, target) {
    return new Message({
      control: { type, package_type: this.#packageType, subsession_id: id },
      header: { action, initiator: this.#session.getUserName(), target },
    });
  }
}
return { MessagingMessage, MessagingPackage, Messaging };
})();

modules["wsc.js"] = (function () {
const { attachMediaStream, extend, getMediaOptions } = modules["adapter.js"];
const { AuthHandler } = modules["auth.js"];
const { CallConfig } = modules["call-config.js"];
const { CallPackage } = modules["call-package.js"];
const { CallState } = modules["call-state.js"];
const { Call } = modules["call.js"];
const { CapabilityExchange, CapabilityPackage, Query } = modules["capability.js"];
const { ChatConfig, ChatMessage } = modules["chat-config.js"];
const { ChatPackage } = modules["chat-package.js"];
const { Chat } = modules["chat.js"];
const { Session } = modules["client.js"];
const {
  ACTION, AUTHTYPE, CALLSTATE, ConnectionStateEnum, MEDIADIRECTION, MEDIASTREAMEVENT, MESSAGETYPE, SESSIONSTATE,
} = modules["constants.js"];
const { DataReceiver, DataSender, DataTransfer } = modules["data-transfer.js"];
const { DirectPackage } = modules["direct-package.js"];
const { ERRORCODE, ErrorInfo } = modules["errors.js"];
const { LOGLEVEL, getLogger, setLogLevel, setLogger } = modules["log.js"];
const { FileTransferPackage } = modules["file-transfer-package.js"];
const { FileTransfer } = modules["file-transfer.js"];
const { MessageAlertPackage, MessageCounts, MessageSummary, Notification, Subscription } = modules["message-alert.js"];
const { Message } = modules["message.js"];
const { Messaging, MessagingMessage, MessagingPackage } = modules["messaging.js"];
const { WscMap } = modules["subsession-map.js"];
//! The library's door: every public name, one by one and together in the namespace `wsc`.



/** The namespace object, as the classic script sets it. */
const wsc = {
  ACTION,
  AUTHTYPE,
  AuthHandler,
  CALLSTATE,
  Call,
  CallConfig,
  CallPackage,
  CallState,
  CapabilityExchange,
  CapabilityPackage,
  Chat,
  ChatConfig,
  ChatMessage,
  ChatPackage,
  ConnectionStateEnum,
  DataReceiver,
  DataSender,
  DataTransfer,
  DirectPackage,
  ERRORCODE,
  ErrorInfo,
  ExtensibleSession: Session,
  FileTransfer,
  FileTransferPackage,
  LOGLEVEL,
  MEDIADIRECTION,
  MEDIASTREAMEVENT,
  MESSAGETYPE,
  MSSAGETYPE: MESSAGETYPE,
  Map: WscMap,
  Message,
  MessageAlertPackage,
  MessageCounts,
  MessageSummary,
  Messaging,
  MessagingMessage,
  MessagingPackage,
  Notification,
  Query,
  SESSIONSTATE,
  Session,
  Subscription,
  attachMediaStream,
  extend,
  getLogger,
  getMediaOptions,
  setLogLevel,
  setLogger,
};
return { wsc };
})();

globalThis.wsc = modules["wsc.js"].wsc;
})();
