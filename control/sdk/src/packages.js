//! Which packages and subsessions a session has.

import { guarded } from "./events.js";
import { randomUuid } from "./identifiers.js";
import { WscMap } from "./subsession-map.js";

/** @typedef {import("./message.js").Message} Message */

/**
 * A service of the session, such as a ChatPackage.
 * @typedef {object} Package
 * @property {string} packageType
 * @property {(message: Message) => void} onMessage
 * @property {() => void} [clear] frees everything without a word to the server
 * @property {() => void} [close] ends everything
 */

/**
 * One activity of a package, such as a Chat.
 * @typedef {object} SubSession
 * @property {string} subSessionId
 * @property {(message: Message) => void} onMessage
 */

/** The part of a session that knows its packages and subsessions. */
export class PackageHost {
  /** @type {Map<string, Package>} */
  #packages = new Map();
  /** @type {Map<string, { packageType: string, subSession: SubSession }>} */
  #subSessions = new Map();

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
    this.#subSessions.clear();
  }
}
