//! The package of chats.

import { Chat } from "./chat.js";
import { ERRORCODE } from "./errors.js";
import { fire } from "./events.js";
import { InvitationPackage } from "./invitation-package.js";
import { log } from "./log.js";

/**
 * All chats of a session.
 * @extends {InvitationPackage<Chat>}
 */
export class ChatPackage extends InvitationPackage {
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
  }

  /**
   * @param {string} target with whom, such as `bob@example.com`
   * @returns {Chat} not started yet
   */
  createChat(target) {
    return this.make(target);
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
    if (typeof this.onIncomingChat === "function") {
      fire(this, "onIncomingChat", chat, extHeaders);
      return;
    }
    log("warn", "a chat came in and nobody has set onIncomingChat");
    chat.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
  }
}
