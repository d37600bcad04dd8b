//! Answers to challenges, which only the application can give.

import { AUTHTYPE } from "./constants.js";
import { guarded } from "./events.js";

/** How often the application is asked per connect. */
const ASKED_MAX = 3;

/** Asks the application for credentials. Make one right after the session, and set `refresh`. */
export class AuthHandler {
  /** @param {import("./client.js").Session} session */
  constructor(session) {
    /**
     * Returns what becomes `header.authorization` (or a promise of it); false or null cancels.
     * @type {((authType: string, authHeaders: any) => any) | undefined}
     */
    this.refresh = this.refresh;
    session.setAuthHandler(this);
  }
}

/** The asking during one connect: at most three times. */
export class Challenges {
  #asked = 0;

  /**
   * @param {AuthHandler | null} handler
   * @param {any} authenticate the server's challenge
   * @returns {Promise<object | null>} what goes into `header.authorization`; null: none to be had
   */
  async answer(handler, authenticate) {
    while (typeof handler?.refresh === "function" && this.#asked < ASKED_MAX) {
      this.#asked += 1;
      const answer = await guarded("refresh", async () =>
        handler.refresh?.(AUTHTYPE.SERVICE, authenticate ?? null))?.catch(() => undefined);
      if (answer === null || answer === false) return null;
      if (typeof answer === "object") return answer;
    }
    return null;
  }
}
