//! One file on its way: from a Blob to MSRP, or from MSRP to the application, piece by piece.
//! Not here: signalling (`invitation.js`), the connection (`media-link.js`), chunks (`msrp/endpoint.js`).

import { turn } from "./events.js";
import { fileLines } from "./file-sdp.js";
import { FileSource } from "./file-source.js";
import { hashCheck } from "./hash.js";
import { randomWord } from "./identifiers.js";
import { MediaLink } from "./media-link.js";
import { writeSdp } from "./sdp.js";

/** Octets of the largest file taken whose size was not announced. */
const UNANNOUNCED_OCTETS_MAX = 16 * 1024 * 1024 * 1024;

/** @typedef {import("./file-sdp.js").FileDescription} FileDescription */

/**
 * What has come of a file, and what is needed to go on with the rest.
 * @typedef {object} Received
 * @property {number} octets from its start
 * @property {ReturnType<typeof hashCheck>} check of all of them; null if there is none
 * @property {WritableStreamDefaultWriter | null} writer where they went
 */

/** What is wrong with a file that came: a status, and why; null: nothing. @typedef {[number, string] | null} Wrong */

/**
 * @typedef {object} FileHooks
 * @property {(octets: number, total: number) => void} progress so many of the whole have arrived over there
 * @property {(from: number, content: Uint8Array, total: number) => void} data where it is in the whole
 * @property {() => void} success
 * @property {(status: number, reason: string) => void} failure
 */

/** One file, or the rest of one, in one direction. */
export class FileMedia extends MediaLink {
  #hooks;
  #file;
  /** The whole of what is sent; null if this side receives. @type {Blob | null} */
  #blob;
  #asks;
  #chunks;
  #messageId = randomWord(24);
  #settled = false;
  /** The end has come in and is being judged, whatever becomes of the connection. */
  #isWhole = false;
  /** @type {FileSource | null} */
  #source = null;
  /** Octets of the file before what this transfer carries. */
  #offset;
  /** @type {Received} */
  #received;
  /** Octets at the start of it that the other side has. */
  #arrived;

