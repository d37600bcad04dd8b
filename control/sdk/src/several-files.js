//! Several files that are offered or asked for at once: each goes in a transfer of its own, for devices take one in a session, and
//! one transfer, which the application holds, tells of all. Not here: one file (`file-transfer.js`).

import { CallState, isFinal } from "./call-state.js";
import { CALLSTATE } from "./constants.js";
import { fire, fireFirst } from "./events.js";

/** @typedef {import("./file-transfer.js").FileTransfer} FileTransfer */
/** @typedef {import("./file-transfer.js").FileConfig} FileConfig */

/** How far a transfer can get before it is over. @type {string[]} */
const STEPS = [CALLSTATE.NONE, CALLSTATE.STARTED, CALLSTATE.RESPONDED, CALLSTATE.ESTABLISHED];

/** The transfers behind one. */
export class SeveralFiles {
  #whole;
  #transfers;
  /** How each of them stands, as far as it was told. @type {Map<FileTransfer, CallState>} */
  #states = new Map();
  /** Those given up before they were offered: their state says nothing of that. @type {Set<FileTransfer>} */
  #givenUp = new Set();

  /**
   * @param {FileTransfer} whole tells of all; its state is the furthest that any of them has come to, until all are over: then it
   *   is ENDED, or FAILED if none was accepted
   * @param {FileTransfer[]} transfers one for each file, just started
   */
  constructor(whole, transfers) {
    this.#whole = whole;
    this.#transfers = transfers;
    for (const one of transfers) {
      this.#follow(one);
      this.#states.set(one, one.getState());
    }
    this.#stand();
  }

  /** @returns {FileConfig[]} */
  configs() {
    return this.#transfers.flatMap((one) => one.getFileConfigs());
  }

  /**
   * @param {string} fileTransferId
   * @returns {FileTransfer | null}
   */
  find(fileTransferId) {
    return this.#transfers.find((one) => one.getFileTransfer(fileTransferId)) ?? null;
  }

  /** @param {FileConfig[] | null} which null: all */
  abort(which) {
    for (const one of this.#transfers) if (one.hasAnyOf(which)) this.#giveUp(one, () => one.abort());
  }

  /** @param {Record<string, any> | null} [extHeaders] for the other side */
  end(extHeaders) {
    for (const one of this.#transfers) this.#giveUp(one, () => one.end(extHeaders));
  }

  /**
   * @param {FileTransfer} one
   * @param {() => void} ends
   */
  #giveUp(one, ends) {
    ends();
    this.#givenUp.add(one);
    this.#states.set(one, one.getState());
    this.#stand();
  }

  /** @param {FileTransfer} one */
  #follow(one) {
    const whole = this.#whole;
    one.onFileData = (data) => fire(whole, "onFileData", data);
    one.onProgress = (progress) => fire(whole, "onProgress", progress);
    one.onFileTransferSuccess = (id) => fire(whole, "onFileTransferSuccess", id);
    one.onFileTransferFailure = (...why) => {
      if (one.getState().state === CALLSTATE.NONE) this.#givenUp.add(one);
      fireFirst(whole, ["onFileTransferFailure", "onFiieTransferFailure"], ...why);
      this.#stand();
    };
    one.onConnectionStateChange = ({ state, ...about }) => whole.linkHooks(about).state(state);
    one.onStateChange = (state) => {
      if (!this.#givenUp.has(one)) this.#states.set(one, state);
      this.#stand();
    };
  }

  /** Says how all of them stand. */
  #stand() {
    const known = this.#whole.getState();
    if (isFinal(known.state)) return;
    const states = [...this.#states.values()];
    const isOver = (/** @type {FileTransfer} */ one) => isFinal(this.#states.get(one)?.state ?? "") || this.#givenUp.has(one);
    if (this.#transfers.every(isOver)) {
      const ended = states.find(({ state }) => state !== CALLSTATE.FAILED);
      const { code, reason } = (ended ?? states[0]).status;
      this.#whole.stands(new CallState(ended ? CALLSTATE.ENDED : CALLSTATE.FAILED, code, reason));
      return;
    }
    const furthest = states.reduce((most, one) =>
      (STEPS.indexOf(one.state) > STEPS.indexOf(most.state) ? one : most), known);
    if (furthest !== known) this.#whole.stands(furthest);
  }
}
