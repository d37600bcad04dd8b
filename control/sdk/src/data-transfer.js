//! A data channel of a call, as the API shows it.

import { fire, turn } from "./events.js";

/** Sends on a channel. */
export class DataSender {
  #channel;

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    this.#channel = channel;
  }

  /**
   * @param {string | Blob | ArrayBuffer | ArrayBufferView} data
   * @throws whatever the channel throws, such as when it is not open
   */
  send(data) {
    this.#channel.send(/** @type {any} */ (data));
  }
}

/** Takes what comes on a channel. */
export class DataReceiver {
  constructor() {
    /** Data came: `event.data`. @type {((event: MessageEvent) => void) | undefined} */
    this.onMessage = this.onMessage;
  }
}

/** A data channel. */
export class DataTransfer {
  #channel;
  #sender;
  #receiver = new DataReceiver();
  #closed = false;

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    this.#channel = channel;
    this.#sender = new DataSender(channel);
    /** The channel's label. */
    this.label = channel.label;
    /** The channel is open. @type {((event?: Event) => void) | undefined} */
    this.onOpen = this.onOpen;
    /** The channel is closed. @type {((event?: Event) => void) | undefined} */
    this.onClose = this.onClose;
    /** The channel has failed. @type {((event?: Event) => void) | undefined} */
    this.onError = this.onError;
    channel.binaryType = "arraybuffer";
    channel.onopen = (event) => turn(() => fire(this, "onOpen", event));
    channel.onclose = (event) => turn(() => this.close(event));
    channel.onerror = (event) => turn(() => fire(this, "onError", event));
    channel.onmessage = (event) => turn(() => fire(this.#receiver, "onMessage", event));
    // One that the other side made may be open already.
    if (channel.readyState === "open") fire(this, "onOpen");
  }

  /** @returns {"none" | "starting" | "open" | "closed"} */
  getState() {
    if (this.#closed) return "closed";
    const { readyState } = this.#channel;
    if (readyState === "connecting") return "starting";
    return readyState === "open" ? "open" : "closed";
  }

  /** @returns {DataSender | null} null before it is open */
  getSender() {
    return this.getState() === "open" ? this.#sender : null;
  }

  /** @returns {DataReceiver} where its `onMessage` is set, best before the channel is open */
  getReceiver() {
    return this.#receiver;
  }

  /** @returns {RTCDataChannel} the channel itself, such as for its `bufferedAmount` */
  getChannel() {
    return this.#channel;
  }

  // For the call.

  /**
   * It is over, with its call or by itself.
   * @param {Event} [event]
   */
  close(event) {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.close();
    fire(this, "onClose", event);
  }
}
