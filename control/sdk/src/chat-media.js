//! The messages of a chat: texts to and from MSRP, envelopes, typing, what became of each.
//! Not here: signalling (`chat.js`), chunks (`msrp/endpoint.js`).

import { ChatMessage, offeredTypes } from "./chat-config.js";
import { ConnectionStateEnum } from "./constants.js";
import { CPIM_TYPE, unwrapCpim, wrapCpim } from "./cpim.js";
import { environment } from "./environment.js";
import { later, startTimer, stopTimer } from "./events.js";
import { randomWord } from "./identifiers.js";
import { log } from "./log.js";
import { admits, bareType, decodeText } from "./media-types.js";
import { MsrpConnection } from "./msrp/connection.js";
import { writeSdp } from "./sdp.js";
import { TYPING_TYPE, TypingReceiver, TypingSender } from "./typing.js";

/** Messages that may wait for the chat to be up. */
const EARLY_MAX = 1000;
/** A new way in is asked for after so long without one, spread by chance over as long again. */
const ASK_MS = 500;
/** Milliseconds between askings, after the first. */
const ASK_AGAIN_MS = 2000;
/** What is under way has so many milliseconds once the other side has ended the chat. */
const DRAIN_MS = 1000;
/** A lost connection that has not come back within this time has failed. */
const LOST_MS_MAX = 60_000;
const encoder = new TextEncoder();

/**
 * @typedef {object} MediaHooks
 * @property {(state: string) => void} state one of ConnectionStateEnum
 * @property {(message: ChatMessage) => void} message
 * @property {(messageId: string) => void} sent
 * @property {(messageId: string, status: number, reason: string) => void} failed
 * @property {(typing: boolean) => void} typing
 * @property {() => void} lost the connection went: ask for a new way in, if one can
 */

/** @typedef {import("./sdp.js").RemoteMedia} RemoteMedia */

/** Both directions of a chat's messages. */
export class ChatMedia {
  #config;
  #secure;
  #hooks;
  #localUri;
  #origin = String(Math.trunc(Date.now() / 1000));
  #offered;
  /** @type {RemoteMedia | null} */
  #remote = null;
  /** @type {MsrpConnection | null} */
  #connection = null;
  /** @type {string} */
  #state = ConnectionStateEnum.NONE;
  #over = false;
  /** @type {{ messageId: string, message: ChatMessage }[]} */
  #early = [];
  #typingSender = new TypingSender();
  #typingReceiver = new TypingReceiver();
  /** Whether the other side takes notes about typing. */
  #typingWanted = true;
  /** Ids of notes about typing, of which the application knows nothing. @type {Set<string>} */
  #notes = new Set();
  /** @type {any} */
  #typingTimer;
  /** @type {any} */
  #askTimer;
  /** @type {any} */
  #lostTimer;
  /** What to do once the connection is gone. @type {(() => void) | null} */
  #drained = null;

  /**
   * @param {import("./chat-config.js").ChatConfig} config
   * @param {boolean} secure
   * @param {MediaHooks} hooks
   */
  constructor(config, secure, hooks) {
    this.#config = config;
    this.#secure = secure;
    this.#hooks = hooks;
    this.#offered = offeredTypes(config);
    const scheme = secure ? "msrps" : "msrp";
    this.#localUri = `${scheme}://${randomWord(12)}.invalid:2855/${randomWord(26)};ws`;
  }

  /** @returns {string} our session description; the same each time */
  sdp() {
    return writeSdp({
      secure: this.#secure,
      path: this.#localUri,
      origin: this.#origin,
      maxSize: this.#config.selfMaxSize,
      ...this.#offered,
    });
  }

  /** @param {RemoteMedia} remote what the other side said */
  setRemote(remote) {
    this.#remote = remote;
    this.#config.targetMaxSize = remote.maxSize;
  }

  /** @returns {RemoteMedia | null} */
  remote() {
    return this.#remote;
  }

