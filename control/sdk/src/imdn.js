//! What became of a message: notes of the type `message/imdn+xml` (RFC 5438). Pure.

/** The type of the notes. */
export const IMDN_TYPE = "message/imdn+xml";
/** Longest note that is read, in characters. */
const NOTE_CHARACTERS_MAX = 8192;

/**
 * @param {string} messageId of the message it is about
 * @param {string} dateTime when that was sent
 * @param {"delivered" | "displayed"} status
 * @param {string} [originalTo] URI of whom it was for at first, if that was another
 * @returns {string}
 */
export function writeImdn(messageId, dateTime, status, originalTo = "") {
  const kind = status === "displayed" ? "display" : "delivery";
  return '<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="urn:ietf:params:xml:ns:imdn">\r\n'
    + `<message-id>${escaped(messageId)}</message-id>\r\n<datetime>${escaped(dateTime)}</datetime>\r\n`
    + (originalTo ? `<original-recipient-uri>${escaped(originalTo)}</original-recipient-uri>\r\n` : "")
    + `<${kind}-notification><status><${status}/></status></${kind}-notification>\r\n</imdn>\r\n`;
}

/**
 * @param {string} text
 * @returns {{ messageId: string, status: string } | null} null if it is no such note
 */
export function readImdn(text) {
  const note = text.slice(0, NOTE_CHARACTERS_MAX);
  const messageId = /<(?:[\w-]+:)?message-id(?:\s[^>]*)?>\s*([^<]+?)\s*</.exec(note)?.[1];
  const status = /<(?:[\w-]+:)?status(?:\s[^>]*)?>\s*<(?:[\w-]+:)?([\w-]+)/.exec(note)?.[1];
  return messageId && status ? { messageId: plain(messageId), status } : null;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** @param {string} text */
function plain(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'").replace(/&amp;/g, "&");
}
