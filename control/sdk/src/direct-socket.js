//! A data channel that looks like a WebSocket, and which addresses lead to one. Media that would go through the relay go
//! from browser to browser by it.

import { startTimer } from "./events.js";

/** Who opens what has this host. @type {Map<string, (url: URL) => ChannelSocket>} */
const openers = new Map();

/**
 * @param {string} host that stands in the address
 * @param {((url: URL) => ChannelSocket) | null} opener null: nobody any more
 */
export function routeDirectly(host, opener) {
  if (opener) openers.set(host, opener);
  else openers.delete(host);
}

/**
 * @param {string} url
 * @returns {WebSocket | null} what is used as one; null if the address is an ordinary one
 */
export function openDirectly(url) {
  if (openers.size === 0) return null;
  const address = new URL(url);
  return /** @type {any} */ (openers.get(address.hostname)?.(address) ?? null);
}

/** A channel with a WebSocket's members, as far as MSRP uses them. */
export class ChannelSocket {
  readyState = 0;
  binaryType = "arraybuffer";
  /** @type {((event: object) => void) | null} */
  onopen = null;
  /** @type {((event: { data: any }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */
  onclose = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  #wanted = false;
  /** What came before anybody listened. @type {any[]} */
  #early = [];

  /** @param {RTCDataChannel} channel */
  attach(channel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onopen = () => this.#open();
    channel.onmessage = ({ data }) => {
      if (this.readyState === 1) this.onmessage?.({ data });
      else this.#early.push(data);
    };
    channel.onclose = () => {
      this.readyState = 3;
      this.onclose?.({ code: 1000, reason: "" });
    };
    this.#open();
  }

  /** @returns {boolean} whether the channel is here */
  isAttached() {
    return this.#channel !== null;
  }

  /** @returns {boolean} whether somebody listens */
  isWanted() {
    return this.#wanted;
  }

  /** Somebody listens from the next task on. @returns {this} */
  begin() {
    startTimer(() => {
      this.#wanted = true;
      this.#open();
    }, 0);
    return this;
  }

  /** @param {Uint8Array} octets */
  send(octets) {
    this.#channel?.send(/** @type {any} */ (octets));
  }

  /** Closes it; nothing is reported. */
  close() {
    this.readyState = 3;
    this.#channel?.close();
  }

  #open() {
    if (!this.#wanted || this.readyState !== 0 || this.#channel?.readyState !== "open") return;
    this.readyState = 1;
    this.onopen?.({});
    for (const data of this.#early.splice(0)) this.onmessage?.({ data });
  }
}