  /** Both sides agree: opens the MSRP connection. */
  connect() {
    const remote = this.#remote;
    if (!remote || this.#connection || this.#over) return;
    this.#connection = new MsrpConnection({
      localUri: this.#localUri,
      remotePath: remote.path,
      acceptTypes: this.#offered.acceptTypes,
      octetsMax: this.#config.selfMaxSize,
    }, {
      open: () => this.#opened(),
      closed: (orderly, status, reason) => this.#closed(orderly, status, reason),
      lost: (reason) => this.#lost(reason),
      message: (incoming) => this.#receive(incoming.contentType, incoming.body),
      sent: (messageId) => this.#settled(messageId, 0, ""),
      failed: (messageId, status, reason) => this.#settled(messageId, status, reason),
    });
    this.#move(ConnectionStateEnum.CONNECTING);
    const connection = this.#connection;
    if (!this.#attempt(() => connection.open(remote.url))) return;
    for (const { messageId, message } of this.#early.splice(0)) this.#submit(messageId, message);
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
   * @param {ChatMessage} message
   * @returns {string} its id
   */
  send(message) {
    const messageId = randomWord(24);
    this.#typingSender.messageSent();
    this.#scheduleTyping();
    if (this.#over) {
      later(() => this.#hooks.failed(messageId, 481, "the chat is over"));
    } else if (this.#connection) {
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
    if (this.#state !== ConnectionStateEnum.OPEN) return;
    const now = environment.now();
    this.#sendNote(isTyping ? this.#typingSender.typed(now) : this.#typingSender.stopped());
    this.#scheduleTyping();
  }

  /**
   * The other side has ended the chat: what is under way still comes in, until the relay closes the
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
   * The chat is over: closes the connection; what is open has failed.
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
    stopTimer(this.#typingTimer);
    if (this.#typingReceiver.stopped()) this.#hooks.typing(false);
    for (const { messageId } of this.#early.splice(0)) {
      this.#hooks.failed(messageId, status, reason);
    }
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
      log("error", "the chat's media address is unusable", error);
      later(() => this.#closed(false, 481, "the media address is unusable"));
      return false;
    }
  }

  #opened() {
    this.#stopLooking();
    this.#move(ConnectionStateEnum.OPEN);
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
    if (this.#typingReceiver.stopped()) this.#hooks.typing(false);
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

  // Out.

  /**
   * @param {string} messageId
   * @param {ChatMessage} message
   */
  #submit(messageId, message) {
    const remote = /** @type {RemoteMedia} */ (this.#remote);
    const { content } = message;
    const octets = typeof content === "string" ? encoder.encode(content) : content;
    const outgoing = this.#dressed(message.contentType, octets);
    /** @type {[number, string] | null} */
    let refusal = null;
    if (!outgoing) {
      refusal = [415, `the other side does not take ${message.contentType}`];
    } else if (outgoing.body.length > remote.maxSize) {
      refusal = [413, `the other side takes ${remote.maxSize} octets at most`];
    } else if (!this.#connection?.send({ messageId, ...outgoing })) {
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
   * @returns {{ contentType: string, body: Uint8Array } | null} null: it takes it neither way
   */
  #dressed(contentType, octets) {
    const { acceptTypes, acceptWrappedTypes } = /** @type {RemoteMedia} */ (this.#remote);
    const type = bareType(contentType);
    const bare = acceptTypes.length === 0 || admits(acceptTypes, type);
    const wrapped = acceptTypes.includes(CPIM_TYPE)
      && (acceptWrappedTypes.length === 0 || admits(acceptWrappedTypes, type));
    const preferred = acceptTypes[0] === CPIM_TYPE && type !== TYPING_TYPE;
    if (type !== CPIM_TYPE && wrapped && (preferred || !bare)) {
      const labelled = type === "text/plain" && !contentType.includes(";")
        ? "text/plain;charset=UTF-8" : contentType;
      return { contentType: CPIM_TYPE, body: wrapCpim(labelled, octets, new Date()) };
    }
    return bare ? { contentType, body: octets } : null;
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
    if (this.#connection?.send({ messageId, ...outgoing })) this.#notes.add(messageId);
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
      if (!admits(this.#offered.acceptWrappedTypes, bareType(inner.contentType))) return 415;
      return this.#deliver(inner.contentType, inner.content);
    }
    return this.#deliver(contentType, octets);
  }

  /**
   * @param {string} contentType
   * @param {Uint8Array} octets
   */
  #deliver(contentType, octets) {
    const type = bareType(contentType);
    if (type === TYPING_TYPE) {
      const change = this.#typingReceiver.receive(decodeText(octets, ""), environment.now());
      if (change) this.#hooks.typing(change === "started");
    } else {
      if (this.#typingReceiver.stopped()) this.#hooks.typing(false);
      const isText = /^(text|message)\/|[/+](xml|json)$/.test(type);
      const content = isText ? decodeText(octets, contentType) : octets;
      this.#hooks.message(new ChatMessage(type, content));
    }
    this.#scheduleTyping();
  }

  #scheduleTyping() {
    stopTimer(this.#typingTimer);
    const deadline = Math.min(this.#typingSender.deadline(), this.#typingReceiver.deadline());
    if (deadline === Infinity || this.#over) return;
    this.#typingTimer = startTimer(() => {
      const now = environment.now();
      if (this.#typingReceiver.tick(now)) this.#hooks.typing(false);
      this.#sendNote(this.#typingSender.tick(now));
      this.#scheduleTyping();
    }, Math.max(0, deadline - environment.now()));
  }
}
