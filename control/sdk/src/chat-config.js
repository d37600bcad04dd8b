//! What one end of a chat takes, and the messages in it.

import { CPIM_TYPE } from "./cpim.js";
import { IMDN_TYPE } from "./imdn.js";
import { admits } from "./media-types.js";
import { TYPING_TYPE } from "./typing.js";

/** Octets of the largest message taken if the application does not say. */
const MAX_SIZE = 64 * 1024;
/** Octets of the largest message the library ever takes. */
const MAX_SIZE_MAX = 16 * 1024 * 1024;

/** What an end takes. */
export class ChatConfig {
  /**
   * @param {string[]} [acceptTypes] content types taken; `*` for all
   * @param {string[]} [acceptWrappedTypes] content types taken inside an envelope
   * @param {number} [maxSize] octets of the largest message taken
   */
  constructor(acceptTypes, acceptWrappedTypes, maxSize) {
    /** Content types this end takes. */
    this.acceptTypes = acceptTypes ?? ["text/plain"];
    /** Content types this end takes inside an envelope. */
    this.acceptWrappedTypes = acceptWrappedTypes ?? [];
    /** Octets of the largest message this end takes. */
    this.selfMaxSize = Math.min(maxSize ?? MAX_SIZE, MAX_SIZE_MAX);
    /** Octets of the largest message the other end takes; infinite if it did not say. */
    this.targetMaxSize = Infinity;
  }

  /** The same as `selfMaxSize`. */
  get maxSize() {
    return this.selfMaxSize;
  }
}

/** One message of a chat. */
export class ChatMessage {
  /**
   * @param {string} contentType
   * @param {string | Uint8Array} content text, save for types that are none
   */
  constructor(contentType, content) {
    this.contentType = contentType;
    this.content = content;
    /** In a group: who says it, such as `bob@example.com`. @type {string | undefined} */
    this.from = undefined;
    /** In a group: the name with it, if there is one. @type {string | undefined} */
    this.fromName = undefined;
  }
}

/**
 * A config from what the application gave, which may be nothing, a ChatConfig or a plain object.
 * @param {{ acceptTypes?: string[], acceptWrappedTypes?: string[], maxSize?: number,
 *   selfMaxSize?: number } | null | undefined} given
 * @returns {ChatConfig}
 */
export function readConfig(given) {
  return new ChatConfig(
    given?.acceptTypes, given?.acceptWrappedTypes, given?.selfMaxSize ?? given?.maxSize,
  );
}

/**
 * The lists for the session description. To what the application takes the library adds what it
 * deals with itself: the envelope, of which only the content reaches the application, and the
 * notes about typing and about what became of messages.
 * @param {ChatConfig} config
 * @param {boolean} isGroup in a group nothing goes without an envelope, which says whose it is
 * @returns {{ acceptTypes: string[], acceptWrappedTypes: string[] }}
 */
export function offeredTypes(config, isGroup) {
  const acceptTypes = isGroup ? [CPIM_TYPE] : [...config.acceptTypes];
  const acceptWrappedTypes = [...config.acceptWrappedTypes];
  for (const type of isGroup ? [] : [CPIM_TYPE, TYPING_TYPE]) {
    if (!admits(acceptTypes, type)) acceptTypes.push(type);
  }
  for (const type of [...config.acceptTypes, TYPING_TYPE, IMDN_TYPE]) {
    if (type !== CPIM_TYPE && !admits(acceptWrappedTypes, type)) acceptWrappedTypes.push(type);
  }
  return { acceptTypes, acceptWrappedTypes };
}
