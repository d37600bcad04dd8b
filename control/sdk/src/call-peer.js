//! The browser's side of a call: its RTCPeerConnection, tracks, data channels and candidates. Not here: who is asked, and
//! what an answer means (`call.js`).

import { readCandidates, writeCandidates } from "./candidates.js";
import { DataTransfer } from "./data-transfer.js";
import { environment } from "./environment.js";
import { startTimer, stopTimer, turn } from "./events.js";
import { log } from "./log.js";

/** Longest time that candidates are waited for before a description goes out, in milliseconds. */
const GATHER_MS_MAX = 5000;
/** Candidates that are found within so many milliseconds go out together. */
const TRICKLE_MS = 60;
/** Candidates kept for a description that has not come. */
const EARLY_MAX = 256;

/** A direction of MEDIADIRECTION as transceivers call it. @type {Record<string, RTCRtpTransceiverDirection>} */
const DIRECTIONS = { SENDRECV: "sendrecv", SENDONLY: "sendonly", RECVONLY: "recvonly", NONE: "inactive" };

/**
 * What a call is told.
 * @typedef {object} PeerHooks
 * @property {(lines: string) => void} candidates found after the description that needs them went out
 * @property {(stream: MediaStream) => void} remoteAdded
 * @property {(stream: MediaStream) => void} remoteRemoved
 * @property {(transfer: DataTransfer) => void} dataTransfer a channel was made, here or there
 * @property {() => void} failed nothing gets through to the other side any more
 */

/** One peer connection. All that is asynchronous is done in the order in which it was asked for. */
export class CallPeer {
  #connection;
  #hooks;
  /** @type {Promise<any>} */
  #work = Promise.resolve();
  #over = false;
  #trickles = false;
  /** Candidates that have not gone out. @type {import("./candidates.js").MidCandidate[]} */
  #found = [];
  /** @type {any} */
  #trickleTimer;
  /** Their candidates, before their description. @type {import("./candidates.js").MidCandidate[]} */
  #early = [];
  #known = new Set();
  /** @type {Map<string, DataTransfer>} */
  #transfers = new Map();
  /** @type {Set<MediaStream>} */
  #remote = new Set();

