//! The frames that one call sends. Pure, but for the ids that the session makes.

import { ACTION, MESSAGESTATE, MESSAGETYPE } from "./constants.js";
import { Message } from "./message.js";

/** @typedef {Record<string, any> | null | undefined} Headers */

/** Makes frames with the ids and parties of one call. */
export class CallFrames {
  #session;

  /**
   * @param {import("./client.js").Session} session
   * @param {string} initiator
   * @param {string} target
   */
  constructor(session, initiator, target) {
    this.#session = session;
    /** Who called. */
    this.initiator = initiator;
    /** The name of who called, where the network tells one. */
    this.initiatorName = "";
    /** Who was called. */
    this.target = target;
    /** Type of the package. */
    this.packageType = "call";
    /** Id of the subsession. */
    this.subSessionId = session.generateSubSessionId();
  }

  /** @param {Message} request which the other side has opened the call with */
  opened({ control, header }) {
    this.initiator = header.initiator ?? "";
    this.initiatorName = header.initiator_name ?? "";
    this.target = header.target ?? this.#session.getUserName();
    this.subSessionId = control.subsession_id ?? this.subSessionId;
  }

  /**
   * @param {boolean} incoming whether the peer has called
   * @returns {string} the other side
   */
  peer(incoming) {
    return incoming ? this.initiator : this.target;
  }

  /**
   * A call, or a change of one.
   * @param {string} messageState
   * @param {string} sdp
   * @param {Headers} extHeaders
   */
  request(messageState, sdp, extHeaders) {
    const own = this.#session.getUserName();
    const changes = messageState !== MESSAGESTATE.INITIAL;
    if (!changes) this.initiator = own;
    const header = { initiator: own, target: changes ? this.#other(own) : this.target };
    const request = this.#frame(MESSAGETYPE.REQUEST, ACTION.START, header, { message_state: messageState });
    request.payload = { sdp };
    request.addExtHeaders(extHeaders);
    return request;
  }

  /**
   * An answer to a `start` of theirs.
   * @param {Message} request
   * @param {string} messageState
   * @param {string | undefined} sdp
   * @param {Headers} extHeaders
   */
  response(request, messageState, sdp, extHeaders) {
    const { initiator, target } = request.header;
    const { correlation_id } = request.control;
    const response = this.#frame(
      MESSAGETYPE.RESPONSE, ACTION.START, { initiator, target }, { correlation_id, message_state: messageState },
    );
    if (sdp !== undefined) response.payload = { sdp };
    response.addExtHeaders(extHeaders);
    return response;
  }

  /**
   * Confirms progress.
   * @param {Message} progress
   */
  prack({ control: { correlation_id }, header: { initiator, target } }) {
    return this.#frame(MESSAGETYPE.REQUEST, ACTION.PRACK, { initiator, target }, { correlation_id });
  }

  /**
   * @param {string} action
   * @param {Message | null} about the request it is about, or null for one of its own
   * @param {Headers} extHeaders
   */
  message(action, about, extHeaders) {
    const own = this.#session.getUserName();
    const correlation_id = about?.control.correlation_id ?? this.#session.genNewCorrelationId();
    const message = this.#frame(
      MESSAGETYPE.MESSAGE, action, { initiator: own, target: this.#other(own) }, { correlation_id },
    );
    message.addExtHeaders(extHeaders);
    return message;
  }

  /**
   * @param {string} candidates
   * @param {boolean} incoming
   */
  trickle(candidates, incoming) {
    const header = { initiator: this.#session.getUserName(), target: this.peer(incoming) };
    const trickle = this.#frame(MESSAGETYPE.MESSAGE, ACTION.TRICKLE, header, {});
    trickle.payload = { candidates };
    return trickle;
  }

  /** @param {string} own */
  #other(own) {
    return this.initiator === own ? this.target : this.initiator;
  }

  /**
   * @param {string} type
   * @param {string} action
   * @param {{ initiator?: string, target?: string }} parties
   * @param {Partial<import("./message.js").Control>} control
   */
  #frame(type, action, parties, control) {
    const ids = { type, package_type: this.packageType, subsession_id: this.subSessionId };
    return new Message({ control: { ...ids, ...control }, header: { action, ...parties } });
  }
}
