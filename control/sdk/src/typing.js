//! "Is typing" (RFC 3994): when to say it, when to believe it, and how it is written. Pure.

/** The type of the notes. */
export const TYPING_TYPE = "application/im-iscomposing+xml";
/** Milliseconds without a key after which the user counts as idle. */
const IDLE_MS = 15_000;
/** Milliseconds after which a user still typing is announced again. */
const REFRESH_MS = 60_000;
/** Milliseconds an announcement is believed if it does not say. */
const BELIEVED_MS = 120_000;
/** Longest note that is read, in characters. */
const NOTE_CHARACTERS_MAX = 4096;

/** What our side says. */
export class TypingSender {
  #refreshAt = Infinity;
  #idleAt = Infinity;

  /**
   * The user touched the text.
   * @param {number} now milliseconds
   * @returns {string | null} the note to send, if any
   */
  typed(now) {
    const wasIdle = this.#idleAt === Infinity;
    this.#idleAt = now + IDLE_MS;
    if (!wasIdle) return null;
    this.#refreshAt = now + REFRESH_MS;
    return note("active");
  }

  /**
   * The user gave up.
   * @returns {string | null} the note to send, if any
   */
  stopped() {
    if (this.#idleAt === Infinity) return null;
    this.messageSent();
    return note("idle");
  }

  /** A message went out, which says by itself that the typing is over. */
  messageSent() {
    this.#idleAt = Infinity;
    this.#refreshAt = Infinity;
  }

  /**
   * @param {number} now milliseconds
   * @returns {string | null} the note to send, if any
   */
  tick(now) {
    if (now >= this.#idleAt) return this.stopped();
    if (now < this.#refreshAt) return null;
    this.#refreshAt = now + REFRESH_MS;
    return note("active");
  }

  /** @returns {number} when {@link TypingSender.tick} has something to do; may be infinite */
  deadline() {
    return Math.min(this.#idleAt, this.#refreshAt);
  }
}

/** What the other side said. */
export class TypingReceiver {
  #believedUntil = -Infinity;

  /**
   * @param {string} text a note
   * @param {number} now milliseconds
   * @returns {"started" | "stopped" | null} what changed
   */
  receive(text, now) {
    const note = text.slice(0, NOTE_CHARACTERS_MAX);
    const state = /<(?:[\w-]+:)?state(?:\s[^>]*)?>\s*([\w-]+)\s*</.exec(note)?.[1];
    if (state !== "active") return this.stopped();
    const seconds = /<(?:[\w-]+:)?refresh(?:\s[^>]*)?>\s*(\d{1,6})\s*</.exec(note)?.[1];
    const wasTyping = this.isTyping();
    this.#believedUntil = now + (Number(seconds) * 1000 || BELIEVED_MS);
    return wasTyping ? null : "started";
  }

  /** @returns {"stopped" | null} a message came, or the chat is over */
  stopped() {
    if (!this.isTyping()) return null;
    this.#believedUntil = -Infinity;
    return "stopped";
  }

  /**
   * @param {number} now milliseconds
   * @returns {"stopped" | null} what changed
   */
  tick(now) {
    return now >= this.#believedUntil ? this.stopped() : null;
  }

  /** @returns {boolean} */
  isTyping() {
    return this.#believedUntil !== -Infinity;
  }

  /** @returns {number} when {@link TypingReceiver.tick} has something to do; may be infinite */
  deadline() {
    return this.isTyping() ? this.#believedUntil : Infinity;
  }
}

/** @param {"active" | "idle"} state */
function note(state) {
  const refresh = state === "active" ? `<refresh>${REFRESH_MS / 1000}</refresh>` : "";
  return '<?xml version="1.0" encoding="UTF-8"?>\r\n'
    + '<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
    + `<state>${state}</state><contenttype>text/plain</contenttype>${refresh}</isComposing>`;
}
