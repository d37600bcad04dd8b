//! One MSRP session's end: requests, responses, reports, chunks, time-outs (RFC 4975). Pure:
//! octets and time in, octets and events out. Not here: the socket (`connection.js`).

import { randomWord } from "../identifiers.js";
import { admits, bareType } from "../media-types.js";
import { RequestWriter, writeResponse } from "./frame.js";
import { Inflow } from "./inflow.js";
import { FramingLost, Reader } from "./reader.js";
import { Reassembly } from "./reassembly.js";
import { find } from "./search.js";
import { sameUri } from "./uri.js";
import { Window } from "./window.js";

/** @typedef {import("./frame.js").Frame} Frame */

/** Milliseconds a response may take after the last octet of its request (RFC 4975, 7.1.1). */
export const RESPONSE_MS_MAX = 30_000;
/** Octets of a head and of an end-line that a frame may have beside its body. */
const FRAME_OVERHEAD_OCTETS_MAX = 32 * 1024;
/** Octets of a chunk of a message that is taken piece by piece. */
const PIECE_OCTETS_MAX = 64 * 1024 * 1024;
/** Chunks sent without an answer. */
const CHUNKS_MAX = 16;
/** How often a message is sent that gets lost on its way. */
const SENDINGS_MAX = 5;
/** Messages waiting to be sent. */
const QUEUE_MAX = 1000;
/** Sent messages of which a report may still come. */
const REPORTABLE_MAX = 256;
/** Malformed requests after which the connection is given up. */
const FAULTS_MAX = 5;
const encoder = new TextEncoder();

/**
 * @typedef {object} EndpointSettings
 * @property {string} localUri ours
 * @property {string[]} remotePath theirs, the next hop first
 * @property {string[]} acceptTypes what the application takes
 * @property {number} octetsMax largest message taken
 * @property {number} [chunkOctets] body of a chunk, 2048 at first
 * @property {number} [window] chunks sent without an answer, 16 at first
 * @property {boolean} [bulk] large messages: as many chunks as the way carries
 * @property {number} [chunkOctetsMax] with `bulk`: body of a chunk on a way that carries many
 */

/**
 * Octets, all there or on their way: `null` says that those are not there yet, and {@link Endpoint.resume} that more are.
 * @typedef {{ length: number, subarray: (start: number, end: number) => Uint8Array | null }} Octets
 */

/**
 * A whole message to be sent.
 * @typedef {object} Outgoing
 * @property {string} messageId
 * @property {string} contentType
 * @property {Octets} body
 * @property {boolean} [successReport] ask the far end to report success
 */

/** A number refuses with that status. @typedef {number | void} Taken */

/**
 * @typedef {object} EndpointHooks
 * @property {(octets: Uint8Array) => void} transmit one frame, whose octets hold until the next
 * @property {() => void} bound our first SEND was answered: messages may flow
 * @property {(incoming: { messageId: string, contentType: string, body: Uint8Array }) =>
 *   number | void} message a whole message; a number refuses it with that status
 * @property {(piece: { messageId: string, contentType: string, from: number, octets: Uint8Array,
 *   total: number | null, last: boolean }) => Taken | Promise<Taken>} [piece] the next piece of a large message,
 *   answered when it is taken. Whoever has this takes one large message by it, and no whole ones
 * @property {(messageId: string) => void} [aborted] the rest of that message will not come
 * @property {(messageId: string, octets: number) => void} [progress] so many from its start were answered
 * @property {(messageId: string) => void} sent the far end has the whole message
 * @property {(messageId: string, status: number, reason: string) => void} failed
 * @property {(status: number, reason: string) => void} broken the session can't go on
 */

/**
 * A message of ours: octets sent, chunks without an answer, whether all are sent; how often, and since when.
 * @typedef {{ outgoing: Outgoing, next: number, open: number, whole: boolean, sendings: number, at: number }} Sending
 */

/** One end of one session. */
export class Endpoint {
  #settings;
  #hooks;
  #reader;
  #writer = new RequestWriter();
  #reassembly;
  #inflow;
  #chunkOctets;
  #window;
  /** @type {"new" | "binding" | "bound" | "lost" | "rebinding" | "over"} */
  #state = "new";
  /** @type {string[]} */
  #remotePath;
  /** The transaction of the SEND that binds. */
  #bindTid = "";
  /** Messages not yet sent as a whole; the first one is under way. @type {Sending[]} */
  #queue = [];
  /** Requests without an answer, oldest first.
   * @type {Map<string, { sending: Sending | null, at: number, start: number, octets: number }>} */
  #pending = new Map();
  /** Sent as a whole, waiting for a success report. @type {Map<string, Sending>} */
  #reportable = new Map();
  #faults = 0;

