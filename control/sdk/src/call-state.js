//! States of a chat's signalling: the table of edges, and what the application is told. Pure.

import { CALLSTATE } from "./constants.js";

/** A state with the status that led to it. */
export class CallState {
  /**
   * @param {string} state one of CALLSTATE
   * @param {number} [code] SIP-like status
   * @param {string} [reason] in words
   */
  constructor(state, code, reason) {
    /** One of CALLSTATE. */
    this.state = state;
    /** Why. */
    this.status = { code, reason };
  }
}

/**
 * What can happen to a chat, a transfer or a call.
 * @typedef {"started" | "responded" | "completed" | "updating" | "updated" | "update-failed" | "refused"
 *   | "ended"} CallEvent
 */

const {
  NONE, STARTED, RESPONDED, ESTABLISHED, UPDATING, UPDATED, UPDATE_FAILED, FAILED, ENDED,
} = CALLSTATE;

/** State → event → next state. What is not listed changes nothing. */
export const CALL_EDGES = Object.freeze({
  [NONE]: { started: STARTED, refused: FAILED, ended: ENDED },
  [STARTED]: { responded: RESPONDED, refused: FAILED, ended: ENDED },
  [RESPONDED]: { responded: RESPONDED, completed: ESTABLISHED, refused: FAILED, ended: ENDED },
  [ESTABLISHED]: { updating: UPDATING, ended: ENDED, refused: FAILED },
  [UPDATING]: { updated: UPDATED, "update-failed": UPDATE_FAILED, ended: ENDED, refused: FAILED },
  [UPDATED]: { updating: UPDATING, ended: ENDED, refused: FAILED },
  [UPDATE_FAILED]: { updating: UPDATING, ended: ENDED, refused: FAILED },
  [FAILED]: {},
  [ENDED]: {},
});

/**
 * @param {string} state
 * @param {CallEvent} event
 * @returns {string | null} the next state; null if the event means nothing in this one
 */
export function nextCallState(state, event) {
  const edges = /** @type {Record<string, Record<string, string>>} */ (CALL_EDGES)[state];
  return edges?.[event] ?? null;
}

/**
 * @param {string} state
 * @returns {boolean} whether nothing can follow
 */
export function isFinal(state) {
  return state === FAILED || state === ENDED;
}
