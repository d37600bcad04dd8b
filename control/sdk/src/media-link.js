//! The way of media: where they go, the connection, losing it and finding another.
//! Not here: what travels on it (`chat-media.js`, `file-media.js`), chunks (`msrp/endpoint.js`).

import { ConnectionStateEnum } from "./constants.js";
import { environment } from "./environment.js";
import { later, startTimer, stopTimer } from "./events.js";
import { randomWord } from "./identifiers.js";
import { log } from "./log.js";
import { MsrpConnection } from "./msrp/connection.js";

/** A new way in is asked for after so long without one, spread by chance over as long again. */
const ASK_MS = 500;
/** Milliseconds between askings, after the first. */
const ASK_AGAIN_MS = 2000;
/** What is under way has so many milliseconds once the other side has ended it. */
const DRAIN_MS = 1000;
/** A lost connection that has not come back within this time has failed. */
const LOST_MS_MAX = 60_000;

/**
 * @typedef {object} LinkHooks
 * @property {(state: string) => void} state one of ConnectionStateEnum
 * @property {() => void} lost the connection went: ask for a new way in, if one can
 */

/** @typedef {import("./sdp.js").RemoteMedia} RemoteMedia */
/** @typedef {import("./msrp/endpoint.js").EndpointSettings} EndpointSettings */
/** @typedef {import("./msrp/connection.js").MsrpHooks} MsrpHooks */

/** One side's media: what a chat and a file have in common. */
export class MediaLink {
  #hooks;
  #localUri;
  /** @type {RemoteMedia | null} */
  #remote = null;
  /** @type {MsrpConnection | null} */
  #connection = null;
  /** @type {string} */
  #state = ConnectionStateEnum.NONE;
  #over = false;
  /** @type {any} */
  #askTimer;
  /** @type {any} */
  #lostTimer;
  /** What to do once the connection is gone. @type {(() => void) | null} */
  #drained = null;

  /**
   * @param {boolean} secure
   * @param {LinkHooks} hooks
   */
  constructor(secure, hooks) {
    this.#hooks = hooks;
    const scheme = secure ? "msrps" : "msrp";
    this.#localUri = `${scheme}://${randomWord(12)}.invalid:2855/${randomWord(26)};ws`;
    /** What every description of this side says. */
    this.ownSide = {
      secure, path: this.#localUri, origin: String(Math.trunc(Date.now() / 1000)),
    };
  }

  // What a kind of media adds.

  /** @returns {string} our session description; the same each time */
  sdp() {
    throw new Error("wsc: media must describe themselves");
  }

  /** @returns {[Omit<EndpointSettings, "localUri" | "remotePath">, Pick<MsrpHooks, "message" | "sent" | "failed">
   *   & Partial<MsrpHooks>]} */
  endpoint() {
    throw new Error("wsc: media must say what travels");
  }

  /**
   * @param {RemoteMedia} _remote the answer to what we offered
   * @returns {string} why it can't be used, or nothing
   */
  wrongWith(_remote) {
    return "";
  }

  /** The connection was begun: what waited may be sent. */
  begun() {}

  /** The connection is up, for the first time or again. */
  opened() {}

  /** The connection is lost, for now. */
  interrupted() {}

  /**
   * It is over; called once.
   * @param {number} _status
   * @param {string} _reason
   */
  finished(_status, _reason) {}

  // What all have.

  /** @param {RemoteMedia} remote what the other side said */
  setRemote(remote) {
    this.#remote = remote;
  }

  /** @returns {RemoteMedia | null} */
  remote() {
    return this.#remote;
  }

  /** @returns {MsrpConnection | null} */
  connection() {
    return this.#connection;
  }

  /** @returns {boolean} */
  isOver() {
    return this.#over;
  }

  /** @returns {boolean} */
  isOpen() {
    return this.#state === ConnectionStateEnum.OPEN;
  }

