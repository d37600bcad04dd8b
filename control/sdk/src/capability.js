//! What users can do: asking, and answering who asks. In subsessions of their own, or inside a chat.

import { ACTION, MESSAGESTATE, MESSAGETYPE } from "./constants.js";
import { environment } from "./environment.js";
import { fire, later, startTimer } from "./events.js";
import { Message } from "./message.js";

/** Enquiries of {@link CapabilityExchange.enquiryAll} that are under way at once. */
const AT_ONCE = 8;
/** Milliseconds between two of them. */
const PACE_MS = 125;
/** Exchanges of a package that may be asked; the newest answers. */
const EXCHANGES_MAX = 32;

/** An enquiry and its answer. Lists of services are text: `IM/CHAT,VS`. */
export class Query {
  /**
   * @param {string} ssid
   * @param {string} initiator
   * @param {string} target
   * @param {string} initiatorCapability
   */
  constructor(ssid, initiator, target, initiatorCapability) {
    /** Id of the subsession. */
    this.ssid = ssid;
    /** Who asks. */
    this.initiator = initiator;
    /** Who is asked. */
    this.target = target;
    /** What the asker can do. */
    this.initiatorCapability = initiatorCapability;
    /** What the asked user can do. @type {string | undefined} */
    this.targetCapability = undefined;
    /** Whether a server has answered for a user who is not there. */
    this.offline = false;
  }
}

/**
 * Why there is no answer.
 * @typedef {{ action: string, errorCode: number, errorReason: string, query: Query }} EnquiryError
 */

/** The package of enquiries that belong to nothing else. */
export class CapabilityPackage {
  #session;
  /** @type {CapabilityExchange[]} */
  #exchanges = [];

  /**
   * @param {import("./client.js").Session} session
   * @param {string} [packageType]
   */
  constructor(session, packageType = "capability") {
    this.#session = session;
    /** Type of the package. */
    this.packageType = packageType;
    session.registerPackage(this);
  }

