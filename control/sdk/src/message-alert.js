//! Notices of waiting messages, such as a mailbox's: package `message_notification`.

import { ACTION, MESSAGESTATE, MESSAGETYPE } from "./constants.js";
import { ErrorInfo } from "./errors.js";
import { fire } from "./events.js";
import { Message } from "./message.js";

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
export class MessageCounts {
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
export class Notification {
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
export class MessageSummary extends Notification {
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
export class Subscription {
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
export class MessageAlertPackage {
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
