//! The package of chats: makes them, finds the chat a frame belongs to.

import { CALLSTATE, ACTION } from "./constants.js";
import { Chat } from "./chat.js";
import { ERRORCODE } from "./errors.js";
import { fire } from "./events.js";
import { log } from "./log.js";

/** All chats of a session. */
export class ChatPackage {
  #session;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "chat") {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    /** What users of the package can do. */
    this.services = ["IM/CHAT"];
    /**
     * Somebody asks to chat: accept or decline it, now or later.
     * @type {((chat: Chat, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onIncomingChat = this.onIncomingChat;
    session.registerPackage(this);
  }

  /**
   * @param {string} target with whom, such as `bob@example.com`
   * @returns {Chat} not started yet
   */
  createChat(target) {
    if (typeof target !== "string" || target.trim() === "") {
      throw new Error("wsc: a chat needs somebody to chat with");
    }
    const chat = this.prepareChat(this.#session, target.trim());
    chat.packageType = this.packageType;
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
    const chats = this.#session.getSubSessionsByPackageType(this.packageType).values();
    return /** @type {Chat[]} */ (chats);
  }

  /** Ends all chats. */
  close() {
    for (const chat of this.getChats()) chat.end();
  }

  /** Frees everything without a word to the server. */
  clear() {
    for (const chat of this.getChats()) chat.clear();
  }

  /**
   * Takes a frame of the package.
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const known = /** @type {Chat | undefined} */ (this.#session.getSubSession(id));
    if (known) {
      known.onMessage(message);
    } else if (message.isRequest() && message.header.action === ACTION.START && id !== "") {
      this.#arrive(message);
    } else if (message.isRequest()) {
      this.#session.sendError(message, 481, "no such chat");
    }
  }

  /** @param {import("./message.js").Message} message */
  #arrive(message) {
    const chat = this.prepareChat(this.#session, message.header.target ?? "");
    chat.packageType = this.packageType;
    chat.onMessage(message);
    if (chat.getState().state !== CALLSTATE.RESPONDED) return;
    if (typeof this.onIncomingChat !== "function") {
      log("warn", "a chat came in and nobody has set onIncomingChat");
      chat.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
      return;
    }
    fire(this, "onIncomingChat", chat, message.getExtHeaders());
  }
}
