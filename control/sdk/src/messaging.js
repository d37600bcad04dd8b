//! Standalone messages: one text, one answer. Each has a subsession of its own.

import { ACTION, MESSAGESTATE, MESSAGETYPE } from "./constants.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";
import { fire, later } from "./events.js";
import { LargeMessage, PAGER_BYTES_MAX } from "./large-message.js";
import { log } from "./log.js";
import { Message } from "./message.js";

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
export class MessagingMessage {
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
export class MessagingPackage {
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
export class Messaging {
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
