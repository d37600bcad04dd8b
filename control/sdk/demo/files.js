//! Files of a conversation: offered, on their way, there, or not.

import { FileLine, button } from "/demo/lines.js";
import { fileErrorWords, refusalWords } from "/demo/words.js";

/** @typedef {import("/sdk/wsc.js").FileTransfer} FileTransfer */
/** @typedef {{ name: string, add: (item: HTMLElement, notable: boolean) => void }} Place where it is shown */

/** Octets of the largest file that is kept in the page's memory. */
const KEPT_OCTETS_MAX = 1024 ** 3;

/**
 * Sends a file.
 * @param {FileTransfer} transfer not started yet
 * @param {File} file
 * @param {Place} place
 * @param {() => void} again sends it once more
 */
export function sendFile(transfer, file, place, again) {
  const shown = new FileLine("You", "mine", file);
  shown.picture(file);
  place.add(shown.item, false);
  let stopped = false;
  const stop = button("Cancel", "file-cancel", "small", () => {
    stopped = true;
    transfer.abort();
    failed("cancelled");
  });
  const failed = (/** @type {string} */ words) =>
    shown.shows("failed", words, button("Send again", "file-again", "small", again));
  shown.shows("waiting", `waiting for ${place.name}`, stop);
  transfer.onProgress = ({ range }) => {
    if (shown.item.dataset.status !== "moving") shown.shows("moving", "", stop);
    shown.moved(range.end);
  };
  transfer.onFileTransferSuccess = () => shown.shows("done", "sent");
  transfer.onFileTransferFailure = (_id, status, reason) => {
    if (!stopped) failed(refusalWords(place.name, { code: status, reason }) || fileErrorWords(status, reason));
  };
  try {
    transfer.start({ file });
  } catch (error) {
    failed(/** @type {Error} */ (error).message);
  }
}

/**
 * Shows a file that somebody offers, and takes it if the user wants it.
 * @param {FileTransfer} transfer
 * @param {Place} place
 */
export function offered(transfer, place) {
  const { name = "file", size = 0, type = "" } = transfer.getFileConfigs()[0]?.props ?? {};
  const shown = new FileLine(place.name, "theirs", { name, size, type });
  /** @type {Uint8Array[]} */
  const parts = [];
  let over = false;
  const ends = (/** @type {string} */ words) => {
    over = true;
    parts.length = 0;
    shown.shows("failed", words);
  };
  const accept = button("Accept", "file-accept", "small primary", () => {
    transfer.accept();
    shown.shows("moving", "", button("Cancel", "file-cancel", "small", () => {
      ends("cancelled");
      transfer.abort();
    }));
    shown.moved(0);
  });
  const decline = button("Decline", "file-decline", "small", () => {
    ends("declined");
    transfer.decline();
  });
  shown.shows("waiting", "wants to be saved", accept, decline);
  transfer.onFileData = ({ range, content }) => {
    if (over) return;
    parts.push(content);
    shown.moved(range.end);
  };
  transfer.onFileTransferSuccess = () => {
    over = true;
    const blob = new Blob(/** @type {any} */ (parts.splice(0)), { type });
    const save = /** @type {HTMLAnchorElement} */ (document.createElement("a"));
    Object.assign(save, { href: URL.createObjectURL(blob), download: name, textContent: "Save", className: "small button" });
    save.dataset.testid = "file-save";
    shown.picture(blob);
    shown.shows("done", "received", save);
  };
  transfer.onFileTransferFailure = (_id, status, reason) => {
    if (!over) ends(fileErrorWords(status, reason));
  };
  transfer.onStateChange = ({ state }) => {
    if (state === "ENDED" && shown.item.dataset.status === "waiting") ends("taken back");
  };
  place.add(shown.item, true);
  if (size > KEPT_OCTETS_MAX) {
    transfer.decline();
    ends("too large for this page");
  }
}
