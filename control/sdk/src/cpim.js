//! The envelope `message/cpim` (RFC 3862), which handsets put around their texts. Pure.

/** The envelope's type. */
export const CPIM_TYPE = "message/cpim";
/** Octets of headers in front of the content. */
const HEAD_OCTETS_MAX = 16 * 1024;
/** The namespace of what a sender wants to know (RFC 5438, 6). */
const IMDN_NAMESPACE = "urn:ietf:params:imdn";
/** The most hops that want to see what becomes of a message. */
const ROUTES_MAX = 8;
/** Names of headers that are understood. RFC 3862, 4. */
const KNOWN = new Set(["From", "To", "cc", "DateTime", "Subject", "NS", "Require"]);
/** In a chat between two, handsets name nobody in the envelope: the signalling does. */
const NOBODY = "sip:anonymous@anonymous.invalid";

/**
 * @param {string} contentType
 * @param {Uint8Array} content
 * @param {Date} date when it was written
 * @param {{ messageId: string, wanted?: string[], routes?: string[] } | null} [imdn] the message's name, and what its
 *   sender wants to know; without wishes it is itself a notification, with the URIs by which it goes back
 * @param {{ from?: string, to?: string }} [parties] URIs, in a group: who says it, and to whom if not to all
 * @returns {Uint8Array}
 */
export function wrapCpim(contentType, content, date, imdn, { from = NOBODY, to = NOBODY } = {}) {
  const names = imdn ? [`NS: imdn <${IMDN_NAMESPACE}>`, `imdn.Message-ID: ${imdn.messageId}`] : [];
  const wishes = imdn?.wanted ? [`imdn.Disposition-Notification: ${imdn.wanted.join(", ")}`] : [];
  const routes = (imdn?.routes ?? []).map((uri) => `imdn.IMDN-Route: <${uri}>`);
  const disposition = imdn && !imdn.wanted ? ["Content-Disposition: notification"] : [];
  const head = new TextEncoder().encode([
    `From: <${from}>`,
    `To: <${to}>`,
    ...names,
    `DateTime: ${date.toISOString()}`,
    ...wishes,
    ...routes,
    "",
    `Content-Type: ${contentType}`,
    ...disposition,
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
 * What an envelope says and holds.
 * @typedef {object} Unwrapped
 * @property {string} contentType
 * @property {Uint8Array} content
 * @property {string} messageId empty if it has no name
 * @property {string} dateTime when it was sent, as its sender wrote it
 * @property {string[]} wanted what the sender wants to know, in lower case
 * @property {string[]} required names of what must be understood, and is not
 * @property {string} from URI of who says it; empty if that is nobody
 * @property {string} fromName the name with it
 * @property {string} to URI of whom it is for; empty if that is nobody
 * @property {string[]} routes URIs by which notes about it go back (RFC 5438, 6.5)
 * @property {string} originalTo URI of whom it was for before somebody on its way changed that; empty if nobody did
 */

/**
 * @param {Uint8Array} octets
 * @returns {Unwrapped | null} null if it is no such envelope
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
  const about = readEnvelope(octets.subarray(0, messageHead.before));
  if (encoding === "base64") {
    const plain = fromBase64(content);
    return plain && { contentType, content: plain, ...about };
  }
  return ["7bit", "8bit", "binary"].includes(encoding) ? { contentType, content, ...about } : null;
}

/**
 * Names compare with case, and the prefix of a namespace is what `NS` says (RFC 3862, 2.2 and 3.4).
 * @param {Uint8Array} octets
 */
function readEnvelope(octets) {
  const lines = new TextDecoder().decode(octets).split(/\r?\n/);
  const header = (/** @type {string} */ name) =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2).trim() ?? "";
  const bound = lines.map((line) => /^NS: *([\w-]*) *<([^>]*)>/.exec(line));
  const prefix = bound.find((found) => found?.[2] === IMDN_NAMESPACE)?.[1] ?? "imdn";
  const own = (/** @type {string} */ name) => header(prefix === "" ? name : `${prefix}.${name}`);
  const wanted = own("Disposition-Notification").toLowerCase().split(",").map((word) => word.trim());
  const required = lines.filter((line) => line.startsWith("Require: "))
    .flatMap((line) => line.slice("Require: ".length).split(",")).map((name) => name.trim())
    .filter((name) => name !== "" && !KNOWN.has(name) && !(prefix !== "" && name.startsWith(`${prefix}.`)));
  const { uri: from, name: fromName } = readParty(header("From"));
  const { uri: to } = readParty(header("To"));
  const dot = prefix === "" ? "" : `${prefix}.`;
  const recorded = lines.filter((line) => line.startsWith(`${dot}IMDN-Record-Route: `))
    .map((line) => readParty(line.slice(line.indexOf(": ") + 2)).uri).filter((uri) => uri !== "");
  const routes = recorded.length <= ROUTES_MAX ? recorded : [];
  const { uri: originalTo } = readParty(own("Original-To"));
  return {
    messageId: own("Message-ID"), dateTime: header("DateTime"), wanted, required, from, fromName, to, routes, originalTo,
  };
}

/** @param {string} value `Name <uri>`, RFC 3862, 4.1 */
function readParty(value) {
  const [, name = "", uri = ""] = /^(.*?)<([^<>\s]*)>\s*$/.exec(value) ?? [];
  return { uri: uri.toLowerCase() === NOBODY ? "" : uri, name: name.trim().replace(/^"(.*)"$/, "$1") };
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
