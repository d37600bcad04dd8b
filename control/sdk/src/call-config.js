//! What one end of a call sends and takes, and what the other end's description says of that. Pure.

import { MEDIADIRECTION } from "./constants.js";

const { SENDONLY, RECVONLY, SENDRECV, NONE } = MEDIADIRECTION;

/** What may answer an offer, by the direction that the offering side has. RFC 3264, 6.1.
 * @type {Readonly<Record<string, string[]>>} */
const ANSWERS = Object.freeze({
  [SENDRECV]: [SENDRECV, SENDONLY, RECVONLY, NONE],
  [SENDONLY]: [RECVONLY, NONE],
  [RECVONLY]: [SENDONLY, NONE],
  [NONE]: [NONE],
});

/** A data channel that is wanted. @typedef {{ label: string, reliable?: boolean }} DataChannelConfig */

/** Media of one end of a call. */
export class CallConfig {
  /**
   * @param {string} [audioMediaDirection] one of MEDIADIRECTION
   * @param {string} [videoMediaDirection] one of MEDIADIRECTION
   * @param {DataChannelConfig[] | null} [dataChannelConfig] one data channel each; of a remote end an empty list says that
   *   it has some
   */
  constructor(audioMediaDirection = NONE, videoMediaDirection = NONE, dataChannelConfig = null) {
    /** Direction of audio, of MEDIADIRECTION. */
    this.audioConfig = audioMediaDirection;
    /** Direction of video, of MEDIADIRECTION. */
    this.videoConfig = videoMediaDirection;
    /** Data channels; null: none. */
    this.dataChannelConfig = dataChannelConfig;
  }

  /** @returns {boolean} */
  hasAudio() {
    return this.audioConfig !== NONE;
  }

  /** @returns {boolean} */
  hasVideo() {
    return this.videoConfig !== NONE;
  }

  /** @returns {boolean} */
  shouldSendAudio() {
    return sends(this.audioConfig);
  }

  /** @returns {boolean} */
  shouldSendVideo() {
    return sends(this.videoConfig);
  }

  /** @returns {boolean} */
  shouldReceiveAudio() {
    return takes(this.audioConfig);
  }

  /** @returns {boolean} */
  shouldReceiveVideo() {
    return takes(this.videoConfig);
  }
}

/**
 * A config from what the application gave: one, a plain object, or nothing.
 * @param {any} given
 * @param {CallConfig} [otherwise]
 * @returns {CallConfig}
 * @throws {TypeError} if a direction is none of MEDIADIRECTION
 */
export function readCallConfig(given, otherwise = new CallConfig(SENDRECV)) {
  const { audioConfig = NONE, videoConfig = NONE, dataChannelConfig = null } = given ?? otherwise;
  for (const direction of [audioConfig, videoConfig]) {
    if (!(direction in ANSWERS)) throw new TypeError(`wsc: not a media direction: ${direction}`);
  }
  return new CallConfig(audioConfig, videoConfig, dataChannelConfig);
}

/**
 * What the other end says of its media in a description.
 * @param {string} sdp
 * @returns {CallConfig} as the other end sees it: SENDONLY means that it sends
 */
export function configOf(sdp) {
  const [session, ...sections] = sdp.split(/\r?\n(?=m=)/);
  const config = new CallConfig();
  for (const section of sections) {
    const [kind, port] = section.slice(2).split(" ", 2);
    // Of a bundle only the first needs a port of its own. RFC 8843, 6.
    if (port === "0" && !/\na=bundle-only\b/.test(section)) continue;
    const direction = directionOf(section) ?? directionOf(session) ?? SENDRECV;
    if (kind === "audio" && !config.hasAudio()) config.audioConfig = direction;
    if (kind === "video" && !config.hasVideo()) config.videoConfig = direction;
    if (kind === "application") config.dataChannelConfig = [];
  }
  return config;
}

/**
 * @param {CallConfig} offered by the other end
 * @param {CallConfig} answer
 * @returns {string} what is wrong with this answer, or nothing
 */
export function conflictOf(offered, answer) {
  for (const kind of /** @type {const} */ (["audioConfig", "videoConfig"])) {
    if (!ANSWERS[offered[kind]].includes(answer[kind])) {
      return `${kind} ${answer[kind]} is no answer to ${offered[kind]}`;
    }
  }
  return "";
}

/**
 * The most of what an end has that is an answer to an offer.
 * @param {CallConfig} offered by the other end
 * @param {CallConfig} own
 * @returns {CallConfig}
 */
export function fitting(offered, own) {
  const fit = (/** @type {string} */ theirs, /** @type {string} */ ours) => {
    const sending = sends(ours) && takes(theirs);
    const taking = takes(ours) && sends(theirs);
    if (sending && taking) return SENDRECV;
    if (sending) return SENDONLY;
    return taking ? RECVONLY : NONE;
  };
  const { audioConfig, videoConfig, dataChannelConfig } = own;
  return new CallConfig(
    fit(offered.audioConfig, audioConfig), fit(offered.videoConfig, videoConfig), dataChannelConfig,
  );
}

/** All that an offer may ask for. */
export const EVERYTHING = Object.freeze(new CallConfig(SENDRECV, SENDRECV));

/**
 * @param {CallConfig} own
 * @returns {CallConfig} the same, and what it has nothing of is taken if it is offered
 */
export function receiving({ audioConfig, videoConfig }) {
  const orTaken = (/** @type {string} */ direction) => (direction === NONE ? RECVONLY : direction);
  return new CallConfig(orTaken(audioConfig), orTaken(videoConfig));
}

/** @param {string} text */
function directionOf(text) {
  const word = /\na=(sendrecv|sendonly|recvonly|inactive)\b/.exec(text)?.[1];
  return word === "inactive" ? NONE : word?.toUpperCase();
}

/** @param {string} direction */
function sends(direction) {
  return direction === SENDRECV || direction === SENDONLY;
}

/** @param {string} direction */
function takes(direction) {
  return direction === SENDRECV || direction === RECVONLY;
}
