//! One file on its way: from a Blob to MSRP, or from MSRP to the application, piece by piece.
//! Not here: signalling (`invitation.js`), the connection (`media-link.js`), chunks (`msrp/endpoint.js`).

import { turn } from "./events.js";
import { fileLines } from "./file-sdp.js";
import { FileSource } from "./file-source.js";
import { randomWord } from "./identifiers.js";
import { MediaLink } from "./media-link.js";
import { writeSdp } from "./sdp.js";

/** Chunks under way: with those of 16 KiB, 1 MiB. */
const WINDOW = 64;
/** Octets of the largest file taken whose size was not announced. */
const UNANNOUNCED_OCTETS_MAX = 16 * 1024 * 1024 * 1024;

/** @typedef {import("./file-sdp.js").FileDescription} FileDescription */

/**
 * @typedef {object} FileHooks
 * @property {(octets: number, total: number) => void} progress so many have arrived over there
 * @property {(from: number, content: Uint8Array, total: number) => void} data
 * @property {() => void} success
 * @property {(status: number, reason: string) => void} failure
 */

/** One file in one direction. */
export class FileMedia extends MediaLink {
  #hooks;
  #file;
  /** What is sent; null if this side receives. @type {Blob | null} */
  #blob;
  #chunkOctets;
  #messageId = randomWord(24);
  #settled = false;

  /**
   * @param {FileDescription} file
   * @param {Blob | null} blob
   * @param {number} chunkOctets
   * @param {boolean} secure
   * @param {FileHooks & import("./media-link.js").LinkHooks} hooks
   */
  constructor(file, blob, chunkOctets, secure, hooks) {
    super(secure, hooks);
    this.#file = file;
    this.#blob = blob;
    this.#chunkOctets = chunkOctets;
    this.#hooks = hooks;
  }

  /** @override */
  sdp() {
    const sends = this.#blob !== null;
    return writeSdp({
      ...this.ownSide,
      acceptTypes: ["*"],
      acceptWrappedTypes: [],
      direction: sends ? "sendonly" : "recvonly",
      information: sends ? this.#file.description : "",
      attributes: fileLines(this.#file, sends),
    });
  }

  /** @override @returns {ReturnType<MediaLink["endpoint"]>} */
  endpoint() {
    return [{
      acceptTypes: ["*"],
      octetsMax: this.#file.size ?? UNANNOUNCED_OCTETS_MAX,
      chunkOctets: this.#chunkOctets,
      window: WINDOW,
    }, {
      message: () => 415,
      piece: ({ from, octets, total, last }) => this.#receive(from, octets, total, last),
      aborted: () => this.#settle(487, "the sender gave up"),
      progress: (_, octets) => this.#hooks.progress(octets, this.#blob?.size ?? 0),
      sent: () => this.#settle(0, ""),
      failed: (_, status, reason) => this.#settle(status, reason),
    }];
  }

  /** @override */
  begun() {
    const blob = this.#blob;
    if (!blob) return;
    const body = new FileSource(
      blob,
      () => turn(() => this.connection()?.resume()),
      (reason) => turn(() => {
        this.abort();
        this.#settle(400, reason);
      }),
    );
    const contentType = this.#file.type || "application/octet-stream";
    this.connection()?.send({ messageId: this.#messageId, contentType, body });
  }

  /** What is under way is not sent to its end; the other side is told. */
  abort() {
    if (this.#blob && !this.#settled) this.connection()?.abort(this.#messageId);
  }

  /**
   * @override
   * @param {number} status
   * @param {string} reason
   */
  finished(status, reason) {
    this.#settle(status, reason);
  }

  /**
   * @param {number} from
   * @param {Uint8Array} octets
   * @param {number | null} total
   * @param {boolean} last
   * @returns {number | void}
   */
  #receive(from, octets, total, last) {
    if (this.#blob || this.#settled) return 413;
    const { size } = this.#file;
    const whole = total ?? size ?? 0;
    if (octets.length > 0) this.#hooks.data(from, octets, whole);
    if (!last) return undefined;
    if (size !== null && size !== total) {
      this.#settle(413, `${total} octets came of ${size}`);
      return 413;
    }
    this.#settle(0, "");
    return undefined;
  }

  /**
   * @param {number} status 0: all is there
   * @param {string} reason
   */
  #settle(status, reason) {
    if (this.#settled) return;
    this.#settled = true;
    if (status === 0) this.#hooks.success();
    else this.#hooks.failure(status, reason);
  }
}
