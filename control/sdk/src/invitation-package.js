//! The package of things that somebody is invited to: finds what a frame belongs to.

import { ACTION, CALLSTATE } from "./constants.js";

/** @typedef {import("./invitation.js").Invitation} Invitation */

/**
 * All of one kind in a session.
 * @template {Invitation} T
 */
export class InvitationPackage {
  #session;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} packageType
   * @param {string[]} services what users of the package can do
   */
  constructor(session, packageType, services) {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    /** What users of the package can do. */
    this.services = services;
    session.registerPackage(this);
  }

  /**
   * @param {import("./client.js").Session} _session
   * @param {string} _callee
   * @returns {T} not started yet
   */
  prepare(_session, _callee) {
    throw new Error("wsc: a package must say what it makes");
  }

  /**
   * Something came in that nobody knows yet.
   * @param {T} _arrived
   * @param {Record<string, any>} _extHeaders
   */
  arrived(_arrived, _extHeaders) {}

  /**
   * @param {string} target with whom, such as `bob@example.com`
   * @returns {T} not started yet
   */
  make(target) {
    if (typeof target !== "string" || target.trim() === "") {
      throw new Error("wsc: there must be somebody to ask");
    }
    const made = this.prepare(this.#session, target.trim());
    made.packageType = this.packageType;
    return made;
  }

  /** @returns {T[]} what is not over */
  all() {
    const all = this.#session.getSubSessionsByPackageType(this.packageType).values();
    return /** @type {T[]} */ (/** @type {unknown} */ (all));
  }

  /** Ends everything. */
  close() {
    for (const one of this.all()) one.end();
  }

  /** Frees everything without a word to the server. */
  clear() {
    for (const one of this.all()) one.clear();
  }

  /**
   * Takes a frame of the package.
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const known = this.#session.getSubSession(id);
    if (known) {
      known.onMessage(message);
    } else if (message.isRequest() && message.header.action === ACTION.START && id !== "") {
      const made = this.prepare(this.#session, message.header.target ?? "");
      made.packageType = this.packageType;
      made.onMessage(message);
      if (made.getState().state === CALLSTATE.RESPONDED) this.arrived(made, message.getExtHeaders());
    } else if (message.isRequest()) {
      this.#session.sendError(message, 481, "no such subsession");
    }
  }
}
