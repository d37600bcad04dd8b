//! A text that is too long for a MESSAGE: a session of its own, which brings it over MSRP and ends. Pages see no difference.
//! Not here: who hears of it, and what is told of it (`messaging.js`).

import { CPIM_TYPE, unwrapCpim, wrapCpim } from "./cpim.js";
import { CALLSTATE } from "./constants.js";
import { IMDN_TYPE, readImdn } from "./imdn.js";
import { Invitation } from "./invitation.js";
import { MediaLink } from "./media-link.js";
import { admits, bareType, decodeText } from "./media-types.js";
import { partyUri } from "./party.js";
import { writeSdp } from "./sdp.js";

/** Octets of a text that goes as a MESSAGE. RFC 3428, 8. */
export const PAGER_BYTES_MAX = 1300;
/** Octets of the longest text. */
const BYTES_MAX = 1024 * 1024;
/** What is taken, in an envelope or bare. */
const TYPES = ["text/plain", "text/html", "application/vnd.gsma.rcspushlocation+xml"];
/** What senders may want to know, as frames call it. RFC 5438, 6.3. */
const NOTIFICATIONS = [
  ["delivery", "positive-delivery"], ["failure", "negative-delivery"], ["display", "display"],
];
const encoder = new TextEncoder();

/**
 * What a large message tells.
 * @typedef {object} LargeHooks
 * @property {(message: LargeMessage) => void} sent all of it is there
 * @property {(message: LargeMessage, code: number, reason: string) => void} failed called once, if it was not sent
 * @property {(message: LargeMessage, payload: Record<string, any>) => void} came as a frame would have it
 * @property {(messageId: string, status: string, by: string) => void} reported what became of one, told by MSRP
 */

/** One of them, out or in. */
export class LargeMessage extends Invitation {
  /** The text that goes out. @type {string | null} */
  #text = null;
  #hooks;
  #settled = false;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} target
   * @param {LargeHooks} hooks
   */
  constructor(session, target, hooks) {
    super(session, target, "messaging");
    this.#hooks = hooks;
    /** @override @param {import("./call-state.js").CallState} callState */
    this.onStateChange = ({ state, status }) => {
      if (state === CALLSTATE.FAILED || state === CALLSTATE.ENDED) this.#settle(status.code ?? 487, status.reason ?? "");
    };
  }

  /**
   * @param {string} text
   * @param {Record<string, any> | null} [extHeaders]
   */
  send(text, extHeaders) {
    this.#text = text;
    this.start(null, extHeaders);
  }

  /** Takes one that comes in. @override @param {import("./message.js").Message} message */
  onMessage(message) {
    super.onMessage(message);
    const { state, status } = this.getState();
    if (this.#text === null && state === CALLSTATE.RESPONDED && status.code === 180) this.accept();
  }

  /**
   * @override
   * @param {any} _config
   * @param {boolean} secure
   */
  createMedia(_config, secure) {
    const { session, peer } = this.capabilityContext();
    const letter = this.#text === null ? null : {
      text: this.#text, messageId: this.subSessionId, from: partyUri(session.getUserName()), to: partyUri(peer),
    };
    return new LargeMedia(secure, letter, {
      ...this.linkHooks(),
      sent: () => {
        this.#settle(0, "");
        this.end();
      },
      failed: (code, reason) => {
        this.#settle(code, reason);
        this.end();
      },
      came: (payload) => this.#hooks.came(this, payload),
      reported: (messageId, status) => this.#hooks.reported(messageId, status, peer),
    });
  }

  /**
   * @param {number} code 0: it is there
   * @param {string} reason
   */
  #settle(code, reason) {
    if (this.#settled || this.#text === null) return;
    this.#settled = true;
    if (code === 0) this.#hooks.sent(this);
    else this.#hooks.failed(this, code, reason);
  }
}

/** Its way over MSRP. */
class LargeMedia extends MediaLink {
  #letter;
  #hooks;
  #came = false;

