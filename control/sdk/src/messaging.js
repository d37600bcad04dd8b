//! Standalone messages: one text, one answer. Each has a subsession of its own.

import { ACTION, MESSAGESTATE, MESSAGETYPE } from "./constants.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";
import { fire, later } from "./events.js";
import { log } from "./log.js";
import { Message } from "./message.js";

/** What became of a message, told later. */
const REPORT = "report";
/** Messages that wait for the application's verdict, or for their answer. */
const WAITING_MAX = 256;
/** Controllers of a package that may hear of a message; the newest does. */
const CONTROLLERS_MAX = 32;

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
    if (known && !message.isRequest()) {
      known.onMessage(message);
    } else if (action === ACTION.SEND || action === REPORT) {
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
    const msgId = this.#session.generateSubSessionId();
    const message = new MessagingMessage(msgId, this.#session.getUserName(), target.trim(), textMsg);
    const request = this.#frame(MESSAGETYPE.REQUEST, ACTION.SEND, msgId, message.target);
    request.control.message_state = MESSAGESTATE.INITIAL;
    request.payload = { content: textMsg };
    request.addExtHeaders(extHeaders);
    let settle = { resolve: () => {}, reject: () => {} };
    const sent = /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      settle = { resolve: /** @type {any} */ (resolve), reject };
    }));
    sent.catch(() => {});
    this.#session.sendMessage(request);
    this.#pending.set(msgId, { message, ...settle, sent });
    this.#session.putSubSession(this.#packageType, msgId, /** @type {any} */ (this));
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
    if (!wishes?.notify?.includes("display")) return;
    const id = this.#session.generateSubSessionId();
    const report = this.#frame(MESSAGETYPE.MESSAGE, REPORT, id, message.initiator);
    const { message_id, date_time } = wishes;
    report.payload = { message_id, date_time, kind: "display", status: "displayed" };
    this.#session.sendMessage(report);
  }

  // For package developers.

  /**
   * Takes a frame of a message.
   * @param {Message} frame
   */
  onMessage(frame) {
    const { control, header, payload } = frame;
    const id = control.subsession_id ?? "";
    if (header.action === REPORT) {
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
   * @param {string} id
   * @param {Message} frame
   */
  #arrive(id, frame) {
    const { header, payload } = frame;
    const content = String(payload?.content ?? "");
    const message = new MessagingMessage(id, header.initiator ?? "", header.target ?? "", content);
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
    const pending = this.#pending.get(id);
    if (!pending || (frame.isResponse() && frame.control.message_state === MESSAGESTATE.SUBSEQUENT)) return;
    this.#pending.delete(id);
    this.#session.removeSubSession(id);
    const { message, resolve, reject } = pending;
    const extHeaders = frame.getExtHeaders();
    if (frame.isError()) {
      const { error_code: code = 0, reason = "" } = frame.header;
      reject(new ErrorInfo(code, reason));
      fire(this, "onErrorResponse", message, code, reason, extHeaders);
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