  /**
   * @param {EndpointSettings} settings
   * @param {EndpointHooks} hooks
   */
  constructor(settings, hooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#remotePath = settings.remotePath;
    this.#chunkOctets = settings.chunkOctets ?? 2048;
    this.#window = settings.bulk ? new Window() : null;
    this.#reader = this.#newReader();
    this.#reassembly = new Reassembly(settings.octetsMax);
    this.#inflow = hooks.piece ? new Inflow(settings.octetsMax) : null;
  }

  /**
   * The socket is open: a SEND without a body binds it to the session (RFC 4975, 5.4).
   * @param {number} now milliseconds
   */
  opened(now) {
    this.#state = this.#state === "lost" ? "rebinding" : "binding";
    this.#bindTid = this.#request("SEND", [["Message-ID", randomWord(20)]], null, now);
  }

  /** The socket is lost, and another may come: what is to be sent waits. */
  lost() {
    if (this.#state === "over") return;
    // Not yet bound for the first time: nothing has been sent that might come twice.
    if (this.#state !== "new" && this.#state !== "binding") this.#state = "lost";
    this.#pending.delete(this.#bindTid);
    this.#reader = this.#newReader();
  }

  /**
   * The relay is reached by another path from now on.
   * @param {string[]} remotePath theirs, the next hop first
   */
  moved(remotePath) {
    this.#remotePath = remotePath;
  }

  /**
   * Sends a message, as soon as the session is bound and the window lets it.
   * @param {Outgoing} outgoing
   * @param {number} now milliseconds
   * @returns {boolean} false if nothing more is taken
   */
  send(outgoing, now) {
    if (this.#state === "over" || this.#queue.length >= QUEUE_MAX) return false;
    this.#queue.push({ outgoing, next: 0, open: 0, whole: false, sendings: 1, at: now });
    this.#pump(now);
    return true;
  }

  /**
   * More of a message's octets are there.
   * @param {number} now milliseconds
   */
  resume(now) {
    this.#pump(now);
  }

  /**
   * A message is not sent to its end; the far end is told so.
   * @param {string} messageId
   */
  abort(messageId) {
    const sending = this.#find(messageId);
    if (sending) this.#fail(sending, 487, "aborted");
  }

  /**
   * Takes what came over the socket.
   * @param {Uint8Array} octets a whole message of the socket's
   * @param {number} now milliseconds
   */
  receive(octets, now) {
    /** @type {Frame[]} */
    let frames = [];
    try {
      frames = this.#reader.push(octets, true);
    } catch (error) {
      if (!(error instanceof FramingLost)) throw error;
      this.#break(400, error.message);
    }
    for (const frame of frames) {
      if (this.#state === "over") return;
      if (frame.method === "") this.#response(frame, now);
      else this.#incoming(frame, now);
    }
  }

  /**
   * Does what is due.
   * @param {number} now milliseconds
   */
  tick(now) {
    this.#reassembly.expire(now);
    for (const [tid, { sending, at }] of this.#pending) {
      if (this.#isAway() && sending) continue;
      if (now - at < RESPONSE_MS_MAX || this.#state === "over") break;
      this.#pending.delete(tid);
      if (sending) this.#fail(sending, 408, "no answer");
      else this.#break(408, "no answer to the first request");
    }
    this.#pump(now);
  }

  /** @returns {number | null} when {@link Endpoint.tick} has something to do */
  deadline() {
    let response = Infinity;
    for (const { sending, at } of this.#pending.values()) {
      if (sending && this.#isAway()) continue;
      response = at + RESPONSE_MS_MAX;
      break;
    }
    const earliest = Math.min(response, this.#reassembly.deadline() ?? Infinity);
    return earliest === Infinity ? null : earliest;
  }

  /**
   * The session is over: all that is open has failed.
   * @param {number} status
   * @param {string} reason
   */
  close(status, reason) {
    if (this.#state === "over") return;
    this.#state = "over";
    const open = new Set([...this.#reportable.values(), ...this.#queue]);
    for (const { sending } of this.#pending.values()) if (sending) open.add(sending);
    this.#queue = [];
    this.#pending.clear();
    this.#reportable.clear();
    for (const { outgoing } of open) this.#hooks.failed(outgoing.messageId, status, reason);
  }

  /** @returns {boolean} whether the socket is lost and not yet replaced */
  #isAway() {
    return this.#state === "lost" || this.#state === "rebinding";
  }

  #newReader() {
    const octets = this.#hooks.piece ? PIECE_OCTETS_MAX : this.#settings.octetsMax;
    return new Reader(octets + FRAME_OVERHEAD_OCTETS_MAX);
  }

  // Sending.

  /**
   * Bound again. Answers come in the order of the requests, so whatever came through before has been
   * answered by now; what has not is sent again from its start, under its Message-ID, by which the
   * far end knows a repetition (RFC 4975, 5.4).
   */
  #sendAllAgain() {
    /** @type {Set<Sending>} */
    const again = new Set();
    for (const { sending } of this.#pending.values()) if (sending) again.add(sending);
    this.#sendAgain([...again]);
  }

  /**
   * A message did not get through, such as by a relay that has lost the far end for a moment: until its first sending
   * would time out it is sent again, under its Message-ID. A large one is not: what is left of it is another transfer's.
   * @param {Sending} sending
   * @param {number} now
   */
  #isSentAgain(sending, now) {
    sending.sendings += 1;
    return !this.#settings.bulk && sending.sendings <= SENDINGS_MAX && now - sending.at < RESPONSE_MS_MAX;
  }

  /** @param {Sending[]} again */
  #sendAgain(again) {
    for (const [tid, { sending }] of this.#pending) if (sending && again.includes(sending)) this.#pending.delete(tid);
    for (const sending of again) {
      this.#reportable.delete(sending.outgoing.messageId);
      sending.next = 0;
      sending.open = 0;
      sending.whole = false;
    }
    this.#queue = [...again, ...this.#queue.filter((sending) => !again.includes(sending))];
  }

  /** @returns {boolean} whether as much is without an answer as may be */
  #isFull() {
    if (!this.#window) return this.#pending.size >= (this.#settings.window ?? CHUNKS_MAX);
    let octets = 0;
    for (const request of this.#pending.values()) octets += request.octets;
    return octets + this.#nextOctets() > this.#window.chunks * this.#chunkOctets;
  }

  /** @returns {number} octets of the next chunk */
  #nextOctets() {
    const most = this.#settings.chunkOctetsMax;
    return most && this.#window?.isWide() ? most : this.#chunkOctets;
  }

  /** @param {number} now */
  #pump(now) {
    while (this.#state === "bound" && this.#queue.length > 0 && !this.#isFull()) {
      if (!this.#sendChunk(this.#queue[0], now)) return;
    }
  }

  /**
   * @param {Sending} sending
   * @param {number} now
   * @returns {boolean} false if its octets are not there yet
   */
  #sendChunk(sending, now) {
    const { messageId, contentType, body, successReport } = sending.outgoing;
    const start = sending.next;
    const octets = body.subarray(start, Math.min(start + this.#nextOctets(), body.length));
    if (!octets) return false;
    const end = start + octets.length;
    if (start === 0 && sending.sendings === 1) sending.at = now;
    sending.next = end;
    sending.open += 1;
    sending.whole = end === body.length;
    if (sending.whole) {
      this.#queue.shift();
      if (successReport) this.#expectReport(sending);
    }
    /** @type {[string, string][]} */
    const headers = [
      ["Message-ID", messageId],
      ["Byte-Range", `${start + 1}-${end}/${body.length}`],
    ];
    if (successReport) headers.push(["Success-Report", "yes"]);
    const chunk = { contentType, body: octets, sending };
    this.#request("SEND", headers, chunk, now, sending.whole ? "$" : "+");
    return true;
  }

  /** @param {Sending} sending */
  #expectReport(sending) {
    this.#reportable.set(sending.outgoing.messageId, sending);
    if (this.#reportable.size <= REPORTABLE_MAX) return;
    for (const [messageId] of this.#reportable) {
      this.#reportable.delete(messageId);
      return;
    }
  }

  /**
   * @param {string} method
   * @param {[string, string][]} headers
   * @param {{ contentType: string, body: Uint8Array, sending: Sending | null } | null} chunk
   * @param {number} now
   * @param {string} [flag]
   * @param {boolean} [answered] whether a response will come
   * @returns {string} its transaction
   */
  #request(method, headers, chunk, now, flag = "$", answered = true) {
    const tid = this.#newTid(chunk?.body);
    const sending = chunk?.sending ?? null;
    const octets = chunk?.body.length ?? 0;
    if (answered) this.#pending.set(tid, { sending, at: now, start: (sending?.next ?? 0) - octets, octets });
    this.#hooks.transmit(this.#writer.write({
      tid,
      method,
      toPath: this.#remotePath,
      fromPath: this.#settings.localUri,
      headers,
      contentType: chunk?.contentType,
      body: chunk?.body,
      flag,
    }));
    return tid;
  }

  /**
   * @param {Uint8Array | undefined} body in which the end-line must not occur
   * @returns {string}
   */
  #newTid(body) {
    for (;;) {
      const tid = randomWord(20);
      if (!body || find(body, encoder.encode(`-------${tid}`)) < 0) return tid;
    }
  }

  /**
   * @param {Frame} response
   * @param {number} now
   */
  #response(response, now) {
    const { localUri } = this.#settings;
    const request = this.#pending.get(response.tid);
    if (!request || response.fault || !sameUri(response.toPath[0], localUri)) return;
    this.#window?.answered(request.at, now, this.#isFull());
    this.#pending.delete(response.tid);
    const { sending } = request;
    const good = response.status >= 200 && response.status < 300;
    if (!sending) {
      this.#bindingAnswered(good, response);
    } else if (response.status === 408 && this.#isSentAgain(sending, now)) {
      this.#sendAgain([sending]);
    } else if (!good) {
      this.#fail(sending, response.status, response.comment);
      if (response.status === 481 || response.status === 506) {
        this.#break(response.status, response.comment || "the session is gone");
      }
    } else {
      sending.open -= 1;
      this.#hooks.progress?.(sending.outgoing.messageId, this.#answered(sending));
      const done = sending.whole && sending.open === 0;
      if (done && !sending.outgoing.successReport) {
        this.#hooks.sent(sending.outgoing.messageId);
      }
    }
    this.#pump(now);
  }

  /**
   * @param {Sending} sending
   * @returns {number} octets from its start that were answered without a gap
   */
  #answered(sending) {
    for (const request of this.#pending.values()) if (request.sending === sending) return request.start;
    return sending.next;
  }

  /**
   * @param {boolean} good
   * @param {Frame} response
   */
  #bindingAnswered(good, response) {
    if (this.#state !== "binding" && this.#state !== "rebinding") return;
    if (!good) {
      this.#break(response.status, response.comment || "the first request was refused");
      return;
    }
    if (this.#state === "rebinding") this.#sendAllAgain();
    this.#state = "bound";
    this.#hooks.bound();
  }

  /**
   * Fails a message once; the rest of it is not sent, and the far end is told so.
   * @param {Sending} sending
   * @param {number} status
   * @param {string} reason
   */
  #fail(sending, status, reason) {
    const { messageId, contentType, body } = sending.outgoing;
    for (const [tid, request] of this.#pending) {
      if (request.sending === sending) this.#pending.delete(tid);
    }
    this.#reportable.delete(messageId);
    const at = this.#queue.indexOf(sending);
    if (at >= 0) {
      this.#queue.splice(at, 1);
      /** @type {[string, string][]} */
      const headers = [
        ["Message-ID", messageId],
        ["Byte-Range", `${sending.next + 1}-${sending.next}/${body.length}`],
        ["Failure-Report", "no"],
      ];
      const nothing = { contentType, body: new Uint8Array(0), sending: null };
      this.#request("SEND", headers, nothing, 0, "#", false);
    }
    this.#hooks.failed(messageId, status, reason);
  }

  // Receiving.

  /**
   * @param {Frame} request
   * @param {number} now
   */
  #incoming(request, now) {
    const silent = (request.headers.get("failure-report") ?? "yes").toLowerCase();
    const answer = (/** @type {number} */ status, /** @type {string} */ comment) => {
      const wanted = request.method !== "REPORT" && silent !== "no"
        && (status !== 200 || silent !== "partial") && request.fromPath.length > 0;
      if (wanted) {
        this.#hooks.transmit(writeResponse(request, status, comment, this.#settings.localUri));
      }
    };
    if (request.fault) {
      answer(400, "Bad request");
      this.#faults += 1;
      if (this.#faults >= FAULTS_MAX) this.#break(400, "too many malformed requests");
    } else if (!this.#isOurs(request)) {
      answer(481, "No such session");
    } else if (request.method === "REPORT") {
      this.#report(request, now);
    } else if (request.method !== "SEND") {
      answer(501, "Unknown method");
    } else if (request.body === null) {
      answer(200, "OK");
    } else {
      this.#content(request, answer, now);
    }
  }

  /** @param {Frame} request */
  #isOurs(request) {
    const { localUri } = this.#settings;
    return request.toPath.length === 1 && sameUri(request.toPath[0], localUri)
      && sameUri(request.fromPath.at(-1) ?? "", this.#remotePath.at(-1) ?? "");
  }

  /**
   * @param {Frame} request
   * @param {(status: number, comment: string) => void} answer
   * @param {number} now
   */
  #content(request, answer, now) {
    const messageId = request.headers.get("message-id");
    if (!messageId || messageId.length > 128) {
      answer(400, "No Message-ID");
      return;
    }
    const contentType = request.headers.get("content-type") ?? "";
    if (!admits(this.#settings.acceptTypes, bareType(contentType))) {
      answer(415, "Unknown content type");
      return;
    }
    if (this.#inflow) {
      this.#stream(this.#inflow, messageId, contentType, request, answer);
      return;
    }
    const outcome = this.#reassembly.take(messageId, request, now);
    if (outcome.kind === "refused") {
      answer(outcome.status, outcome.comment);
      return;
    }
    if (outcome.kind === "complete") {
      const { body } = outcome;
      const refused = this.#hooks.message({ messageId, contentType, body });
      if (typeof refused === "number") {
        answer(refused, "Not taken");
        return;
      }
      this.#reassembly.remember(messageId);
      answer(200, "OK");
      if ((request.headers.get("success-report") ?? "").toLowerCase() === "yes") {
        this.#reportSuccess(request, messageId, body.length);
      }
      return;
    }
    answer(200, "OK");
  }

  /**
   * @param {Inflow} inflow
   * @param {string} messageId
   * @param {string} contentType
   * @param {Frame} request
   * @param {(status: number, comment: string) => void} answer
   */
  #stream(inflow, messageId, contentType, request, answer) {
    const chunk = inflow.take(messageId, request);
    if (chunk.kind === "refused") {
      answer(chunk.status, chunk.comment);
      return;
    }
    if (chunk.kind === "aborted") this.#hooks.aborted?.(messageId);
    if (chunk.kind === "piece") {
      const { from, octets, total, last } = chunk;
      const taken = (/** @type {Taken} */ refused) => {
        answer(refused ?? 200, typeof refused === "number" ? "Not taken" : "OK");
        const reports = (request.headers.get("success-report") ?? "").toLowerCase() === "yes";
        if (last && reports && typeof refused !== "number") this.#reportSuccess(request, messageId, total ?? 0);
      };
      const outcome = this.#hooks.piece?.({ messageId, contentType, from, octets, total, last });
      if (outcome instanceof Promise) outcome.then(taken);
      else taken(outcome);
      return;
    }
    answer(200, "OK");
  }

  /**
   * @param {Frame} request the chunk that made the message whole
   * @param {string} messageId
   * @param {number} total octets
   */
  #reportSuccess(request, messageId, total) {
    this.#hooks.transmit(this.#writer.write({
      tid: randomWord(20),
      method: "REPORT",
      toPath: request.fromPath,
      fromPath: this.#settings.localUri,
      headers: [
        ["Message-ID", messageId],
        ["Byte-Range", `1-${total}/${total}`],
        ["Status", "000 200 OK"],
      ],
      flag: "$",
    }));
  }

  /**
   * @param {Frame} report
   * @param {number} now
   */
  #report(report, now) {
    const messageId = report.headers.get("message-id") ?? "";
    const parts = /^000 (\d{3})(?: (.*))?$/.exec(report.headers.get("status") ?? "");
    if (!parts) return;
    const sending = this.#find(messageId);
    if (!sending) return;
    const status = Number(parts[1]);
    if (status < 200 || status > 299) {
      this.#fail(sending, status, parts[2] ?? "");
      this.#pump(now);
    } else if (this.#reportable.get(messageId) === sending && coversAll(report, sending)) {
      this.#reportable.delete(messageId);
      this.#hooks.sent(messageId);
    }
  }

  /** @param {string} messageId */
  #find(messageId) {
    const is = (/** @type {Sending | null} */ sending) =>
      sending?.outgoing.messageId === messageId;
    for (const { sending } of this.#pending.values()) if (is(sending)) return sending;
    return this.#reportable.get(messageId) ?? this.#queue.find(is) ?? null;
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #break(status, reason) {
    if (this.#state === "over") return;
    this.close(status, reason);
    this.#hooks.broken(status, reason);
  }
}

/**
 * @param {Frame} report
 * @param {Sending} sending
 */
function coversAll(report, sending) {
  const parts = /^1-(\d{1,15})\//.exec(report.headers.get("byte-range") ?? "");
  return !parts || Number(parts[1]) >= sending.outgoing.body.length;
}
