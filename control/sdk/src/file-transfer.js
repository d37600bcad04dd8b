//! One file between two users, and what an application says and hears of it.
//! Not here: signalling (`invitation.js`), the octets (`file-media.js`), finding the transfer of a frame
//! (`file-transfer-package.js`).

import { isFinal } from "./call-state.js";
import { ACTION, CALLSTATE } from "./constants.js";
import { environment } from "./environment.js";
import { fire, fireFirst, later, startTimer, stopTimer, turn } from "./events.js";
import { iconOf, iconUrl } from "./file-icon.js";
import { FileMedia } from "./file-media.js";
import { hashesOf } from "./hash.js";
import { randomWord } from "./identifiers.js";
import { Invitation } from "./invitation.js";
import { readSdp } from "./sdp.js";
import { SeveralFiles } from "./several-files.js";

/** Octets of a chunk if the application does not say; on a fast way, the most there may be. */
const CHUNK_OCTETS = 64 * 1024;
const CHUNK_OCTETS_MAX = 256 * 1024;
/** The rest of a file is asked for again for so long while the server has too much to do for anything new. */
const ASK_AGAIN_FOR_MS = 60_000;
/** Seconds until then if the server does not say; spread by chance over as long again. */
const ASK_AGAIN_S = 2;
/** Who answers so takes no icon along with an offer: media type not supported, or too large. */
const NO_ICON = [413, 415, 513];

/**
 * What is known of a file.
 * @typedef {object} FileProperty
 * @property {string} [name]
 * @property {number} [size] octets
 * @property {string} [type]
 * @property {{ algorithmName: string, value: string }[]} [hashes] of the whole file, `sha-1` and `sha-256`, upper-case
 *   pairs with colons. Computed if they are not given, for which the file is read once more; `[]`: none
 * @property {string} [disposition] `render` or `attachment`
 * @property {string} [dispositon] the same, as the patent prints it
 * @property {string} [description]
 * @property {string} [creationTime] such as `Wed, 01 May 2024 09:30:00 +0000`
 * @property {string} [modificationTime]
 * @property {string} [readTime]
 * @property {string | number} [startOffset] the first octet that is sent, counted from 1: a part of a file
 * @property {string | number} [stopOffset] the last one; `*` or nothing: to the end
 * @property {Blob | string} [icon] a small picture of it, PNG, JPEG, GIF or the like of at most 10 KiB, that goes along with the
 *   offer: a Blob or a `data:` URL. That of a file which is offered is a `data:` URL. Devices that want one say so by the service
 *   `File transfer thumbnail`
 * @property {string} [direction] `send`, or `receive`: who starts it wants the file
 * @property {string} [fileTransferId] made by the library
 */

/**
 * A file to be sent, or one that comes in (without `file`). `sink` is where a file that comes in is to be written, in
 * order, such as what `createWritable()` of a file in OPFS gives; it is closed when the file is there, and left open
 * after a failure, for the rest.
 * @typedef {{ file?: Blob | null, props?: FileProperty | null, fileTransferId?: string,
 *   sink?: WritableStream | null }} FileConfig
 */

/** Where octets are in a file: the first has number 1, `end` is the last one.
 * @typedef {{ start: number, end: number, total: number }} FileDataRange */
/** @typedef {{ fileTransferId: string, range: FileDataRange, content: Uint8Array }} FileData */
/** @typedef {{ fileTransferId: string, range: FileDataRange }} FileProgressData */
/** @typedef {import("./file-sdp.js").FileDescription} FileDescription */
/**
 * What a file is for beside one user: a group, or an image that is shared in a call.
 * @typedef {{ group?: import("./chat.js").GroupName, share?: "image" }} FilePurpose
 */

