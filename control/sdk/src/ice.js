//! STUN and TURN servers: those the application gives, else those the server has told, asked for anew when they are old.

import { turnServers } from "./auth.js";
import { ACTION, MESSAGETYPE } from "./constants.js";
import { environment } from "./environment.js";
import { startTimer, stopTimer } from "./events.js";
import { Message } from "./message.js";

/** Longest wait for the server's answer, in milliseconds. */
const ANSWER_MS_MAX = 2000;

/** The servers of one session. */
export class IceServers {
  /** @type {RTCIceServer[]} */
  #known = [];
  #goodUntil = Infinity;
  /** Who waits for the server's answer. @type {(() => void)[]} */
  #waiting = [];

  /** @param {any} payload of a connect's or an enquiry's response */
  learn(payload) {
    if (Array.isArray(payload?.iceServers)) {
      this.#known = payload.iceServers;
      const seconds = Number(payload.iceServersTtl);
      this.#goodUntil = seconds > 0 ? environment.now() + seconds * 1000 : Infinity;
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /**
   * @param {import("./client.js").Session} session
   * @param {import("./auth.js").AuthHandler | null} handler
   * @returns {Promise<RTCIceServer[]>}
   */
  async get(session, handler) {
    const given = await turnServers(handler);
    if (given) return given;
    if (environment.now() >= this.#goodUntil) await this.#ask(session);
    return this.#known;
  }

  /** @param {import("./client.js").Session} session */
  #ask(session) {
    const user = session.getUserName();
    return new Promise((resolve) => {
      const timer = startTimer(() => resolve(null), ANSWER_MS_MAX);
      this.#waiting.push(() => {
        stopTimer(timer);
        resolve(null);
      });
      session.sendMessage(new Message({
        control: { type: MESSAGETYPE.REQUEST, package_type: "register" },
        header: { action: ACTION.ICE_ENQUIRY, initiator: user, target: user },
      }));
    });
  }
}
