//! One file between two users, and what an application says and hears of it.
//! Not here: signalling (`invitation.js`), the octets (`file-media.js`), finding the transfer of a frame
//! (`file-transfer-package.js`).

import { CALLSTATE } from "./constants.js";
import { fire, fireFirst, later } from "./events.js";
import { FileMedia } from "./file-media.js";
import { randomWord } from "./identifiers.js";
import { Invitation } from "./invitation.js";
import { readSdp } from "./sdp.js";

/** Octets of a chunk if the application does not say. */
const CHUNK_OCTETS = 16 * 1024;
const CHUNK_OCTETS_MAX = 256 * 1024;

/**
 * What is known of a file. `startOffset` and `stopOffset` are not used yet.
 * @typedef {object} FileProperty
 * @property {string} [name]
 * @property {number} [size] octets
 * @property {string} [type]
 * @property {{ algorithmName: string, value: string }[]} [hashes]
 * @property {string} [disposition] `render` or `attachment`
 * @property {string} [dispositon] the same, as the patent prints it
 * @property {string} [description]
 * @property {string} [creationTime]
 * @property {string} [modificationTime]
 * @property {string} [readTime]
 * @property {string} [direction] `send`
 * @property {string} [fileTransferId] made by the library
 */

/**
 * A file to be sent, or one that comes in (without `file`).
 * @typedef {{ file?: Blob | null, props?: FileProperty | null, fileTransferId?: string }} FileConfig
 */

/** Where octets are in a file: the first has number 1, `end` is the last one.
 * @typedef {{ start: number, end: number, total: number }} FileDataRange */
/** @typedef {{ fileTransferId: string, range: FileDataRange, content: Uint8Array }} FileData */
/** @typedef {{ fileTransferId: string, range: FileDataRange }} FileProgressData */
/** @typedef {import("./file-sdp.js").FileDescription} FileDescription */

/** A transfer. Made by `FileTransferPackage.createFileTransfer`, or handed to `onFileTransfer`. */
export class FileTransfer extends Invitation {
  #chunkOctets = CHUNK_OCTETS;
  /** @type {FileConfig | null} */
  #config = null;
  /** @type {FileDescription | null} */
  #file = null;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} callee who gets the file
   */
  constructor(session, callee) {
    super(session, callee, "file_transfer");
    /** Octets came. @type {((fileData: FileData) => void) | undefined} */
    this.onFileData = this.onFileData;
    /** So much is there. @type {((progress: FileProgressData) => void) | undefined} */
    this.onProgress = this.onProgress;
    /** The file is there. @type {((fileTransferId: string) => void) | undefined} */
    this.onFileTransferSuccess = this.onFileTransferSuccess;
    /** It is not, and will not be.
     * @type {((fileTransferId: string, status: number, reason: string) => void) | undefined} */
    this.onFileTransferFailure = this.onFileTransferFailure;
  }

  /**
   * Offers a file.
   * @override
   * @param {FileConfig | FileConfig[]} fileConfig the file; of a list the one there is
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  start(fileConfig, extHeaders) {
    const configs = Array.isArray(fileConfig) ? fileConfig : [fileConfig];
    const [config] = configs;
    if (configs.length !== 1) throw new Error("wsc: one file for each transfer; make several");
    if (!(config?.file instanceof Blob)) throw new TypeError("wsc: a transfer needs a File or a Blob");
    if (config.props?.direction === "receive") throw new Error("wsc: files are pushed, not pulled");
    super.start(config, extHeaders);
  }

  /**
   * Gives up: what has not come through by now does not any more.
   */
  abort() {
    const media = /** @type {FileMedia | null} */ (this.media());
    media?.abort();
    this.end();
  }

  /** @param {number} octets of a chunk, at most 256 KiB */
  setChunkSize(octets) {
    this.#chunkOctets = Math.min(Math.max(Math.trunc(octets), 1), CHUNK_OCTETS_MAX);
  }

  /** @returns {FileConfig[]} the file, as far as it is known */
  getFileConfigs() {
    return this.#config ? [this.#config] : [];
  }

  // For package developers.

  /**
   * @override
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    if (message.isRequest() && message.payload?.sdp && !this.media()) {
      const remote = readSdp(message.payload.sdp);
      if (typeof remote !== "string") this.#file = remote.direction === "recvonly" ? null : remote.file;
      if (this.#file) this.#config = { file: null, props: propertiesOf(this.#file), fileTransferId: this.#file.id };
    }
    super.onMessage(message);
  }

  /** @returns {boolean} whether a file is offered, and not wanted or something else */
  isOffered() {
    return this.#file !== null;
  }

  /**
   * @override
   * @param {FileConfig | null} config
   * @param {boolean} secure
   */
  createMedia(config, secure) {
    const blob = config?.file ?? null;
    if (blob && config) {
      this.#config = config;
      this.#file = describe(config, blob);
      config.fileTransferId = this.#file.id;
      config.props = propertiesOf(this.#file);
    }
    const file = this.#file ?? describe({}, new Blob([]));
    const fileTransferId = file.id;
    return new FileMedia(file, blob, this.#chunkOctets, secure, {
      ...this.linkHooks({ fileTransferId }),
      progress: (octets, total) => {
        const range = { start: 1, end: octets, total };
        fire(this, "onProgress", { fileTransferId, range });
      },
      data: (from, content, total) => {
        const range = { start: from + 1, end: from + content.length, total };
        fire(this, "onFileData", { fileTransferId, range, content });
      },
      success: () => {
        fire(this, "onFileTransferSuccess", fileTransferId);
        // Who has sent it ends it: RFC 5547, 8.4.
        if (blob) this.end();
      },
      failure: (status, reason) => {
        // Who was refused is told by which code.
        const { code } = this.getState().status;
        const refused = this.getState().state === CALLSTATE.FAILED ? code : undefined;
        const names = ["onFileTransferFailure", "onFiieTransferFailure"];
        fireFirst(this, names, fileTransferId, refused ?? status, reason);
        // What is being answered is answered first.
        later(() => this.end());
      },
    });
  }
}

/**
 * @param {FileConfig} config
 * @param {Blob} blob
 * @returns {FileDescription}
 */
function describe({ props }, blob) {
  const { name, lastModified } = /** @type {Partial<File>} */ (blob);
  const modified = lastModified === undefined ? undefined : new Date(lastModified).toUTCString();
  return {
    id: randomWord(32),
    name: props?.name ?? name ?? "file",
    type: props?.type ?? blob.type,
    size: blob.size,
    hashes: props?.hashes ?? [],
    disposition: (props?.disposition ?? props?.dispositon) === "attachment" ? "attachment" : "render",
    description: (props?.description ?? "").replace(/[\r\n]+/g, " "),
    dates: {
      creation: props?.creationTime,
      modification: props?.modificationTime ?? modified?.replace("GMT", "+0000"),
      read: props?.readTime,
    },
  };
}

/**
 * @param {FileDescription} file
 * @returns {FileProperty}
 */
function propertiesOf(file) {
  const { id, name, type, hashes, disposition, description, dates } = file;
  return {
    name,
    type,
    size: file.size ?? undefined,
    hashes,
    disposition,
    description,
    creationTime: dates.creation,
    modificationTime: dates.modification,
    readTime: dates.read,
    direction: "send",
    fileTransferId: id,
  };
}
