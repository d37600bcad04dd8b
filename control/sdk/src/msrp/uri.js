//! MSRP URIs (RFC 4975, 6 and 9). Pure.

/**
 * @typedef {object} MsrpUri
 * @property {"msrp" | "msrps"} scheme
 * @property {string} host lower case, IPv6 in brackets
 * @property {string} port decimal, or empty
 * @property {string} sessionId empty if there is none
 * @property {string} transport lower case
 */

/** Longest URI that is read, in characters. */
const URI_CHARACTERS_MAX = 1024;
const SHAPE =
  /^(msrps?):\/\/(?:[^@/;]*@)?(\[[0-9A-Fa-f:.]+\]|[^:/;@[\]\s]+)(?::(\d{1,5}))?(?:\/([^;\s]*))?;([!#-'*+.0-9A-Z^-z|~-]+)(?:;[^\s]*)?$/i;

/**
 * @param {string} text
 * @returns {MsrpUri | null} null if it is no MSRP URI
 */
export function readUri(text) {
  const parts = text.length <= URI_CHARACTERS_MAX ? SHAPE.exec(text) : null;
  if (!parts) return null;
  return {
    scheme: /** @type {"msrp" | "msrps"} */ (parts[1].toLowerCase()),
    host: parts[2].toLowerCase(),
    port: parts[3] ?? "",
    sessionId: parts[4] ?? "",
    transport: parts[5].toLowerCase(),
  };
}

/**
 * Whether two URIs name the same end (RFC 4975, 6.1): the session id counts letter by letter.
 * @param {string} one
 * @param {string} other
 */
export function sameUri(one, other) {
  if (one === other) return true;
  const a = readUri(one);
  const b = readUri(other);
  return a !== null && b !== null && a.scheme === b.scheme && a.host === b.host
    && a.port === b.port && a.sessionId === b.sessionId && a.transport === b.transport;
}
