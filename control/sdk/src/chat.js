//! A chat between two users, or in a group. Not here: its signalling (`invitation.js`), messages (`chat-media.js`), finding
//! the chat of a frame (`chat-package.js`).

import { ChatMessage, readConfig } from "./chat-config.js";
import { ChatMedia } from "./chat-media.js";
import { ACTION, CALLSTATE, MESSAGESTATE, MESSAGETYPE } from "./constants.js";
import { environment } from "./environment.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";
import { fire, startTimer, stopTimer } from "./events.js";
import { Invitation } from "./invitation.js";
import { bareType } from "./media-types.js";
import { Message } from "./message.js";
import { partyUri, sameParty, shownParty } from "./party.js";

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
export class Chat extends Invitation {
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
