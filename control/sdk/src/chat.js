//! A chat between two users. Not here: its signalling (`invitation.js`), messages (`chat-media.js`), finding
//! the chat of a frame (`chat-package.js`).

import { readConfig } from "./chat-config.js";
import { ChatMedia } from "./chat-media.js";
import { ErrorInfo } from "./errors.js";
import { fire } from "./events.js";
import { Invitation } from "./invitation.js";

/** @typedef {import("./chat-config.js").ChatConfig} ChatConfig */
/** @typedef {import("./chat-config.js").ChatMessage} ChatMessage */

/** Messages whose outcome is remembered. */
const OUTCOMES_MAX = 256;

/** A chat. Made by `ChatPackage.createChat`, or handed to `onIncomingChat`. */
export class Chat extends Invitation {
  /** @type {ChatConfig | null} */
  #config = null;
  /** Outcomes of messages, and who waits for one.
   * @type {Map<string, { error?: ErrorInfo | null, settle?: (error: ErrorInfo | null) => void }>} */
  #outcomes = new Map();

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
    /** What became of a message later, where the other side tells: `delivered`, `displayed`, `failed`.
     * @type {((msgId: string, status: string) => void) | undefined} */
    this.onMessageStatus = this.onMessageStatus;
    /** The other side types. @type {(() => void) | undefined} */
    this.onMessageTyping = this.onMessageTyping;
    /** The other side stopped typing. @type {(() => void) | undefined} */
    this.onMessageTypingStop = this.onMessageTypingStop;
  }

  /**
   * Sends a message; before the chat is up it waits.
   * @param {{ contentType?: string, content: string | Uint8Array } | string} message
   * @returns {string} its id, which comes back in onMessageSendSuccess or onMessageSendFailure
   */
  send(message) {
    const media = this.#media();
    if (!media) throw new Error("wsc: the chat was not started");
    const { contentType = "text/plain", content } =
      typeof message === "string" ? { content: message } : message;
    if (typeof content !== "string" && !(content instanceof Uint8Array)) {
      throw new TypeError("wsc: a message's content is a string or a Uint8Array");
    }
    if (/[^\t -~]/.test(contentType)) throw new TypeError("wsc: not a content type");
    const messageId = media.send({ contentType, content });
    this.#outcomes.set(messageId, {});
    return messageId;
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
    this.#media()?.indicateTyping(isTyping);
  }

  /**
   * The user has seen a message: tells its sender, who may have asked for that.
   * @param {ChatMessage} message what onChatMessage got
   */
  displayed(message) {
    this.#media()?.displayed(message);
  }

  /** @returns {ChatConfig | null} */
  getChatConfig() {
    return this.#config;
  }

  // For package developers.

  /**
   * @override
   * @param {{ acceptTypes?: string[], acceptWrappedTypes?: string[], maxSize?: number } | null} config
   * @param {boolean} secure
   */
  createMedia(config, secure) {
    this.#config = readConfig(config);
    return new ChatMedia(this.#config, secure, {
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
      status: (messageId, status) => fire(this, "onMessageStatus", messageId, status),
      typing: (typing) => fire(this, typing ? "onMessageTyping" : "onMessageTypingStop"),
    });
  }

  /** @returns {ChatMedia | null} */
  #media() {
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
