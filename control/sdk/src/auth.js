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

/**
 * @param {AuthHandler | null} handler
 * @returns {Promise<RTCIceServer[] | null>} what the application gives for a call; null: nothing
 */
export async function turnServers(handler) {
  if (typeof handler?.refresh !== "function") return null;
  const given = await guarded("refresh", async () => handler.refresh?.(AUTHTYPE.TURN, null))?.catch(() => null);
  if (!Array.isArray(given?.iceServers)) return null;
  // `url` is what pages wrote before there was `urls`.
  return given.iceServers.map((/** @type {any} */ { url, ...server }) => ({ urls: url, ...server }));
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
