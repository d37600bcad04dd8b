//! A session of two browsers with nobody between them: frames go over a data channel of a call, media over others. Chats and
//! transfers are made in it as in any session. Not here: who calls, and when (`direct-package.js`).

import { ChannelSocket, routeDirectly } from "./direct-socket.js";
import { ACTION, MESSAGETYPE, SESSIONSTATE } from "./constants.js";
import { startTimer, stopTimer, turn } from "./events.js";
import { Message, errorTo, readMessage } from "./message.js";
import { PackageHost } from "./packages.js";

/** Label of the channel that carries frames. */
export const FRAMES = "jsonrtc";
/** Milliseconds after which a session in which nothing is left is given up by who has called. */
const IDLE_MS = 60_000;
/** Channels that may wait for the chat or file they are of. */
const CHANNELS_MAX = 64;

/** One of them. It lives as long as its call. */
export class DirectSession extends PackageHost {
  #call;
  #own;
  #peer;
  #calls;
  #numbers = 0;
  /** What was sent before the channel was open. @type {string[]} */
  #early = [];
  /** Channels that are here, or listened to, of which the other is still to come; by label.
   * @type {Map<string, ChannelSocket>} */
  #channels = new Map();
  #hosts = new Set();
  #over = false;
  /** @type {any} */
  #idleTimer;

  /**
   * @param {import("./call.js").Call} call established, or about to be
   * @param {string} own the user's name
   * @param {string} peer the other side's
   * @param {boolean} calls whether this side has called
   */
  constructor(call, own, peer, calls) {
    super();
    this.#call = call;
    this.#own = own;
    this.#peer = peer;
    this.#calls = calls;
    /** No server: media have no address, and need no TLS of their own, for data channels have. */
    this.webSocketUri = "ws:";
  }

  /** @returns {string} */
  getUserName() {
    return this.#own;
  }

  /** @returns {string} who is at the other end */
  getPeerName() {
    return this.#peer;
  }

  /** @returns {string} */
  getSessionState() {
    return this.#over ? SESSIONSTATE.CLOSED : SESSIONSTATE.CONNECTED;
  }

  /** @returns {string} */
  genNewCorrelationId() {
    return `${this.#calls ? "c" : "s"}${this.#numbers + 1}`;
  }

  /** @returns {boolean} nothing that was sent can be taken back */
  withdraw() {
    return false;
  }

  /** @param {import("./message.js").Message} message */
  sendMessage(message) {
    if (message.isRequest()) message.control.correlation_id ??= this.genNewCorrelationId();
    this.#numbers += 1;
    const text = JSON.stringify(message);
    const sender = this.#call.getDataTransfer(FRAMES)?.getSender();
    if (sender) sender.send(text);
    else this.#early.push(text);
  }

  /**
   * @param {import("./message.js").Message} request
   * @param {number} code
   * @param {string} [reason]
   * @param {Record<string, any> | null} [extHeaders]
   */
  sendError(request, code, reason, extHeaders) {
    this.sendMessage(errorTo(request, code, reason, extHeaders));
  }

  /**
   * @override
   * @param {string} id
   */
  removeSubSession(id) {
    super.removeSubSession(id);
    stopTimer(this.#idleTimer);
    if (!this.#calls) return;
    this.#idleTimer = startTimer(() => {
      if (!this.hasSubSessions()) this.#call.end();
    }, IDLE_MS);
  }

  /**
   * A channel of the call's: the one for frames, or one of media.
   * @param {import("./data-transfer.js").DataTransfer} transfer
   */
  channel(transfer) {
    if (transfer.label === FRAMES) {
      transfer.getReceiver().onMessage = ({ data }) => turn(() => this.#receive(String(data)));
      transfer.onOpen = () => {
        for (const text of this.#early.splice(0)) transfer.getSender()?.send(text);
      };
    } else {
      const socket = this.#socket(transfer.label);
      socket?.attach(transfer.getChannel());
      if (socket?.isWanted()) this.#channels.delete(transfer.label);
    }
  }

  /** Frees everything: the call is over. */
  clear() {
    if (this.#over) return;
    this.#over = true;
    stopTimer(this.#idleTimer);
    for (const host of this.#hosts) routeDirectly(host, null);
    this.clearSubSessions();
  }

  /** @param {string} text */
  #receive(text) {
    const message = readMessage(text);
    if (!message || this.#over) return;
    const { control, header, payload } = message;
    const asks = message.isRequest() || message.isMessage();
    // Who is at the other end is known from the call, whatever is written here.
    if (asks) [header.initiator, header.target] = [this.#peer, this.#own];
    const id = control.subsession_id ?? "";
    if (typeof payload?.sdp === "string") payload.sdp = this.#addressed(payload.sdp, id, !message.isRequest());
    if (header.action === ACTION.REPORT && this.takeReport(message)) return;
    const first = message.isRequest() && header.action === ACTION.START ? payload?.message : null;
    if (typeof first?.message_id === "string") {
      // What a server says beside a first message, and does for it: whether it was seen is to be told, that it is there is now.
      Object.assign(first, { date_time: new Date().toISOString(), notify: ["display"] });
      this.#reportFirst(first);
    }
    const handler = this.getPackage(control.package_type ?? "");
    if (handler) handler.onMessage(message);
    else if (message.isRequest()) this.sendError(message, 404, "package not available");
  }

  /** @param {{ message_id: string, date_time: string }} first a message that came with an invitation */
  #reportFirst({ message_id, date_time }) {
    this.sendMessage(new Message({
      control: { type: MESSAGETYPE.MESSAGE, package_type: "messaging", subsession_id: this.generateSubSessionId() },
      header: { action: ACTION.REPORT, initiator: this.#own, target: this.#peer },
      payload: { message_id, date_time, kind: "delivery", status: "delivered" },
    }));
  }

  /**
   * A description says where media are; between two browsers they are in a channel named after the subsession.
   * @param {string} sdp
   * @param {string} id of the subsession
   * @param {boolean} opens whether this side makes the channel: who has asked does
   * @returns {string}
   */
  #addressed(sdp, id, opens) {
    let section = 0;
    return sdp.replace(/^a=path:msrps?:\/\/([^:;/\s]+)[^\r\n]*\r?\n/gm, (line, host) => {
      const label = `${id}/${section}`;
      section += 1;
      this.#hosts.add(host);
      routeDirectly(host, () => {
        const socket = /** @type {ChannelSocket} */ (this.#socket(label));
        const connection = this.#call.getPeerConnection();
        if (opens && connection) socket.attach(connection.createDataChannel(label));
        // Both are here now, or the other side has it in its hands; what arrives later is a stranger.
        if (opens || socket.isAttached()) this.#channels.delete(label);
        return socket.begin();
      });
      return `${line}a=ws-resource-path:/${label}\r\n`;
    });
  }

  /**
   * @param {string} label
   * @returns {ChannelSocket | undefined} undefined if too many wait
   */
  #socket(label) {
    const known = this.#channels.get(label);
    if (known || this.#channels.size >= CHANNELS_MAX) return known;
    const socket = new ChannelSocket();
    this.#channels.set(label, socket);
    return socket;
  }
}
