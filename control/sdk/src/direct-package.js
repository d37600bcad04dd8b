//! Chats and files from browser to browser, without the relay, where the other side is a browser that can; else as usual.

import { CallConfig } from "./call-config.js";
import { ChatPackage } from "./chat-package.js";
import { CALLSTATE, MEDIADIRECTION } from "./constants.js";
import { DirectSession, FRAMES } from "./direct-session.js";
import { environment } from "./environment.js";
import { startTimer, stopTimer } from "./events.js";
import { FileTransferPackage } from "./file-transfer-package.js";
import { log } from "./log.js";

/** What such a call is for, as its description says. */
const PURPOSE = "direct";
/** What users say who can do it. */
const SERVICE = "Data channel";
/** How long the other side may take, in milliseconds; after that it is done as usual. */
const OPEN_MS_MAX = 8000;

/** @typedef {{ session: DirectSession, chats: ChatPackage, files: FileTransferPackage }} Way */

/** Chooses the way of each chat and file. */
export class DirectPackage {
  #session;
  #calls;
  #chats;
  #files;
  #exchange;
  /** Ways there are, or that are being opened, by who is at their end. @type {Map<string, Promise<Way | null>>} */
  #ways = new Map();

  /**
   * @param {import("./client.js").Session} session
   * @param {object} packages of the same session
   * @param {import("./call-package.js").CallPackage} packages.calls
   * @param {ChatPackage} packages.chats its `onIncomingChat` hears of chats that come directly, too
   * @param {FileTransferPackage} packages.files its `onFileTransfer` hears of files that come directly, too
   * @param {import("./capability.js").CapabilityExchange} packages.exchange asks who can do it
   */
  constructor(session, { calls, chats, files, exchange }) {
    this.#session = session;
    this.#calls = calls;
    this.#chats = chats;
    this.#files = files;
    this.#exchange = exchange;
    if (environment.hasPeers()) calls.setTaker(PURPOSE, (call) => this.#taken(call));
  }

  /**
   * @param {string} target with whom
   * @returns {Promise<import("./chat.js").Chat>} not started yet
   */
  async createChat(target) {
    const way = await this.#to(target);
    return (way?.chats ?? this.#chats).createChat(target);
  }

  /**
   * @param {string} target who gets a file
   * @returns {Promise<import("./file-transfer.js").FileTransfer>} not started yet
   */
  async createFileTransfer(target) {
    const way = await this.#to(target);
    return (way?.files ?? this.#files).createFileTransfer(target);
  }

  /**
   * @param {string} target
   * @returns {Promise<boolean>} whether there is a direct way to them now
   */
  async isDirect(target) {
    return (await this.#ways.get(this.#name(target)) ?? null) !== null;
  }

  /**
   * @param {string} target
   * @returns {Promise<Way | null>} null: there is none
   */
  #to(target) {
    const name = this.#name(target);
    const known = this.#ways.get(name);
    if (known) return known;
    const opened = this.#open(name).catch((error) => {
      log("info", "there is no direct way", error);
      return null;
    });
    this.#ways.set(name, opened);
    opened.then((way) => {
      if (!way) this.#ways.delete(name);
    });
    return opened;
  }

  /**
   * @param {string} name
   * @returns {Promise<Way | null>}
   */
  async #open(name) {
    if (!environment.hasPeers()) return null;
    const { targetCapability = "" } = await this.#exchange.enquiry(undefined, name);
    if (!targetCapability.split(",").some((service) => service.trim() === SERVICE)) return null;
    const { NONE } = MEDIADIRECTION;
    const call = this.#calls.createCall(name, new CallConfig(NONE, NONE, [{ label: FRAMES, reliable: true }]));
    call.purpose = PURPOSE;
    return new Promise((resolve) => {
      const timer = startTimer(() => {
        call.end();
        resolve(null);
      }, OPEN_MS_MAX);
      const settle = (/** @type {Way | null} */ way) => {
        stopTimer(timer);
        resolve(way);
      };
      this.#follow(call, name, true, settle);
      call.start();
    });
  }

  /** @param {import("./call.js").Call} call that came in */
  #taken(call) {
    const name = this.#name(call.getCaller());
    const way = new Promise((resolve) => { this.#follow(call, name, false, resolve); });
    // Where both have called, each uses its own.
    if (!this.#ways.has(name)) this.#ways.set(name, way);
    call.accept(new CallConfig(MEDIADIRECTION.NONE, MEDIADIRECTION.NONE));
  }

  /**
   * @param {import("./call.js").Call} call
   * @param {string} name
   * @param {boolean} calls whether this side has called
   * @param {(way: Way | null) => void} settle called when it is open, or will not be
   */
  #follow(call, name, calls, settle) {
    const session = new DirectSession(call, this.#session.getUserName(), name, calls);
    const way = this.#inside(session);
    call.onDataTransfer = (transfer) => {
      session.channel(transfer);
      if (transfer.label !== FRAMES) return;
      const opened = transfer.onOpen;
      transfer.onOpen = () => {
        opened?.();
        settle(way);
      };
    };
    call.onCallStateChange = ({ state }) => {
      if (state !== CALLSTATE.FAILED && state !== CALLSTATE.ENDED) return;
      settle(null);
      this.#ways.delete(name);
      session.clear();
    };
    // No way through any more: the next chat asks anew.
    call.errorCallback = () => call.end();
  }

  /**
   * @param {DirectSession} direct
   * @returns {Way}
   */
  #inside(direct) {
    const session = /** @type {any} */ (direct);
    const chats = new ChatPackage(session);
    const files = new FileTransferPackage(session);
    chats.onIncomingChat = (chat, extHeaders) => this.#chats.arrived(chat, extHeaders);
    files.onFileTransfer = (transfer, extHeaders) => this.#files.arrived(transfer, extHeaders);
    return { session: direct, chats, files };
  }

  /**
   * @param {string} target
   * @returns {string} with our own domain, if it has none
   */
  #name(target) {
    const plain = target.trim().replace(/^sips?:/i, "");
    const domain = this.#session.getUserName().split("@")[1];
    return plain.includes("@") || plain.startsWith("tel:") || !domain ? plain : `${plain}@${domain}`;
  }
}