  /** @returns {CapabilityExchange} enquiries of which each has a subsession of its own */
  createCapabilityExchange() {
    const exchange = new CapabilityExchange({ session: this.#session, packageType: this.packageType });
    this.#exchanges = [exchange, ...this.#exchanges].slice(0, EXCHANGES_MAX);
    return exchange;
  }

  /**
   * Nothing of somebody comes through any more, and whoever it is learns nothing of the user; or it does
   * again. The server keeps it.
   * @param {string} target such as `bob@example.com`
   * @param {boolean} [blocked]
   * @returns {Promise<string[]>} all who are blocked
   */
  async block(target, blocked = true) {
    const exchange = new CapabilityExchange({ session: this.#session, packageType: this.packageType });
    return exchange.block(target, blocked);
  }

  /** The session is over. */
  clear() {
    for (const exchange of this.#exchanges) exchange.clear();
  }

  /**
   * Takes a frame of the package.
   * @param {Message} message
   */
  onMessage(message) {
    const id = message.control.subsession_id ?? "";
    const asked = /** @type {any} */ (this.#session.getSubSession(id));
    if (asked && !message.isRequest()) asked.onMessage(message);
    else if (message.isRequest()) this.asked(message);
  }

  /**
   * Somebody asks: the newest exchange that wants to hear of it answers, or else the library does.
   * @param {Message} request
   */
  asked(request) {
    later(() => {
      const willing = this.#exchanges.find(({ onQueryRequest }) => typeof onQueryRequest === "function");
      if (willing) willing.onMessage(request);
      else answer(this.#session, request, this.#session.services());
    });
  }
}

/** Enquiries, in both directions. */
export class CapabilityExchange {
  #session;
  #packageType;
  /** The subsession inside which it asks, such as a chat. */
  #inside;
  /** Enquiries without an answer, by the frames that ask.
   * @type {Map<Message, { query: Query, resolve: Function, reject: Function }>} */
  #pending = new Map();
  /** Frames of those who have asked. @type {WeakMap<Query, Message>} */
  #asked = new WeakMap();

  /**
   * @param {any} subSession a chat or another subsession whose peer is asked
   */
  constructor(subSession) {
    const { session, packageType } = subSession.capabilityContext?.() ?? subSession;
    /** @type {import("./client.js").Session} */
    this.#session = session;
    this.#packageType = packageType;
    this.#inside = subSession.capabilityContext ? subSession : null;
    if (this.#inside) session.attachExchange(this.#inside.subSessionId, this);
    /** Somebody asks: answer by {@link CapabilityExchange.respond}.
     * @type {((query: Query) => void) | undefined} */
    this.onQueryRequest = this.onQueryRequest;
    /** The answer is there. @type {((query: Query) => void) | undefined} */
    this.onQueryResponse = this.onQueryResponse;
    /** There will be no answer. @type {((error: EnquiryError) => void) | undefined} */
    this.onError = this.onError;
  }

  /**
   * Asks what somebody can do.
   * @param {string} [selfCapability] what the user can do; without it, what the page's packages do
   * @param {string} [target] inside a subsession, its peer
   * @returns {Promise<Query>} the answer, as onQueryResponse gets it; rejects as onError is told
   */
  enquiry(selfCapability = this.#session.services(), target) {
    const inside = this.#inside;
    const whom = (target ?? inside?.capabilityContext().peer ?? "").trim();
    if (whom === "") throw new Error("wsc: an enquiry needs somebody to ask");
    const request = this.#request(ACTION.ENQUIRY, whom);
    request.header.enquiry_data = selfCapability;
    const query = new Query(
      /** @type {string} */ (request.control.subsession_id), this.#session.getUserName(), whom, selfCapability,
    );
    return this.#ask(request, query);
  }

  /**
   * Asks about many, a few at a time.
   * @param {string | undefined} selfCapability
   * @param {string[]} targets
   * @returns {Promise<(Query | EnquiryError)[]>} in the order of the targets; never rejects
   */
  async enquiryAll(selfCapability, targets) {
    /** @type {(Query | EnquiryError)[]} */
    const results = [];
    let next = 0;
    let startAt = environment.now();
    const work = async () => {
      while (next < targets.length) {
        const at = next;
        next += 1;
        const wait = startAt - environment.now();
        startAt = Math.max(startAt, environment.now()) + PACE_MS;
        if (wait > 0) await new Promise((resolve) => { startTimer(() => resolve(null), wait); });
        results[at] = await this.enquiry(selfCapability, targets[at]).catch((error) => error);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, targets.length) }, work));
    return results;
  }

  /**
   * Answers who has asked.
   * @param {Query} query what onQueryRequest got
   * @param {string} [selfCapability] what the user can do; may be empty, for somebody who need not know
   */
  respond(query, selfCapability = "") {
    const request = this.#asked.get(query);
    if (!request) throw new Error("wsc: this query was answered, or did not come in");
    this.#asked.delete(query);
    query.targetCapability = selfCapability;
    answer(this.#session, request, selfCapability);
  }

  // For package developers.

  /**
   * @param {string} target
   * @param {boolean} blocked
   * @returns {Promise<string[]>}
   */
  async block(target, blocked) {
    const request = this.#request("block", target);
    request.header.blocked = blocked;
    const query = new Query(/** @type {string} */ (request.control.subsession_id), "", target, "");
    const answered = await this.#ask(request, query);
    return /** @type {any} */ (answered).blocked ?? [];
  }

  /**
   * Takes a frame of an enquiry.
   * @param {Message} message
   */
  onMessage(message) {
    const { control, header } = message;
    if (message.isRequest()) {
      const query = new Query(
        control.subsession_id ?? "", header.initiator ?? "", header.target ?? "",
        String(header.enquiry_data ?? ""),
      );
      this.#asked.set(query, message);
      later(() => {
        if (typeof this.onQueryRequest === "function") fire(this, "onQueryRequest", query);
        else this.respond(query, this.#session.services());
      });
      return;
    }
    const asked = [...this.#pending].find(([request]) =>
      request.control.correlation_id === control.correlation_id);
    if (!asked) return;
    const [request, { query, resolve, reject }] = asked;
    if (message.isResponse()) {
      this.#settle(request);
      query.targetCapability = String(header.enquiry_data ?? "");
      query.offline = header.offline === true;
      /** @type {any} */ (query).blocked = message.payload?.blocked;
      resolve(query);
      if (request.header.action === ACTION.ENQUIRY) fire(this, "onQueryResponse", query);
    } else if (message.isError()) {
      this.#settle(request);
      const { action = "", error_code: errorCode = 0, reason: errorReason = "" } = header;
      const error = { action, errorCode, errorReason, query };
      reject(error);
      fire(this, "onError", error);
    }
  }

  /** The session is over. */
  clear() {
    for (const [request, { query, reject }] of this.#pending) {
      this.#settle(request);
      reject({ action: request.header.action, errorCode: 487, errorReason: "the session is over", query });
    }
  }

  /**
   * @param {string} action
   * @param {string} target
   * @returns {Message}
   */
  #request(action, target) {
    return new Message({
      control: {
        type: MESSAGETYPE.REQUEST,
        package_type: this.#packageType,
        subsession_id: this.#inside?.subSessionId ?? this.#session.generateSubSessionId(),
        message_state: this.#inside ? MESSAGESTATE.SUBSEQUENT : MESSAGESTATE.INITIAL,
      },
      header: { action, initiator: this.#session.getUserName(), target },
    });
  }

  /**
   * @param {Message} request
   * @param {Query} query
   * @returns {Promise<Query>}
   */
  #ask(request, query) {
    const answered = new Promise((resolve, reject) => {
      this.#pending.set(request, { query, resolve, reject });
    });
    // Whoever only listens to onError has dealt with it.
    answered.catch(() => {});
    if (!this.#inside) this.#session.putSubSession(this.#packageType, query.ssid, this);
    this.#session.sendMessage(request);
    return answered;
  }

  /** @param {Message} request */
  #settle(request) {
    this.#pending.delete(request);
    if (!this.#inside) this.#session.removeSubSession(request.control.subsession_id ?? "");
  }

  /** Id under which the session keeps it. */
  get subSessionId() {
    return this.#inside?.subSessionId ?? "";
  }
}

/**
 * @param {import("./client.js").Session} session
 * @param {Message} request
 * @param {string} services
 */
export function answer(session, request, services) {
  const { package_type, subsession_id, correlation_id } = request.control;
  const { initiator, target } = request.header;
  session.sendMessage(new Message({
    control: {
      type: MESSAGETYPE.RESPONSE, package_type, subsession_id, correlation_id,
      message_state: MESSAGESTATE.FINAL,
    },
    header: {
      action: ACTION.ENQUIRY, initiator, target, response_code: 200, enquiry_data: services,
    },
  }));
}
