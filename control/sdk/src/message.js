//! One frame of the protocol: a JSON object with `control`, `header`, `payload`.
//! Strict in what is sent, lenient in what is read.

import { ACTION, MESSAGETYPE } from "./constants.js";

/** The protocol's version, on every frame. */
export const PROTOCOL_VERSION = "1.0";

/** Headers with a meaning of their own; all others are the application's. */
const SYSTEM_HEADERS = new Set([
  "action", "initiator", "initiator_name", "target", "share", "cslr", "cslw", "csuw", "sslr", "error_code", "response_code",
  "reason", "authenticate", "authorization", "participants", "group", "enquiry_data", "expiry", "ttl",
  "reliable",
]);

/**
 * @typedef {object} Control
 * @property {string} [type]
 * @property {string} [package_type]
 * @property {string} [session_id]
 * @property {string} [subsession_id]
 * @property {number} [sequence]
 * @property {number} [ack_sequence]
 * @property {string} [correlation_id]
 * @property {string} [message_state]
 * @property {string} [version]
 * @property {string} [wsc_id]
 */

/** @typedef {Record<string, any>} Header */

/** One frame. */
export class Message {
  /** @param {{ control?: Control, header?: Header, payload?: any } | string} [json] */
  constructor(json = {}) {
    const frame = typeof json === "string" ? JSON.parse(json) : json;
    /** Mechanics of the protocol. @type {Control} */
    this.control = frame.control ?? {};
    /** What is meant, and between whom. @type {Header} */
    this.header = frame.header ?? {};
    /** The body, if any. @type {any} */
    this.payload = frame.payload;
  }

  /** @returns {boolean} */
  isRequest() {
    return this.control.type === MESSAGETYPE.REQUEST;
  }

  /** @returns {boolean} */
  isResponse() {
    return this.control.type === MESSAGETYPE.RESPONSE;
  }

  /** @returns {boolean} */
  isMessage() {
    return this.control.type === MESSAGETYPE.MESSAGE;
  }

  /** @returns {boolean} */
  isError() {
    return this.control.type === MESSAGETYPE.ERROR;
  }

  /** @returns {boolean} */
  isACK() {
    return this.control.type === MESSAGETYPE.ACK;
  }

  /** @returns {boolean} whether it resumes a session: a connect that names one */
  isReconnect() {
    return this.control.package_type === "register" && this.isRequest()
      && this.header.action === ACTION.CONNECT && this.control.session_id !== undefined;
  }

  /**
   * Confirms this one frame.
   * @param {{ sendMessage(message: Message): void }} session
   */
  ack(session) {
    const { package_type, subsession_id, sequence } = this.control;
    session.sendMessage(new Message({
      control: { type: MESSAGETYPE.ACK, package_type, subsession_id, sequence },
    }));
  }

  /**
   * Sends `complete` for this response.
   * @param {{ sendMessage(message: Message): void }} session
   */
  complete(session) {
    const { package_type, subsession_id, correlation_id } = this.control;
    const { initiator, target } = this.header;
    session.sendMessage(new Message({
      control: { type: MESSAGETYPE.MESSAGE, package_type, subsession_id, correlation_id },
      header: { action: ACTION.COMPLETE, initiator, target },
    }));
  }

  /**
   * Adds headers of the application; those already there stay as they are.
   * @param {Record<string, any> | null} [headers]
   */
  addExtHeaders(headers) {
    for (const [name, value] of Object.entries(headers ?? {})) {
      if (!Object.hasOwn(this.header, name)) this.header[name] = value;
    }
  }

  /** @returns {Record<string, any>} the headers that are the application's */
  getExtHeaders() {
    return Object.fromEntries(
      Object.entries(this.header).filter(([name]) => !SYSTEM_HEADERS.has(name)),
    );
  }
}

/**
 * @param {Message} request
 * @param {number} code
 * @param {string} [reason]
 * @param {Record<string, any> | null} [extHeaders]
 * @returns {Message} the error that answers a request
 */
export function errorTo(request, code, reason, extHeaders) {
  const { package_type, subsession_id, correlation_id } = request.control;
  const { action, initiator, target } = request.header;
  const error = new Message({
    control: { type: MESSAGETYPE.ERROR, package_type, subsession_id, correlation_id },
    header: { action, initiator, target, error_code: code, reason },
  });
  error.addExtHeaders(extHeaders);
  return error;
}

/**
 * Reads a frame as it came.
 * @param {string} text
 * @returns {Message | null} null if it is no frame at all
 */
export function readMessage(text) {
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(json) || !isObject(json.control)) return null;
  const header = isObject(json.header) ? { ...json.header } : {};
  const control = { ...json.control };
  for (const name of ["sequence", "ack_sequence"]) control[name] = toCount(control[name]);
  for (const name of ["session_id", "subsession_id", "correlation_id", "version"]) {
    if (typeof control[name] === "number") control[name] = String(control[name]);
  }
  for (const name of ["sslr", "response_code", "error_code"]) {
    if (header[name] !== undefined) header[name] = toCount(header[name]);
  }
  if (header.initiator === undefined && header.initator !== undefined) {
    header.initiator = header.initator;
    delete header.initator;
  }
  if (control.package_type === "fileTransfer") control.package_type = "file_transfer";
  if (control.package_type === undefined && header.action === ACTION.CONNECT) {
    control.package_type = "register";
  }
  return new Message({ control, header, payload: json.payload });
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {any} value a number, or one written as a string
 * @returns {number | undefined}
 */
function toCount(value) {
  const count = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}
