//! Small functions that pages in use expect beside the classes.

import { environment } from "./environment.js";

/**
 * Makes a class of the old kind inherit another; `Sub.superclass` is the other's prototype.
 * @param {any} Sub
 * @param {any} Base
 */
export function extend(Sub, Base) {
  Object.setPrototypeOf(Sub.prototype, Base.prototype);
  Sub.superclass = Base.prototype;
}

/** @returns {{ webrtc: boolean, flash: boolean }} what the browser can do */
export function getMediaOptions() {
  return { webrtc: environment.hasPeers(), flash: false };
}

/**
 * Shows a stream in a media element.
 * @param {any} element
 * @param {MediaStream | null} stream
 */
export function attachMediaStream(element, stream) {
  element.srcObject = stream;
}