  /**
   * @param {RTCConfiguration} configuration
   * @param {PeerHooks} hooks
   */
  constructor(configuration, hooks) {
    this.#hooks = hooks;
    const connection = environment.openPeer(configuration);
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => turn(() => this.#candidate(candidate));
    connection.ontrack = (event) => turn(() => this.#track(event));
    connection.ondatachannel = ({ channel }) => turn(() => this.#transfer(channel));
    connection.onconnectionstatechange = () => turn(() => {
      if (connection.connectionState === "failed" && !this.#over) hooks.failed();
    });
  }

  /** The connection itself. */
  get connection() {
    return this.#connection;
  }

  /** Whether candidates of ours go out after our descriptions. @param {boolean} trickles */
  set trickles(trickles) {
    this.#trickles = trickles;
  }

  /**
   * Runs `step` after all that was asked for before.
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  inTurn(step) {
    const run = this.#work.then(step);
    this.#work = run.catch(() => {});
    return run;
  }

  /**
   * Sets what is sent and taken, and makes the channels there are not yet.
   * @param {import("./call-config.js").CallConfig} config
   * @param {MediaStream[]} streams what is sent
   */
  async apply(config, streams) {
    for (const [kind, direction] of [["audio", config.audioConfig], ["video", config.videoConfig]]) {
      const sends = direction === "SENDRECV" || direction === "SENDONLY";
      const stream = sends ? streams.find((one) => tracksOf(one, kind).length > 0) : undefined;
      const track = stream ? tracksOf(stream, kind)[0] : null;
      const found = this.#connection.getTransceivers().find(({ receiver, direction: now }) =>
        receiver.track?.kind === kind && now !== "stopped");
      if (!found) {
        if (direction === "NONE") continue;
        this.#connection.addTransceiver(track ?? kind, {
          direction: DIRECTIONS[direction], streams: stream ? [stream] : [],
        });
        continue;
      }
      found.direction = DIRECTIONS[direction];
      if (stream) found.sender.setStreams?.(stream);
      await found.sender.replaceTrack(track);
    }
    for (const { label, reliable } of config.dataChannelConfig ?? []) {
      if (this.#transfers.has(label)) continue;
      this.#transfer(this.#connection.createDataChannel(label, reliable === false ? { maxRetransmits: 0 } : {}));
    }
  }

  /**
   * Our description, with all candidates unless they trickle.
   * @param {"offer" | "answer"} type
   * @param {{ iceRestart?: boolean }} [options]
   * @returns {Promise<string>}
   */
  async describe(type, { iceRestart } = {}) {
    const connection = this.#connection;
    const description = type === "offer"
      ? await connection.createOffer({ iceRestart }) : await connection.createAnswer();
    await connection.setLocalDescription(description);
    if (!this.#trickles) await this.#gathered();
    this.#found = [];
    return connection.localDescription?.sdp ?? "";
  }

  /**
   * Their description.
   * @param {"offer" | "answer" | "pranswer"} type
   * @param {string} sdp
   */
  async describes(type, sdp) {
    await this.#connection.setRemoteDescription({ type, sdp });
    for (const candidate of this.#early.splice(0)) await this.#add(candidate);
  }

  /**
   * Takes back an offer of ours that was refused: all is as it was before.
   * @param {import("./call-config.js").CallConfig} config what was sent and taken
   * @param {MediaStream[]} streams
   */
  async rollBack(config, streams) {
    const connection = this.#connection;
    if (connection.signalingState !== "have-local-offer") return;
    await connection.setLocalDescription({ type: "rollback" });
    for (const added of connection.getTransceivers().filter(({ mid }) => mid === null)) added.stop();
    await this.apply(config, streams);
    // Chromium goes on with what was offered until the next answer. So it gets one: the last again.
    const last = connection.currentRemoteDescription?.sdp ?? "";
    const role = /\na=setup:active\b/.test(connection.currentLocalDescription?.sdp ?? "") ? "passive" : "active";
    try {
      await connection.setLocalDescription(await connection.createOffer());
      await connection.setRemoteDescription({ type: "answer", sdp: last.replace(/a=setup:actpass\b/g, `a=setup:${role}`) });
    } catch (error) {
      log("info", "what was refused stays in the description", error);
      await connection.setLocalDescription({ type: "rollback" });
    }
  }

  /**
   * Candidates of theirs; those known already change nothing.
   * @param {any} lines
   */
  learn(lines) {
    for (const candidate of readCandidates(lines)) {
      const key = `${candidate.sdpMid} ${candidate.candidate}`;
      if (this.#known.has(key) || this.#known.size >= EARLY_MAX) continue;
      this.#known.add(key);
      if (this.#connection.remoteDescription) this.inTurn(() => this.#add(candidate));
      else this.#early.push(candidate);
    }
  }

  /**
   * @param {string} label
   * @returns {DataTransfer | null}
   */
  transfer(label) {
    return this.#transfers.get(label) ?? null;
  }

  /** Ends it. */
  close() {
    this.#over = true;
    stopTimer(this.#trickleTimer);
    for (const transfer of this.#transfers.values()) transfer.close();
    this.#connection.close();
    for (const stream of this.#remote) this.#hooks.remoteRemoved(stream);
    this.#remote.clear();
  }

  /** @param {import("./candidates.js").MidCandidate} candidate */
  async #add(candidate) {
    // One that can't be used is one way less; the call may do without.
    await this.#connection.addIceCandidate(candidate).catch(() => {});
  }

  /** @param {RTCIceCandidate | null} found */
  #candidate(found) {
    if (!this.#trickles || this.#over) return;
    if (found?.candidate) this.#found.push({ candidate: found.candidate, sdpMid: found.sdpMid ?? "0" });
    stopTimer(this.#trickleTimer);
    const send = () => {
      const lines = writeCandidates(this.#found.splice(0), !found);
      if (lines !== "" && !this.#over) this.#hooks.candidates(lines);
    };
    this.#trickleTimer = startTimer(send, TRICKLE_MS);
  }

  #gathered() {
    const connection = this.#connection;
    return new Promise((resolve) => {
      if (connection.iceGatheringState === "complete") {
        resolve(null);
        return;
      }
      const timer = startTimer(() => resolve(null), GATHER_MS_MAX);
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState !== "complete") return;
        stopTimer(timer);
        resolve(null);
      };
    });
  }

  /** @param {RTCTrackEvent} event */
  #track({ streams, track }) {
    const stream = streams[0] ?? environment.makeStream([track]);
    if (this.#remote.has(stream)) return;
    this.#remote.add(stream);
    stream.onremovetrack = () => turn(() => {
      if (stream.getTracks().length === 0 && this.#remote.delete(stream)) this.#hooks.remoteRemoved(stream);
    });
    this.#hooks.remoteAdded(stream);
  }

  /** @param {RTCDataChannel} channel */
  #transfer(channel) {
    const transfer = new DataTransfer(channel);
    this.#transfers.set(channel.label, transfer);
    this.#hooks.dataTransfer(transfer);
  }
}

/**
 * @param {MediaStream} stream
 * @param {string} kind
 * @returns {MediaStreamTrack[]}
 */
function tracksOf(stream, kind) {
  return kind === "audio" ? stream.getAudioTracks() : stream.getVideoTracks();
}
