//! The package of file transfers.

import { FACTORY } from "./constants.js";
import { ERRORCODE } from "./errors.js";
import { fire } from "./events.js";
import { FileTransfer } from "./file-transfer.js";
import { InvitationPackage } from "./invitation-package.js";
import { log } from "./log.js";

/** Files that came in, whole or cut off, of which the rest may still come. */
const RESUMABLE_MAX = 32;

/**
 * All transfers of a session.
 * @extends {InvitationPackage<FileTransfer>}
 */
export class FileTransferPackage extends InvitationPackage {
  /** What came in, oldest first. @type {FileTransfer[]} */
  #incoming = [];

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "file_transfer") {
    super(session, packageType, ["File transfer", "File transfer thumbnail"]);
    /**
     * Somebody offers a file: accept or decline it, now or later.
     * @type {((fileTransfer: FileTransfer, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onFileTransfer = this.onFileTransfer;
    /**
     * Somebody wants a file of ours; which one, `props` of its configuration say. Accept with `{ file }`, or decline.
     * @type {((fileTransfer: FileTransfer, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onFileRequest = this.onFileRequest;
    /** Octets of the largest file that is taken; larger ones are declined with 403, `133 Size exceeded`. */
    this.maxFileSize = Infinity;
  }

  /**
   * @param {string} target who gets a file, such as `bob@example.com`
   * @returns {FileTransfer} not started yet
   */
  createFileTransfer(target) {
    return this.make(target);
  }

  /**
   * An image for whom the user has a call with.
   * @param {string} target
   * @returns {FileTransfer} not started yet
   */
  createImageShare(target) {
    const transfer = this.make(target);
    transfer.isFor({ share: "image" });
    return transfer;
  }

  /**
   * A file for all of a group.
   * @param {import("./chat.js").GroupName} group what `getGroup` of its chat gives
   * @returns {FileTransfer} not started yet
   */
  createGroupFileTransfer(group) {
    const transfer = this.make(FACTORY);
    transfer.isFor({ group });
    return transfer;
  }

  /**
   * Transfers what has not arrived of a file whose transfer was cut off: offers the rest of one that went out, asks for
   * the rest of one that came in. Its hash is that of the whole file.
   * @param {FileTransfer} former
   * @param {Record<string, any> | null} [extHeaders] for the other side
   * @returns {FileTransfer} a new one, with an id of its own, that is started; callbacks may be set now
   */
  resume(former, extHeaders) {
    const rest = former.rest();
    const { peer } = former.capabilityContext();
    const next = this.make(peer);
    next.isFor(former.purpose());
    if (rest.file) {
      next.resumes = former;
      former.end();
    } else {
      this.#takeOver(next, former);
    }
    next.start(rest, extHeaders);
    return next;
  }

  /**
   * @param {FileTransfer} next
   * @param {FileTransfer} former
   */
  #takeOver(next, former) {
    next.takeOver(former);
    this.#incoming = [...this.#incoming.filter((one) => one !== former), next].slice(-RESUMABLE_MAX);
  }

  /**
   * Makes a transfer; overridable to make an extended one.
   * @param {import("./client.js").Session} session
   * @param {string} callee
   * @returns {FileTransfer}
   */
  prepareFileTransfer(session, callee) {
    return new FileTransfer(session, callee);
  }

  /** @returns {FileTransfer[]} the transfers that are not over */
  getFileTransfers() {
    return this.all();
  }

  /**
   * @override
   * @param {import("./client.js").Session} session
   * @param {string} callee
   */
  prepare(session, callee) {
    return this.prepareFileTransfer(session, callee);
  }

  /**
   * @override
   * @param {FileTransfer} transfer
   * @param {Record<string, any>} extHeaders
   */
  arrived(transfer, extHeaders) {
    if (transfer.isWanted() && typeof this.onFileRequest === "function") {
      fire(this, "onFileRequest", transfer, extHeaders);
      return;
    }
    const [config] = transfer.getFileConfigs();
    if (!transfer.isOffered()) {
      transfer.decline(488, "no file is offered");
    } else if ((config?.props?.size ?? 0) > this.maxFileSize) {
      transfer.decline(403, "Forbidden", { warning: '399 browser "133 Size exceeded"' });
    } else if (typeof this.onFileTransfer === "function") {
      const former = Number(config?.props?.startOffset ?? 1) > 1
        ? this.#incoming.find((one) => transfer.isRestOf(one)) : undefined;
      if (former) this.#takeOver(transfer, former);
      else this.#incoming = [...this.#incoming, transfer].slice(-RESUMABLE_MAX);
      fire(this, "onFileTransfer", transfer, extHeaders);
    } else {
      log("warn", "a file came in and nobody has set onFileTransfer");
      transfer.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
    }
  }
}
