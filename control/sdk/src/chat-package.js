//! The package of chats.

import { Chat } from "./chat.js";
import { CALLSTATE, FACTORY } from "./constants.js";
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
