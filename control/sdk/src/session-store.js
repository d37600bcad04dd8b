//! What is kept of a session over a reload of its page, or given to another device.

import { environment } from "./environment.js";
import { Message } from "./message.js";

/** Name under which the id of the page's session is kept. */
const LAST = "sessionId";

/**
 * All that a session needs to go on elsewhere. It is as good as a password for as long as the session lives.
 * @typedef {object} SessionImage
 * @property {string} sessionId
 * @property {string} userName
 * @property {string} [wscId] of the server's node
 * @property {{ lastSent: number, lastReceived: number, unconfirmed: object[] }} sequence
 * @property {{ packageType: string, subSessionId: string, data: any }[]} subSessions what was going on
 */

/**
 * Keeps it in this tab.
 * @param {SessionImage} image
 * @returns {boolean} whether that was possible
 */
export function keep(image) {
  try {
    const storage = environment.storage();
    storage.setItem(image.sessionId, JSON.stringify(image));
    storage.setItem(LAST, image.sessionId);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} sessionId
 * @returns {SessionImage | null} what was kept; it is not kept any more
 */
export function recall(sessionId) {
  try {
    const image = readImage(JSON.parse(environment.storage().getItem(sessionId) ?? "null"));
    forget(sessionId);
    return image?.sessionId === sessionId ? image : null;
  } catch {
    return null;
  }
}

/** @param {string} sessionId */
export function forget(sessionId) {
  try {
    const storage = environment.storage();
    storage.removeItem(sessionId);
    if (storage.getItem(LAST) === sessionId) storage.removeItem(LAST);
  } catch {
    // A page without storage has nothing to forget.
  }
}

/**
 * @param {any} given
 * @returns {SessionImage | null} null if it is none
 */
export function readImage(given) {
  const image = typeof given === "string" ? JSON.parse(given) : given;
  const { sessionId, userName, wscId, sequence, subSessions } = image ?? {};
  const { lastSent, lastReceived, unconfirmed } = sequence ?? {};
  const counts = [lastSent, lastReceived].every((count) => Number.isSafeInteger(count) && count >= 0);
  if (typeof sessionId !== "string" || typeof userName !== "string" || !counts) return null;
  return {
    sessionId, userName, wscId,
    sequence: { lastSent, lastReceived, unconfirmed: Array.isArray(unconfirmed) ? unconfirmed : [] },
    subSessions: Array.isArray(subSessions) ? subSessions : [],
  };
}

/**
 * @param {SessionImage} image
 * @param {import("./sequence.js").Sequence} sequence gets the numbers, and the frames that nobody has confirmed
 */
export function restoreSequence(image, sequence) {
  sequence.lastSent = image.sequence.lastSent;
  sequence.lastReceived = image.sequence.lastReceived;
  sequence.unconfirmed = image.sequence.unconfirmed.map((frame) => new Message(frame));
}