  /**
   * @param {FileDescription} file
   * @param {Blob | null} blob
   * @param {{ chunkOctets: number, chunkOctetsMax: number, secure: boolean, asks: boolean, sink: WritableStream | null,
   *   received: Received | null }} choices `asks`: for a file of the other side's; `received`: of an earlier transfer
   * @param {FileHooks & import("./media-link.js").LinkHooks} hooks
   */
  constructor(file, blob, { chunkOctets, chunkOctetsMax, secure, asks, sink, received }, hooks) {
    super(secure, hooks);
    this.#file = file;
    this.#blob = blob;
    this.#asks = asks;
    this.#chunks = { chunkOctets, chunkOctetsMax };
    this.#hooks = hooks;
    this.#offset = (file.range?.start ?? 1) - 1;
    this.#arrived = this.#offset;
    const writer = sink?.getWriter() ?? received?.writer ?? null;
    // Of a part whose start nobody here has seen there is no hash.
    const check = this.#offset === 0 ? hashCheck(file.hashes, file.size) : null;
    this.#received = received ? { ...received, writer } : { octets: this.#offset, check, writer };
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
      attributes: fileLines(this.#file, sends, this.#asks),
    });
  }

  /**
   * @override
   * @param {import("./sdp.js").RemoteMedia} remote
   */
  wrongWith({ direction, file, maxSize }) {
    const ours = this.#file;
    const part = (/** @type {FileDescription} */ { range }) => (range ? `${range.start}-${range.stop ?? "*"}` : "");
    if (direction === (this.#blob ? "sendonly" : "recvonly")) return "both sides go the same way";
    if (this.#asks && !file) return "it names no file";
    if (file && file.id !== ours.id) return "it is for another file";
    // The answer repeats the range, or there is no transfer of a part: RFC 5547, 8.3.
    if ((file || ours.range) && part(file ?? { ...ours, range: null }) !== part(ours)) return "it is for another part";
    if (this.#blob && this.#part().size > maxSize) return "the file is larger than it takes";
    if (this.#asks && file) {
      const { size, hashes, name, type, disposition, description, dates } = file;
      Object.assign(ours, { size, hashes, disposition, description, dates });
      Object.assign(ours, { name: name || ours.name, type: type || ours.type });
      if (this.#received.octets === 0) this.#received.check = hashCheck(hashes, size);
    }
    return "";
  }

  /** @override @returns {ReturnType<MediaLink["endpoint"]>} */
  endpoint() {
    return [{
      acceptTypes: ["*"],
      octetsMax: this.#file.size ?? UNANNOUNCED_OCTETS_MAX,
      ...this.#chunks,
      bulk: true,
    }, {
      message: () => 415,
      piece: ({ from, octets, total, last }) => this.#receive(from, octets, total, last),
      aborted: () => this.#settle(487, "the sender gave up"),
      progress: (_, octets) => {
        this.#arrived = this.#offset + octets;
        this.#hooks.progress(this.#arrived, this.#blob?.size ?? 0);
      },
      sent: () => this.#settle(0, ""),
      failed: (_, status, reason) => this.#settle(status, reason),
    }];
  }

  /** @override */
  begun() {
    if (!this.#blob) return;
    this.#source = new FileSource(
      this.#part(),
      () => turn(() => this.connection()?.resume()),
      (reason) => turn(() => {
        this.abort();
        this.#settle(400, reason);
      }),
    );
    const contentType = this.#file.type || "application/octet-stream";
    this.connection()?.send({ messageId: this.#messageId, contentType, body: this.#source });
  }

  /**
   * Whether the far end still has the beginning of what it was being sent, nobody knows: the relay may have cut a chunk,
   * which gives up the message (RFC 4975, 7.1). What is missing is a matter for another transfer.
   * @override
   */
  interrupted() {
    if (this.#blob) this.#settle(481, "the connection was lost");
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
    this.#source?.close();
    if (!this.#isWhole) this.#settle(status, reason);
  }

  /** @returns {number} octets of the file, from its start, that are over there as far as we know */
  arrived() {
    return this.#arrived;
  }

  /** @returns {number} octets of the file, from its start, that have come */
  come() {
    return this.#received.octets;
  }

  /** @returns {Received} what has come, for the transfer of the rest; this one takes nothing more */
  handOver() {
    this.#settled = true;
    return this.#received;
  }

  /** What is sent. RFC 5547, 6: Byte-Range counts from 1 in the part. */
  #part() {
    const blob = /** @type {Blob} */ (this.#blob);
    return this.#file.range ? blob.slice(this.#offset, this.#file.range.stop ?? blob.size) : blob;
  }

  /**
   * @param {number} start in what this transfer carries
   * @param {Uint8Array} piece
   * @param {number | null} total
   * @param {boolean} last
   * @returns {import("./msrp/endpoint.js").Taken | Promise<import("./msrp/endpoint.js").Taken>} a status to refuse it with; a
   *   promise: once it is taken
   */
  #receive(start, piece, total, last) {
    if (this.#blob || this.#settled) return 413;
    const { size, range } = this.#file;
    const stop = range?.stop ?? size;
    const received = this.#received;
    // An earlier transfer may have brought more than its sender knew.
    const octets = piece.subarray(Math.max(received.octets - this.#offset - start, 0));
    const from = received.octets;
    received.octets += octets.length;
    const hashed = received.check?.update(octets);
    const whole = size ?? this.#offset + (total ?? 0);
    const { writer } = received;
    if (octets.length > 0 && !writer) this.#hooks.data(from, octets, whole);
    const written = writer ? this.#written(writer, octets, whole) : null;
    this.#isWhole = last;
    const wrong = last ? this.#wrongAtTheEnd(stop, total) : null;
    if (hashed || written || wrong instanceof Promise) {
      return this.#taken([hashed, written], wrong, last ? writer : null).then(
        (found) => (last || found ? this.#ends(found) : undefined),
      );
    }
    return last ? this.#ends(wrong) : undefined;
  }

  /**
   * @param {WritableStreamDefaultWriter} writer
   * @param {Uint8Array} octets
   * @param {number} whole
   */
  async #written(writer, octets, whole) {
    if (octets.length > 0) await writer.write(octets);
    turn(() => this.#hooks.progress(this.#received.octets, whole));
  }

  /**
   * Waits until a piece is kept and counted in.
   * @param {(Promise<void> | null | undefined)[]} steps
   * @param {Wrong | Promise<Wrong>} judged
   * @param {WritableStreamDefaultWriter | null} writer to be closed if nothing is wrong
   * @returns {Promise<Wrong>}
   */
  async #taken(steps, judged, writer) {
    try {
      const [wrong] = await Promise.all([judged, ...steps]);
      if (!wrong) await writer?.close();
      return wrong;
    } catch (error) {
      return [413, `what has come can't be kept: ${/** @type {Error} */ (error)?.message ?? error}`];
    }
  }

  /**
   * @param {number | null} stop
   * @param {number | null} total
   * @returns {Wrong | Promise<Wrong>}
   */
  #wrongAtTheEnd(stop, total) {
    if (stop !== null && stop !== this.#offset + (total ?? 0)) {
      return [413, `${total} octets came of ${stop - this.#offset}`];
    }
    const { check, octets } = this.#received;
    const isWhole = this.#file.size === null || this.#file.size === octets;
    if (!check || !isWhole) return null;
    const holds = check.holds();
    return holds instanceof Promise ? holds.then((held) => this.#judged(held)) : this.#judged(holds);
  }

  /**
   * @param {boolean} holds whether the hash is right
   * @returns {Wrong}
   */
  #judged(holds) {
    if (holds) return null;
    // Going on from here can't mend it.
    this.#received = { octets: 0, check: null, writer: null };
    return [400, "the file's hash is not the one that was announced"];
  }

  /**
   * @param {Wrong} wrong
   * @returns {number | undefined}
   */
  #ends(wrong) {
    if (this.#settled) return wrong ? 413 : undefined;
    this.#settle(...(wrong ?? /** @type {[number, string]} */ ([0, ""])));
    return wrong?.[0];
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
