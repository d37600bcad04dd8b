//! Files of a conversation: offered, on their way, there, or not.

import { FileLine, button } from "/demo/lines.js";
import { thumbnail } from "/demo/thumbnail.js";
import { fileErrorWords, refusalWords } from "/demo/words.js";

/** @typedef {import("/sdk/wsc.js").FileTransfer} FileTransfer */
/**
 * Where it is shown, whether the other side shows icons, and what makes a transfer of what has not arrived of a former one.
 * @typedef {{ name: string, showsIcons: boolean, add: (item: HTMLElement, notable: boolean) => void,
 *   resume: (former: FileTransfer) => FileTransfer | undefined }} Place
 */

/** Octets of the largest file that is taken: the browser keeps them, on the disk if they are many. */
const KEPT_OCTETS_MAX = 4 * 1024 ** 3;
/** Octets that the page keeps itself until it hands them to the browser. */
const LOOSE_OCTETS_MAX = 4 * 1024 ** 2;
/**
 * What has come of files whose rest may come, if they are cut off.
 * @type {WeakMap<FileTransfer, { kept: Kept, giveWay: () => void }>}
 */
const coming = new WeakMap();

/** What has come of a file, none of it for long in the page's memory. */
class Kept {
  octets = 0;
  /** @type {Blob[]} */
  #blobs = [];
  /** @type {Uint8Array[]} */
  #loose = [];
  #looseOctets = 0;

  /** @param {Uint8Array} octets that follow on those before */
  add(octets) {
    this.octets += octets.length;
    this.#loose.push(octets);
    this.#looseOctets += octets.length;
    if (this.#looseOctets >= LOOSE_OCTETS_MAX) this.#handOver();
  }

  /**
   * @param {string} type
   * @returns {Blob} the whole
   */
  whole(type) {
    this.#handOver();
    return new Blob(this.#blobs.splice(0), { type });
  }

  #handOver() {
    this.#blobs.push(new Blob(/** @type {any} */ (this.#loose.splice(0))));
    this.#looseOctets = 0;
  }
}

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
  const failed = (/** @type {string} */ words, next = again) =>
    shown.shows("failed", words, button("Send again", "file-again", "small", next));
  /** @param {FileTransfer} going */
  const track = (going) => {
    let stopped = false;
    let moved = false;
    // Of what was cut off only the rest goes.
    const rest = () => {
      const next = place.resume(going);
      if (next) track(next);
    };
    const stop = button("Cancel", "file-cancel", "small", () => {
      stopped = true;
      going.abort();
      failed("cancelled", moved ? rest : again);
    });
    shown.shows("waiting", `waiting for ${place.name}`, stop);
    going.onProgress = ({ range }) => {
      if (stopped) return;
      if (!moved) shown.shows("moving", "", stop);
      moved = true;
      shown.moved(range.end);
    };
    going.onFileTransferSuccess = () => shown.shows("done", "sent");
    going.onFileTransferFailure = (_id, status, reason) => {
      if (stopped) return;
      const refused = refusalWords(place.name, { code: status, reason });
      failed(moved ? fileErrorWords(status, reason) : refused || fileErrorWords(status, reason), moved ? rest : again);
    };
  };
  place.add(shown.item, false);
  track(transfer);
  const start = (/** @type {Blob | null} */ icon) => {
    // It was cancelled before it was offered.
    if (shown.item.dataset.status !== "waiting") return;
    try {
      transfer.start({ file, props: icon ? { icon } : null });
    } catch (error) {
      failed(/** @type {Error} */ (error).message);
    }
  };
  if (place.showsIcons) thumbnail(file).then(start);
  else start(null);
}

/**
 * Shows a file that somebody offers, and takes it if the user wants it.
 * @param {FileTransfer} transfer
 * @param {Place} place
 */
export function offered(transfer, place) {
  const { name = "file", size = 0, type = "", startOffset = 1, icon } = transfer.getFileConfigs()[0]?.props ?? {};
  const shown = new FileLine(place.name, "theirs", { name, size, type });
  if (typeof icon === "string") shown.icon(icon);
  const former = transfer.resumes ? coming.get(transfer.resumes) : undefined;
  const kept = former?.kept ?? new Kept();
  let over = false;
  const ends = (/** @type {string} */ words) => {
    over = true;
    shown.shows("failed", words);
  };
  coming.set(transfer, { kept, giveWay: () => {
    if (!over) ends("cut off, its rest is offered below");
  } });
  former?.giveWay();
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
  shown.shows("waiting", transfer.resumes ? "its rest wants to be saved" : "wants to be saved", accept, decline);
  transfer.onFileData = ({ range, content }) => {
    kept.add(content);
    if (!over) shown.moved(range.end);
  };
  transfer.onFileTransferSuccess = () => {
    const blob = kept.whole(type);
    if (size > 0 && blob.size !== size) {
      ends("not all of it is here");
      return;
    }
    over = true;
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
  if (Number(startOffset) > 1 && kept.octets === 0) {
    // The rest alone is no file. Who sends it again sends it whole.
    transfer.decline();
    ends("the beginning is not here any more");
  } else if (size > KEPT_OCTETS_MAX) {
    transfer.decline();
    ends("too large for this page");
  }
}
