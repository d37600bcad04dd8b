//! The envelope `message/cpim` (RFC 3862), which handsets put around their texts. Pure.

/** The envelope's type. */
export const CPIM_TYPE = "message/cpim";
/** Octets of headers in front of the content. */
const HEAD_OCTETS_MAX = 16 * 1024;
/** In a chat between two, handsets name nobody in the envelope: the signalling does. */
const NOBODY = "<sip:anonymous@anonymous.invalid>";

/**
 * @param {string} contentType
 * @param {Uint8Array} content
 * @param {Date} date when it was written
 * @returns {Uint8Array}
 */
export function wrapCpim(contentType, content, date) {
  const head = new TextEncoder().encode([
    `From: ${NOBODY}`,
    `To: ${NOBODY}`,
    `DateTime: ${date.toISOString()}`,
    "",
    `Content-Type: ${contentType}`,
    `Content-Length: ${content.length}`,
    "",
    "",
  ].join("\r\n"));
  const octets = new Uint8Array(head.length + content.length);
  octets.set(head, 0);
  octets.set(content, head.length);
  return octets;
}

/**
 * @param {Uint8Array} octets
 * @returns {{ contentType: string, content: Uint8Array } | null} null if it is no such envelope
 */
export function unwrapCpim(octets) {
  const messageHead = emptyLine(octets, 0);
  const contentHead = messageHead ? emptyLine(octets, messageHead.after) : null;
  if (!messageHead || !contentHead) return null;
  const lines = new TextDecoder()
    .decode(octets.subarray(messageHead.after, contentHead.before)).split(/\r?\n/);
  const header = (/** @type {string} */ name) =>
    lines.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim();
  const contentType = header("content-type") ?? "text/plain";
  const encoding = (header("content-transfer-encoding") ?? "8bit").toLowerCase();
  const content = octets.slice(contentHead.after);
  if (encoding === "base64") {
    const plain = fromBase64(content);
    return plain && { contentType, content: plain };
  }
  return ["7bit", "8bit", "binary"].includes(encoding) ? { contentType, content } : null;
}

/**
 * @param {Uint8Array} octets
 * @param {number} from
 * @returns {{ before: number, after: number } | null} where the next empty line's neighbours are
 */
function emptyLine(octets, from) {
  const limit = Math.min(octets.length, from + HEAD_OCTETS_MAX);
  let lineStart = from;
  for (let at = octets.indexOf(10, from); at >= 0 && at < limit; at = octets.indexOf(10, at + 1)) {
    const empty = at === lineStart || (at === lineStart + 1 && octets[lineStart] === 13);
    if (empty) return { before: lineStart, after: at + 1 };
    lineStart = at + 1;
  }
  return null;
}

/**
 * @param {Uint8Array} octets
 * @returns {Uint8Array | null}
 */
function fromBase64(octets) {
  try {
    const binary = atob(new TextDecoder().decode(octets).replace(/\s/g, ""));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