/** A transfer. Made by `FileTransferPackage.createFileTransfer`, or handed to `onFileTransfer`. */
export class FileTransfer extends Invitation {
  #chunkOctets = { chunkOctets: CHUNK_OCTETS, chunkOctetsMax: CHUNK_OCTETS_MAX };
  /** @type {FileConfig | null} */
  #config = null;
  /** @type {FileDescription | null} */
  #file = null;
  /** Whether the other side wants a file of ours. */
  #isWanted = false;
  /** Whether the file is there. */
  #isDone = false;
  /** What goes along with the offer. @type {import("./file-icon.js").Icon | null} */
  #icon = null;
  /** The file's hashes are being computed, or its icon read; what waits for them. @type {object | null} */
  #hashing = null;
  /** Until when it is asked for again, and when next. */
  #askUntil = 0;
  /** @type {any} */
  #askTimer;
  /** What it is for beside one user. @type {FilePurpose} */
  #purpose = {};
  /** The transfers of its files, if there are several. @type {SeveralFiles | null} */
  #several = null;
  /** What an earlier transfer has brought. @type {import("./file-media.js").Received | null} */
  #received = null;

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
    /** The transfer that was cut off and whose rest this one brings; `onFileData` goes on where that one stopped. While a
     * server has too much to do for it (503), it is asked for again, up to a minute. @type {FileTransfer | null} */
    this.resumes = null;
  }

  /**
   * Offers a file, or asks for one: with `props.direction` `receive`, and its hashes or its name in `props`. Several go in a
   * transfer each, and this one tells of all: by `fileTransferId`, which the library puts into each configuration.
   * @override
   * @param {FileConfig | FileConfig[]} fileConfig
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  start(fileConfig, extHeaders) {
    const configs = listOf(fileConfig);
    if (this.#hashing || this.#several) throw new Error("wsc: it was started already");
    if (new Set(configs).size < configs.length) throw new Error("wsc: each file has a configuration of its own");
    if (configs.length === 0) throw new Error("wsc: there is no file");
    configs.forEach(checkConfig);
    const [config] = configs;
    if (configs.length > 1) {
      this.#startSeveral(configs, extHeaders);
      return;
    }
    const asks = config.props?.direction === "receive";
    // Who shares an image wants it shown.
    if (this.isImageShare()) config.props = { disposition: "render", ...config.props };
    const icon = asks ? null : iconOf(config.props?.icon);
    this.#describe(config, randomWord(32), { icon: icon ? `${randomWord(24)}@wsc.invalid` : "" });
    this.#read(config, icon, () => super.start(config, { ...extHeaders, ...this.#purpose }));
  }

  /**
   * Takes what is offered, or gives what is wanted.
   * @override
   * @param {FileConfig | FileConfig[] | null} [fileConfig] `sink`: where the file is to go, if not to `onFileData`;
   *   `file`: the one that is wanted. Of a list the one with its `fileTransferId`, else the first
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  accept(fileConfig, extHeaders) {
    const configs = listOf(fileConfig ?? []);
    const config = configs.find((one) => this.#isOf(one)) ?? configs[0] ?? {};
    if (!this.#isWanted) {
      super.accept(config, extHeaders);
      return;
    }
    if (!(config.file instanceof Blob)) throw new TypeError("wsc: a file is wanted: give a File or a Blob");
    const asked = /** @type {FileDescription} */ (this.#file);
    this.#describe(config, asked.id, { range: asked.range });
    this.#read(config, null, () => {
      const ours = this.#file?.hashes ?? [];
      const other = asked.hashes.some(({ algorithmName, value }) => ours.some((hash) =>
        hash.algorithmName === algorithmName.toLowerCase() && hash.value.toUpperCase() !== value.toUpperCase()));
      if (other) this.decline(488, "that is another file");
      else super.accept(config, extHeaders);
    });
  }

  /**
   * Gives up: what has not come through by now does not any more.
   * @param {FileConfig | FileConfig[] | null} [fileConfig] which of several files; without it all
   */
  abort(fileConfig) {
    const which = fileConfig ? listOf(fileConfig) : null;
    if (this.#several) {
      this.#several.abort(which);
      return;
    }
    if (!this.hasAnyOf(which)) return;
    const media = /** @type {FileMedia | null} */ (this.media());
    media?.abort();
    this.end();
  }

  /**
   * Ends it, or takes back the asking.
   * @override
   * @param {Record<string, any> | null} [extHeaders] for the other side
   */
  end(extHeaders) {
    if (this.#several) {
      this.#several.end(extHeaders);
      return;
    }
    stopTimer(this.#askTimer);
    if (this.#hashing && this.getState().state === CALLSTATE.NONE) this.#unsent(487, "it was not offered yet");
    super.end(extHeaders);
  }

  /** @param {number} octets of each chunk, at most 256 KiB */
  setChunkSize(octets) {
    const chunkOctets = Math.min(Math.max(Math.trunc(octets), 1), CHUNK_OCTETS_MAX);
    this.#chunkOctets = { chunkOctets, chunkOctetsMax: chunkOctets };
  }

  /** @returns {FileConfig[]} the file, as far as it is known; each of several */
  getFileConfigs() {
    if (this.#several) return this.#several.configs();
    return this.#config ? [this.#config] : [];
  }

  /**
   * @param {string} fileTransferId
   * @returns {FileTransfer | null} the transfer of this file: of several one of its own, such as `resume` wants
   */
  getFileTransfer(fileTransferId) {
    if (this.#several) return this.#several.find(fileTransferId);
    return this.#file?.id === fileTransferId ? this : null;
  }

  /** @returns {boolean} whether it is an image that is shared in a call */
  isImageShare() {
    return this.#purpose.share === "image";
  }

  /** @returns {import("./chat.js").GroupName | null} the group it is for, or comes from */
  getGroup() {
    return this.#purpose.group ?? null;
  }

  // For package developers.

  /**
   * @param {FileConfig[] | null} configs null: of whatever
   * @returns {boolean} whether it is of any of these
   */
  hasAnyOf(configs) {
    return configs === null || configs.some((one) => this.#isOf(one));
  }

  /** @returns {FilePurpose} */
  purpose() {
    return this.#purpose;
  }

  /** @param {FilePurpose} purpose before it is started */
  isFor(purpose) {
    this.#purpose = purpose;
  }

  /**
   * @override
   * @param {import("./message.js").Message} message
   */
  onMessage(message) {
    if (message.isRequest() && message.payload?.sdp && !this.media()) {
      const { group, share } = message.header;
      if (typeof group?.focus === "string") this.#purpose.group = group;
      if (share === "image") this.#purpose.share = share;
      const remote = readSdp(message.payload.sdp);
      if (typeof remote !== "string" && remote.file) {
        this.#isWanted = remote.direction === "recvonly";
        this.#file = remote.file;
        if (!this.#isWanted) remote.file.name ||= "file";
        const props = propertiesOf(remote.file, this.#isWanted ? "receive" : "send");
        if (remote.file.icon && !this.#isWanted) props.icon = iconUrl(message.payload.icon);
        this.#config = { file: null, props, fileTransferId: remote.file.id };
      }
    }
    if (!this.#asksAgain(message) && !this.#goesWithout(message)) super.onMessage(message);
  }

  /**
   * @override
   * @param {Record<string, any>} [payload]
   */
  ask(payload) {
    super.ask(this.#icon ? { ...payload, icon: this.#icon } : payload);
  }

  /**
   * @param {FileConfig[]} configs
   * @param {Record<string, any> | null} [extHeaders]
   */
  #startSeveral(configs, extHeaders) {
    const { session } = this.capabilityContext();
    const secure = this.wantsSecure();
    /** @type {FileTransfer[]} */
    const started = [];
    try {
      for (const config of configs) {
        const one = new FileTransfer(session, this.getTarget());
        one.packageType = this.packageType;
        one.isFor(this.#purpose);
        one.#chunkOctets = this.#chunkOctets;
        if (secure !== null) one.setSecure(secure);
        one.start(config, extHeaders);
        started.push(one);
      }
    } catch (error) {
      // All of them or none.
      for (const one of started) one.end();
      throw error;
    }
    this.#several = new SeveralFiles(this, started);
  }

  /** @param {FileConfig} config */
  #isOf(config) {
    const id = this.#file?.id;
    return config === this.#config || (id !== undefined && config?.fileTransferId === id);
  }

  /** @override */
  clear() {
    stopTimer(this.#askTimer);
    super.clear();
  }

  /**
   * What had begun goes on, even if the server turns away at the moment what is new to it.
   * @param {import("./message.js").Message} message
   * @returns {boolean} whether it was turned away, and is asked for again
   */
  #asksAgain(message) {
    const { action, error_code: code } = message.header;
    const turnedAway = action === ACTION.START && message.isError() && this.isOurs(message) && code === 503;
    this.#askUntil ||= environment.now() + ASK_AGAIN_FOR_MS;
    if (!turnedAway || !this.resumes || environment.now() > this.#askUntil) return false;
    const seconds = Number(message.header.retry_after) || ASK_AGAIN_S;
    this.#askTimer = startTimer(() => {
      if (!isFinal(this.getState().state)) this.ask();
    }, seconds * 1000 * (1 + environment.chance()));
    return true;
  }

  /**
   * Whoever can't take the icon along with the offer is offered the file without: RFC 3261, 21.4.13; RFC 5547, 8.8.
   * @param {import("./message.js").Message} message
   * @returns {boolean} whether it was refused for the icon, and is offered again
   */
  #goesWithout(message) {
    const { action, error_code: code = 0 } = message.header;
    const isRefused = action === ACTION.START && message.isError() && this.isOurs(message) && NO_ICON.includes(code);
    if (!this.#file || !this.#icon || !isRefused) return false;
    this.#icon = null;
    this.#file.icon = "";
    this.ask();
    return true;
  }

  /** @returns {boolean} whether a file is offered, and not wanted or something else */
  isOffered() {
    return this.#file !== null && !this.#isWanted;
  }

  /** @returns {boolean} whether a file of ours is wanted */
  isWanted() {
    return this.#isWanted;
  }

  /**
   * @param {FileTransfer} former
   * @returns {boolean} whether this one brings the rest of the file that was cut off in that one
   */
  isRestOf(former) {
    const [ours, theirs] = [this.#file, former.#file];
    const media = /** @type {FileMedia | null} */ (former.media());
    const from = (/** @type {FileTransfer} */ one) => one.capabilityContext().peer;
    if (!ours || !theirs || !media || former.#isDone || former.#config?.file || from(former) !== from(this)) return false;
    const same = ours.hashes.length > 0
      ? ours.hashes.some((hash) => theirs.hashes.some((other) => hash.algorithmName === other.algorithmName
        && hash.value.toUpperCase() === other.value.toUpperCase()))
      : ours.name === theirs.name && ours.size === theirs.size;
    return same && (ours.range?.start ?? 1) - 1 <= (former.#received?.octets ?? media.come());
  }

  /**
   * Goes on where a transfer was cut off, which takes nothing more.
   * @param {FileTransfer} former
   */
  takeOver(former) {
    const media = /** @type {FileMedia | null} */ (former.media());
    // Of one that was not accepted, what it had from another.
    const came = media?.handOver() ?? null;
    this.#received = former.#received ?? came;
    this.resumes = former;
    former.end();
  }

  /** @returns {FileConfig} what has not arrived of the file, to be transferred anew; throws if that makes no sense */
  rest() {
    const file = this.#file;
    const media = /** @type {FileMedia | null} */ (this.media());
    if (!file || this.#isDone) throw new Error("wsc: there is nothing to resume");
    const blob = this.#config?.file ?? null;
    const has = (blob ? media?.arrived() : this.#received?.octets ?? media?.come()) ?? 0;
    const startOffset = Math.max(Math.min(has, (blob?.size ?? file.size ?? Infinity) - 1), 0) + 1;
    const props = { ...propertiesOf(file, blob ? "send" : "receive"), startOffset, fileTransferId: undefined };
    if (this.#icon) props.icon = iconUrl(this.#icon);
    return { file: blob, props };
  }

  /**
   * @override
   * @param {FileConfig | null} config
   * @param {boolean} secure
   */
  createMedia(config, secure) {
    const file = this.#file ?? describe({}, null, randomWord(32), {});
    const blob = config?.file ?? null;
    const fileTransferId = file.id;
    const received = this.#received;
    this.#received = null;
    return new FileMedia(file, blob, {
      ...this.#chunkOctets,
      secure,
      asks: this.#config?.props?.direction === "receive" && !this.#isWanted,
      sink: config?.sink ?? null,
      received,
    }, {
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
        this.#isDone = true;
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

  /**
   * @param {FileConfig} config gets what the library adds
   * @param {string} id
   * @param {Partial<Pick<FileDescription, "range" | "icon">>} more the part that is wanted, the name of its icon
   */
  #describe(config, id, more) {
    const file = describe(config, config.file ?? null, id, { ...more, range: more.range ?? rangeOf(config.props ?? {}) });
    this.#file = file;
    this.#config = config;
    config.fileTransferId = id;
    const icon = file.icon ? { icon: config.props?.icon } : {};
    config.props = { ...propertiesOf(file, config.props?.direction === "receive" ? "receive" : "send"), ...icon };
  }

  /**
   * Goes on once the file's hashes are known, and its icon has been read.
   * @param {FileConfig} config
   * @param {ReturnType<typeof iconOf>} icon
   * @param {() => void} next
   */
  #read(config, icon, next) {
    const file = /** @type {FileDescription} */ (this.#file);
    const isHashed = !config.file || (config.props?.hashes?.length ?? 0) > 0 || file.hashes === NONE;
    if (isHashed && !(icon instanceof Promise)) {
      this.#icon = icon;
      next();
      return;
    }
    const turnOf = {};
    this.#hashing = turnOf;
    const hashing = isHashed ? file.hashes : hashesOf(/** @type {Blob} */ (config.file), () => this.#hashing === turnOf);
    Promise.all([hashing, icon]).then(([hashes, read]) => turn(() => {
      if (this.#hashing !== turnOf) return;
      this.#icon = read;
      file.hashes = hashes;
      if (config.props) config.props.hashes = hashes;
      this.#hashing = null;
      next();
    }), (error) => turn(() => this.#unsent(400, `the file or its icon can't be read: ${error?.message ?? error}`)));
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #unsent(status, reason) {
    if (!this.#hashing) return;
    this.#hashing = null;
    fireFirst(this, ["onFileTransferFailure", "onFiieTransferFailure"], this.#file?.id, status, reason);
  }
}

/** No hashes, by the application's wish. @type {never[]} */
const NONE = [];

/**
 * @template T
 * @param {T | T[]} given
 * @returns {T[]}
 */
function listOf(given) {
  return Array.isArray(given) ? given : [given];
}

/** @param {FileConfig} config of what is to be started; throws if it can't be */
function checkConfig(config) {
  const asks = config?.props?.direction === "receive";
  if (!asks && !(config?.file instanceof Blob)) throw new TypeError("wsc: a transfer needs a File or a Blob");
  if (asks && !config.props?.name && !config.props?.hashes?.length) {
    throw new Error("wsc: a file is asked for by its hashes or its name");
  }
}

/**
 * @param {FileProperty} props
 * @returns {import("./file-sdp.js").FileRange | null}
 */
function rangeOf({ startOffset, stopOffset }) {
  const start = Number(startOffset ?? 1);
  const stop = stopOffset === undefined || stopOffset === "*" ? null : Number(stopOffset);
  if (!(start >= 1) || (stop !== null && !(stop >= start))) throw new RangeError("wsc: no part of a file");
  return start === 1 && stop === null ? null : { start, stop };
}

/**
 * @param {FileConfig} config
 * @param {Blob | null} blob
 * @param {string} id
 * @param {Partial<Pick<FileDescription, "range" | "icon">>} more
 * @returns {FileDescription}
 */
function describe({ props }, blob, id, { range = null, icon = "" }) {
  const { name, lastModified } = /** @type {Partial<File>} */ (blob ?? {});
  const modified = lastModified === undefined ? undefined : new Date(lastModified).toUTCString();
  return {
    id,
    name: props?.name ?? name ?? (blob ? "file" : ""),
    type: props?.type ?? blob?.type ?? "",
    size: blob?.size ?? props?.size ?? null,
    hashes: blob && props?.hashes?.length === 0 ? NONE : props?.hashes ?? [],
    disposition: (props?.disposition ?? props?.dispositon) === "attachment" ? "attachment" : "render",
    description: (props?.description ?? "").replace(/[\r\n]+/g, " "),
    dates: {
      creation: props?.creationTime,
      modification: props?.modificationTime ?? modified?.replace("GMT", "+0000"),
      read: props?.readTime,
    },
    range: range && blob ? { start: range.start, stop: range.stop ?? blob.size } : range,
    icon,
  };
}

/**
 * @param {FileDescription} file
 * @param {string} direction
 * @returns {FileProperty}
 */
function propertiesOf(file, direction) {
  const { id, name, type, hashes, disposition, description, dates, range } = file;
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
    ...(range && { startOffset: String(range.start), stopOffset: String(range.stop ?? "*") }),
    direction,
    fileTransferId: id,
  };
}
