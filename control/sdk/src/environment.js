//! Everything the library takes from its surroundings: sockets, clock, timers, chance.
//! Tests put their own in place; no other module names these globals.

export const environment = {
  /**
   * @param {string} url
   * @param {string[]} protocols
   * @returns {WebSocket} throws a SyntaxError if the URL is unusable
   */
  openSocket: (url, protocols) => new WebSocket(url, protocols),

  /**
   * @param {RTCConfiguration} configuration
   * @returns {RTCPeerConnection}
   */
  openPeer: (configuration) => new RTCPeerConnection(configuration),

  /** @returns {boolean} whether there can be calls at all */
  hasPeers: () => typeof RTCPeerConnection === "function",

  /**
   * @param {{ audio: boolean, video: boolean }} what
   * @returns {Promise<MediaStream>} rejects if the user or the machine does not give it
   */
  captureMedia: (what) => navigator.mediaDevices.getUserMedia(what),

  /**
   * @param {MediaStreamTrack[]} tracks
   * @returns {MediaStream}
   */
  makeStream: (tracks) => new MediaStream(tracks),

  /**
   * @param {string} text of its script
   * @returns {Worker} throws where there is none; where the page's policy forbids it, its `onerror` is called
   */
  openWorker: (text) => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      return new Worker(url);
    } finally {
      // It is being fetched by now.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    }
  },

  /** @returns {Storage} of this tab; throws where there is none */
  storage: () => sessionStorage,

  /** @param {() => void} callback called when the page goes away */
  onLeave: (callback) => {
    if (typeof window === "object") window.addEventListener("pagehide", callback);
  },

  /** @returns {number} milliseconds of a clock that never jumps */
  now: () => performance.now(),

  /**
   * @param {() => void} callback
   * @param {number} ms
   * @returns {any} what `stopTimer` takes
   */
  startTimer: (callback, ms) => setTimeout(callback, ms),

  /** @param {any} timer */
  stopTimer: (timer) => clearTimeout(timer),

  /** @returns {number} from 0 to less than 1; for jitter, not for secrets */
  chance: () => Math.random(),

  /**
   * @param {number} count
   * @returns {Uint8Array} octets nobody can guess
   */
  randomOctets: (count) => crypto.getRandomValues(new Uint8Array(count)),
};
