//! What invites somebody and has media: the signalling of a chat or a file (`start`, `complete`, `shutdown`).
//! Not here: messages and files (`chat-media.js`, `file-media.js`), finding what a frame belongs to (the packages).

import { CallState, isFinal, nextCallState } from "./call-state.js";
import { ACTION, CALLSTATE, MESSAGESTATE, MESSAGETYPE, SESSIONSTATE } from "./constants.js";
import { ERRORCODE } from "./errors.js";
import { fire, fireFirst } from "./events.js";
import { log } from "./log.js";
import { Message } from "./message.js";
import { answerTo, readSdp } from "./sdp.js";

/** The names under which pages listen to the signalling: the API's, and those of the patent's examples. */
const STATE_NAMES = ["onStateChange", "onSessionStateChange", "onCallStateChange"];

/** @typedef {Record<string, any> | null} Headers */
/** @typedef {import("./media-link.js").MediaLink} MediaLink */

/** What a chat and a file transfer have in common. */
export class Invitation {
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