  /** Both sides agree: opens the MSRP connection. */
  connect() {
    const remote = this.#remote;
    if (!remote || this.#connection || this.#over) return;
    const [settings, hooks] = this.endpoint();
    this.#connection = new MsrpConnection(
      { ...settings, localUri: this.#localUri, remotePath: remote.path },
      {
        ...hooks,
        open: () => this.#opened(),
        closed: (orderly, status, reason) => this.#closed(orderly, status, reason),
        lost: (reason) => this.#lost(reason),
      },
    );
    this.#move(ConnectionStateEnum.CONNECTING);
    const connection = this.#connection;
    if (this.#attempt(() => connection.open(remote.url))) this.begun();
  }

  /**
   * There is a new way in: the connection goes on there.
   * @param {RemoteMedia} remote
   */
  rebind(remote) {
    const connection = this.#connection;
    if (!connection || this.#over) return;
    this.#remote = remote;
    this.#lost("a new way in was given", ASK_AGAIN_MS);
    this.#attempt(() => connection.move(remote.url, remote.path));
  }

  /**
   * The other side has ended it: what is under way still comes in, until the relay closes the
   * connection or its time is over.
   * @param {() => void} done
   */
  drain(done) {
    if (this.#state !== ConnectionStateEnum.OPEN || this.#drained) {
      done();
      return;
    }
    this.#drained = done;
    startTimer(done, DRAIN_MS);
  }

  /**
   * It is over: closes the connection; what is open has failed.
   * @param {number} status
   * @param {string} reason
   */
  end(status, reason) {
    if (this.#over) return;
    this.#finish(status, reason);
    this.#connection?.close(status, reason);
    const silent = [ConnectionStateEnum.NONE, ConnectionStateEnum.ERROR, ConnectionStateEnum.CLOSED];
    if (!silent.includes(/** @type {any} */ (this.#state))) this.#move(ConnectionStateEnum.CLOSED);
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #finish(status, reason) {
    this.#over = true;
    this.#stopLooking();
    this.finished(status, reason);
  }

  /**
   * @param {boolean} orderly
   * @param {number} status
   * @param {string} reason
   */
  #closed(orderly, status, reason) {
    if (this.#over) return;
    if (this.#drained) {
      this.#drained();
      return;
    }
    this.#finish(status, reason);
    this.#move(orderly ? ConnectionStateEnum.CLOSED : ConnectionStateEnum.ERROR);
  }

  /**
   * @param {() => void} opens
   * @returns {boolean}
   */
  #attempt(opens) {
    try {
      opens();
      return true;
    } catch (error) {
      log("error", "the media address is unusable", error);
      later(() => this.#closed(false, 481, "the media address is unusable"));
      return false;
    }
  }

  #opened() {
    this.#stopLooking();
    this.#move(ConnectionStateEnum.OPEN);
    this.opened();
  }

  /**
   * The connection is gone, and may come back by another way.
   * @param {string} reason
   * @param {number} [askIn] milliseconds until a way is asked for
   */
  #lost(reason, askIn = ASK_MS * (1 + environment.chance())) {
    if (this.#over) return;
    if (this.#drained) {
      this.#drained();
      return;
    }
    this.interrupted();
    this.#lostTimer ??= startTimer(() => {
      this.#connection?.close(481, reason);
      this.#closed(false, 481, reason);
    }, LOST_MS_MAX);
    this.#askIn(askIn);
    if (this.#state !== ConnectionStateEnum.CONNECTING) this.#move(ConnectionStateEnum.CONNECTING);
  }

  /** @param {number} ms */
  #askIn(ms) {
    stopTimer(this.#askTimer);
    this.#askTimer = startTimer(() => {
      this.#hooks.lost();
      this.#askIn(ASK_AGAIN_MS * (1 + environment.chance()));
    }, ms);
  }

  #stopLooking() {
    stopTimer(this.#askTimer);
    stopTimer(this.#lostTimer);
    this.#lostTimer = undefined;
  }

  /** @param {string} state */
  #move(state) {
    this.#state = state;
    this.#hooks.state(state);
  }
}