  /**
   * @param {boolean} secure
   * @param {{ text: string, messageId: string, from: string, to: string } | null} letter what goes out, or nothing
   * @param {import("./media-link.js").LinkHooks & { sent: () => void, failed: (code: number, reason: string) => void,
   *   came: (payload: Record<string, any>) => void, reported: (messageId: string, status: string) => void }} hooks
   */
  constructor(secure, letter, hooks) {
    super(secure, hooks);
    this.#letter = letter;
    this.#hooks = hooks;
  }

  /** @override */
  sdp() {
    return writeSdp({
      ...this.ownSide, maxSize: BYTES_MAX, direction: this.#letter ? "sendonly" : "recvonly",
      acceptTypes: [CPIM_TYPE, ...TYPES], acceptWrappedTypes: [...TYPES, IMDN_TYPE],
    });
  }

  /** @override @param {import("./sdp.js").RemoteMedia} remote */
  wrongWith({ direction, maxSize }) {
    if (direction === "sendonly") return "both sides send";
    return maxSize < encoder.encode(this.#letter?.text ?? "").length ? `it takes ${maxSize} octets at most` : "";
  }

  /** @override @returns {ReturnType<MediaLink["endpoint"]>} */
  endpoint() {
    return [{ acceptTypes: [CPIM_TYPE, ...TYPES], octetsMax: BYTES_MAX }, {
      message: ({ contentType, body }) => this.#receive(contentType, body),
      sent: () => this.#hooks.sent(),
      failed: (_, status, reason) => this.#hooks.failed(status, reason),
    }];
  }

  /** @override */
  begun() {
    const letter = this.#letter;
    if (!letter) return;
    const { acceptTypes = [] } = this.remote() ?? {};
    const octets = encoder.encode(letter.text);
    const wrapped = acceptTypes.length === 0 || admits(acceptTypes, CPIM_TYPE);
    const wanted = NOTIFICATIONS.map(([, name]) => name);
    const { messageId, from, to } = letter;
    const body = wrapped
      ? wrapCpim("text/plain;charset=UTF-8", octets, new Date(), { messageId, wanted }, { from, to }) : octets;
    this.connection()?.send({ messageId, contentType: wrapped ? CPIM_TYPE : "text/plain;charset=UTF-8", body });
  }

  /**
   * @param {string} contentType
   * @param {Uint8Array} octets
   * @returns {number | void} a status that refuses it
   */
  #receive(contentType, octets) {
    const envelope = bareType(contentType) === CPIM_TYPE ? unwrapCpim(octets) : null;
    if (bareType(contentType) === CPIM_TYPE && !envelope) return 400;
    // What became of it is no content: RFC 4975, 8.9.
    if (envelope && bareType(envelope.contentType) === IMDN_TYPE) {
      const note = readImdn(decodeText(envelope.content, ""));
      if (note) this.#hooks.reported(note.messageId, note.status);
      return undefined;
    }
    // One session brings one message, to whom it was offered.
    if (this.#letter || this.#came) return 413;
    if (envelope && (envelope.required.length > 0 || !admits(TYPES, bareType(envelope.contentType)))) return 415;
    this.#came = true;
    const type = envelope?.contentType ?? contentType;
    const told = envelope && envelope.messageId !== "" ? {
      message_id: envelope.messageId, date_time: envelope.dateTime,
      notify: NOTIFICATIONS.filter(([, name]) => envelope.wanted.includes(name)).map(([word]) => word),
      ...(envelope.routes.length > 0 ? { routes: envelope.routes } : {}),
      ...(envelope.originalTo ? { original_to: envelope.originalTo } : {}),
    } : {};
    this.#hooks.came({
      content: decodeText(envelope?.content ?? octets, type),
      ...(bareType(type) === "text/plain" ? {} : { content_type: bareType(type) }),
      ...told,
    });
    return undefined;
  }
}
