//! What this end of a call sends: streams that the application gave, or microphone and camera.

import { MEDIASTREAMEVENT } from "./constants.js";
import { environment } from "./environment.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";

/** The streams of one end. What the library has taken itself it gives back; what it was given stays the application's. */
export class CallMedia {
  #tell;
  /** @type {MediaStream[]} */
  #given = [];
  /** @type {MediaStream[]} */
  #taken = [];
  #over = false;

  /** @param {(event: string, stream?: MediaStream) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @returns {MediaStream[]} */
  get streams() {
    return [...this.#given, ...this.#taken];
  }

  /**
   * Sees to it that there is something to send.
   * @param {import("./call-config.js").CallConfig} config
   * @param {MediaStream | MediaStream[] | null} [given]
   * @throws {ErrorInfo} MEDIA_ERROR, if microphone or camera can't be had
   */
  async take(config, given) {
    const streams = given ? [given].flat() : [];
    for (const stream of streams.filter((one) => !this.#given.includes(one))) {
      this.#given.push(stream);
      this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_ADDED, stream);
    }
    const has = (/** @type {"getAudioTracks" | "getVideoTracks"} */ tracks) =>
      this.streams.some((stream) => stream[tracks]().some(({ readyState }) => readyState === "live"));
    const audio = config.shouldSendAudio() && !has("getAudioTracks");
    const video = config.shouldSendVideo() && !has("getVideoTracks");
    if (!audio && !video) return;
    let stream;
    try {
      stream = await environment.captureMedia({ audio, video });
    } catch (error) {
      this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_ERROR);
      const why = /** @type {any} */ (error)?.name === "NotAllowedError" ? "microphone or camera may not be used"
        : `microphone or camera cannot be had: ${/** @type {any} */ (error)?.message ?? error}`;
      throw new ErrorInfo(ERRORCODE.MEDIA_ERROR, why);
    }
    this.#taken.push(stream);
    if (this.#over) this.end();
    else this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_ADDED, stream);
  }

  /** Gives back what was taken. */
  end() {
    this.#over = true;
    for (const stream of this.#taken) for (const track of stream.getTracks()) track.stop();
    for (const stream of this.streams) this.#tell(MEDIASTREAMEVENT.LOCAL_STREAM_REMOVED, stream);
    this.#given = [];
    this.#taken = [];
  }
}
