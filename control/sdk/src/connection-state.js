//! States of a session: the table of edges, and nothing else. Pure.

import { SESSIONSTATE } from "./constants.js";

/**
 * What can happen to a session.
 *
 * - `connected`: the server answered the first connect
 * - `refused`: it answered with an error, or the socket could not be opened
 * - `lost`: the socket went away, or nothing came back to our pings
 * - `resumed`: the server answered a resuming connect, with this or with a fresh session
 * - `given-up`: the time for reconnecting is over, or resuming was refused
 * - `moved`: the server says that the session goes on elsewhere
 * - `ended`: the server ended it in good order
 * - `fatal`: the server says that the session cannot go on
 * - `close`: the application closed it
 * - `restored`: it goes on with what another page has left
 * - `parked`: the server keeps it while nobody is there
 *
 * @typedef {"connected" | "refused" | "lost" | "resumed" | "given-up" | "moved" | "ended"
 *   | "fatal" | "close" | "restored" | "parked"} SessionEvent
 */

const { NONE, CONNECTED, RECONNECTING, RELOADING, HIBERNATED, SUSPENDED, FAILED, CLOSED } = SESSIONSTATE;

/** State → event → next state. What is not listed changes nothing. */
export const SESSION_EDGES = Object.freeze({
  [NONE]: {
    connected: CONNECTED,
    restored: RELOADING,
    refused: FAILED,
    lost: FAILED,
    ended: CLOSED,
    fatal: CLOSED,
    close: CLOSED,
  },
  [RELOADING]: {
    resumed: CONNECTED,
    lost: RECONNECTING,
    moved: SUSPENDED,
    ended: CLOSED,
    fatal: CLOSED,
    "given-up": FAILED,
    close: CLOSED,
  },
  [HIBERNATED]: { lost: RECONNECTING, close: CLOSED },
  [CONNECTED]: {
    parked: HIBERNATED,
    lost: RECONNECTING,
    moved: SUSPENDED,
    ended: CLOSED,
    fatal: CLOSED,
    "given-up": FAILED,
    close: CLOSED,
  },
  [RECONNECTING]: {
    resumed: CONNECTED,
    moved: SUSPENDED,
    ended: CLOSED,
    fatal: CLOSED,
    "given-up": FAILED,
    close: CLOSED,
  },
  [SUSPENDED]: { close: CLOSED },
  [FAILED]: { close: CLOSED },
  [CLOSED]: {},
});

/**
 * @param {string} state
 * @param {SessionEvent} event
 * @returns {string} the next state, which may be the same
 */
export function nextSessionState(state, event) {
  const edges = /** @type {Record<string, Record<string, string>>} */ (SESSION_EDGES)[state];
  return edges?.[event] ?? state;
}

/**
 * @param {number} code with which the socket was closed
 * @returns {SessionEvent} what that means for a session that was up
 */
export function meaningOfClose(code) {
  if (code === 1000) return "ended";
  if (code === 1001 || code === 4000) return "moved";
  if (code === 4008) return "given-up";
  return "lost";
}

/**
 * @param {string} state
 * @returns {boolean} whether the session takes no frames any more
 */
export function isOver(state) {
  return state === FAILED || state === CLOSED || state === SUSPENDED;
}
