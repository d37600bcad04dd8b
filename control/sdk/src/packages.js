//! Which packages and subsessions a session has.

import { guarded } from "./events.js";
import { randomUuid } from "./identifiers.js";
import { WscMap } from "./subsession-map.js";

/** Messages of which it is remembered who hears what became of them. */
const SENDERS_MAX = 256;

/** @typedef {import("./message.js").Message} Message */

/**
 * A service of the session, such as a ChatPackage.
 * @typedef {object} Package
 * @property {string} packageType
 * @property {(message: Message) => void} onMessage
 * @property {string[]} [services] what a user of it can do
 * @property {() => void} [clear] frees everything without a word to the server
 * @property {() => void} [close] ends everything
 */

/**
 * One activity of a package, such as a Chat.
 * @typedef {object} SubSession
 * @property {string} subSessionId
 * @property {(message: Message) => void} onMessage
 */

/**
 * Who takes the enquiries of a subsession.
 * @typedef {{ onMessage: (message: Message) => void, clear: () => void }} Exchange
 */

/** The part of a session that knows its packages and subsessions. */
export class PackageHost {
  /** @type {Map<string, Package>} */
  #packages = new Map();
  /** @type {Map<string, { packageType: string, subSession: SubSession }>} */
  #subSessions = new Map();
  /** @type {Map<string, Exchange>} */
  #exchanges = new Map();

  /** Who hears what became of a message, by the message's id.
   * @type {Map<string, (status: string, by: string) => void>} */
  #senders = new Map();

  /**
   * What became of a message goes to its sender, also when it is told outside of the chat.
   * @param {string} messageId
   * @param {(status: string, by: string) => void} told
   */
  awaitReport(messageId, told) {
    this.#senders.set(messageId, told);
    if (this.#senders.size > SENDERS_MAX) this.#senders.delete(this.#senders.keys().next().value ?? "");
  }

  /**
   * @param {import("./message.js").Message} message says what became of a message
   * @returns {boolean} whether somebody has waited for that
   */
  takeReport({ header, payload }) {
    const told = this.#senders.get(String(payload?.message_id ?? ""));
    if (told) guarded("a report", () => told(String(payload?.status ?? "error"), header.initiator ?? ""));
    return told !== undefined;
  }

  /**
   * Adds a package; a second one of a type is an error.
   * @param {Package} added
   */
  registerPackage(added) {
    if (this.#packages.has(added.packageType)) {
      throw new Error(`wsc: the session already has a package "${added.packageType}"`);
    }
    this.#packages.set(added.packageType, added);
  }

  /** @returns {string} what the page can do by the packages it has made: `IM/CHAT,File transfer` */
  services() {
    return Array.from(this.#packages.values(), ({ services }) => services ?? []).flat().join(",");
  }

  /**
   * Enquiries inside a subsession go to this exchange from now on.
   * @param {string} id of the subsession
   * @param {Exchange} exchange
   */
  attachExchange(id, exchange) {
    this.#exchanges.set(id, exchange);
  }

  /**
   * @param {string} id of a subsession
   * @returns {Exchange | undefined}
   */
  exchangeOf(id) {
    return this.#exchanges.get(id);
  }

  /**
   * @param {string} packageType
   * @returns {Package | undefined}
   */
  getPackage(packageType) {
    return this.#packages.get(packageType);
  }

  /**
   * @param {string} packageType
   * @param {string} id
   * @param {SubSession} subSession
   */
  putSubSession(packageType, id, subSession) {
    this.#subSessions.set(id, { packageType, subSession });
  }

  /**
   * @param {string} id
   * @returns {SubSession | undefined}
   */
  getSubSession(id) {
    return this.#subSessions.get(id)?.subSession;
  }

  /** @param {string} id */
  removeSubSession(id) {
    this.#subSessions.delete(id);
    this.#exchanges.delete(id);
  }

  /**
   * @param {string} type
   * @returns {WscMap<SubSession>}
   */
  getSubSessionsByPackageType(type) {
    /** @type {WscMap<SubSession>} */
    const found = new WscMap();
    for (const [id, { packageType, subSession }] of this.#subSessions) {
      if (packageType === type) found.put(id, subSession);
    }
    return found;
  }

  /** @returns {SubSession[]} */
  getAllSubSessions() {
    return Array.from(this.#subSessions.values(), ({ subSession }) => subSession);
  }

  /** @returns {boolean} */
  hasSubSessions() {
    return this.#subSessions.size > 0;
  }

  /**
   * @param {string} id of a subsession
   * @returns {string | undefined} type of the package it belongs to
   */
  packageTypeOf(id) {
    return this.#subSessions.get(id)?.packageType;
  }

  /** @returns {string} */
  generateSubSessionId() {
    return randomUuid();
  }

  /** Drops all subsessions; their packages free what they hold, without a word to the server. */
  clearSubSessions() {
    for (const owner of this.#packages.values()) {
      guarded(`package ${owner.packageType}`, () => owner.clear?.());
    }
    for (const exchange of this.#exchanges.values()) exchange.clear();
    this.#subSessions.clear();
    this.#exchanges.clear();
  }
}
