//! The package of file transfers.

import { ERRORCODE } from "./errors.js";
import { fire } from "./events.js";
import { FileTransfer } from "./file-transfer.js";
import { InvitationPackage } from "./invitation-package.js";
import { log } from "./log.js";

/**
 * All transfers of a session.
 * @extends {InvitationPackage<FileTransfer>}
 */
export class FileTransferPackage extends InvitationPackage {
  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "file_transfer") {
    super(session, packageType, ["File transfer"]);
    /**
     * Somebody offers a file: accept or decline it, now or later.
     * @type {((fileTransfer: FileTransfer, extHeaders: Record<string, any>) => void) | undefined}
     */
    this.onFileTransfer = this.onFileTransfer;
  }

  /**
   * @param {string} target who gets a file, such as `bob@example.com`
   * @returns {FileTransfer} not started yet
   */
  createFileTransfer(target) {
    return this.make(target);
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
    if (!transfer.isOffered()) {
      transfer.decline(488, "no file is offered");
    } else if (typeof this.onFileTransfer === "function") {
      fire(this, "onFileTransfer", transfer, extHeaders);
    } else {
      log("warn", "a file came in and nobody has set onFileTransfer");
      transfer.decline(ERRORCODE.TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable");
    }
  }
}
