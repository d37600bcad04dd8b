//! The messages of a chat: texts to and from MSRP, envelopes, typing, what became of each.
//! Not here: signalling (`invitation.js`), the connection (`media-link.js`), chunks (`msrp/endpoint.js`).

import { ChatMessage, offeredTypes } from "./chat-config.js";
import { CPIM_TYPE, unwrapCpim, wrapCpim } from "./cpim.js";
import { environment } from "./environment.js";
import { later, startTimer, stopTimer } from "./events.js";
import { randomWord } from "./identifiers.js";
import { IMDN_TYPE, readImdn, writeImdn } from "./imdn.js";
import { MediaLink } from "./media-link.js";
import { admits, bareType, decodeText } from "./media-types.js";
import { sameParty, shownParty } from "./party.js";
import { writeSdp } from "./sdp.js";
import { TYPING_TYPE, TypingReceiver, TypingSender } from "./typing.js";

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
export class ChatMedia extends MediaLink {
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
