//! The session description of a chat or a file: made for our side, read from the other. Pure.

import { readFileLines } from "./file-sdp.js";
import { readUri } from "./msrp/uri.js";

/** Longest description that is read, in characters. */
const SDP_CHARACTERS_MAX = 64 * 1024;

/**
 * Our side.
 * @typedef {object} LocalMedia
 * @property {boolean} secure `wss` and TLS, or `ws`
 * @property {string} path our MSRP URI
 * @property {string} origin number of the description's origin line
 * @property {string[]} acceptTypes
 * @property {string[]} acceptWrappedTypes
 * @property {number} [maxSize] octets of the largest message we take
 * @property {string} [direction] `sendrecv` if it is left out
 * @property {string} [information] in words
 * @property {string[]} [attributes] further lines
 */

/**
 * The other side, as anchored by the server.
 * @typedef {object} RemoteMedia
 * @property {boolean} secure
 * @property {string[]} path left: the next hop, right: the far end
 * @property {string} url where our WebSocket goes
 * @property {string[]} acceptTypes lower case
 * @property {string[]} acceptWrappedTypes lower case
 * @property {number} maxSize octets; infinite if not stated
 * @property {string} direction as the other side sees it: `sendonly` means that it sends
 * @property {import("./file-sdp.js").FileDescription | null} file
 */

/**
 * @param {LocalMedia} media
 * @returns {string}
 */
export function writeSdp(media) {
  const lines = [
    "v=0",
    `o=- ${media.origin} 1 IN IP4 0.0.0.0`,
    "s=-",
    "c=IN IP4 0.0.0.0",
    "t=0 0",
    `m=message 9 ${media.secure ? "TCP/TLS/MSRP" : "TCP/MSRP"} *`,
    ...(media.information ? [`i=${media.information}`] : []),
    `a=path:${media.path}`,
    "a=setup:active",
    `a=accept-types:${media.acceptTypes.join(" ")}`,
  ];
  if (media.acceptWrappedTypes.length > 0) {
    lines.push(`a=accept-wrapped-types:${media.acceptWrappedTypes.join(" ")}`);
  }
  if (media.maxSize !== undefined) lines.push(`a=max-size:${media.maxSize}`);
  lines.push(`a=${media.direction ?? "sendrecv"}`, ...(media.attributes ?? []));
  return `${lines.join("\r\n")}\r\n`;
}

/**
 * Reads the first `m=message` of a description.
 * @param {any} sdp
 * @returns {RemoteMedia | string} a string says what is wrong with it
 */
export function readSdp(sdp) {
  if (typeof sdp !== "string" || sdp === "") return "no session description";
  if (sdp.length > SDP_CHARACTERS_MAX) return "session description too long";
  const lines = sdp.split(/\r?\n/);
  const start = lines.findIndex((line) => line.startsWith("m=message "));
  if (start < 0) return "no message media";
  const after = lines.findIndex((line, at) => at > start && line.startsWith("m="));
  const section = lines.slice(start, after < 0 ? undefined : after);
  const [port, protocol] = section[0].slice("m=message ".length).split(" ");
  if (port === "0") return "message media refused";
  if (protocol !== "TCP/MSRP" && protocol !== "TCP/TLS/MSRP") return `no MSRP: ${protocol}`;

  const path = (attribute(section, "path") ?? "").split(" ").filter((uri) => uri !== "");
  const next = readUri(path[0] ?? "");
  if (!next || path.some((uri) => !readUri(uri))) return "no usable a=path";
  if (next.transport !== "ws" && next.transport !== "wss") return "the path is not for WebSocket";
  if (next.port === "") return "the path has no port";
  const resource = attribute(section, "ws-resource-path") ?? "";
  if (!/^\/[!-~]*$/.test(resource) || /[?#]/.test(resource)) return "no usable a=ws-resource-path";
  const secure = next.scheme === "msrps" || next.transport === "wss";
  const size = attribute(section, "max-size") ?? "";
  return {
    secure,
    path,
    url: `${secure ? "wss" : "ws"}://${next.host}:${next.port}${resource}`,
    acceptTypes: types(attribute(section, "accept-types")),
    acceptWrappedTypes: types(attribute(section, "accept-wrapped-types")),
    direction: section.map((line) => /^a=(sendonly|recvonly|inactive)$/.exec(line)?.[1])
      .find((word) => word) ?? "sendrecv",
    file: readFileLines(section),
    maxSize: /^\d{1,15}$/.test(size) ? Number(size) : Infinity,
  };
}

/**
 * An answer has a line for each of its offer (RFC 3264, 6): the first message line is what is answered, all others are refused by
 * port 0, and say which file it would have been (RFC 5547, 8.3).
 * @param {string} own our description, of one line
 * @param {string} offer
 * @returns {string}
 */
export function answerTo(own, offer) {
  const split = (/** @type {string} */ sdp) => sdp.trimEnd().split(/\r?\n(?=m=)/);
  const [head, ours] = split(own);
  const [, ...offered] = split(offer);
  const taken = offered.findIndex((section) => section.startsWith("m=message "));
  if (offered.length < 2 || taken < 0) return own;
  const refused = (/** @type {string} */ section) => {
    const [line, ...attributes] = section.split(/\r?\n/);
    const files = attributes.filter((one) => /^a=file-(selector|transfer-id):/.test(one));
    return [line.replace(/^(m=\S+) \S+/, "$1 0"), ...files].join("\r\n");
  };
  return [head, ...offered.map((section, at) => (at === taken ? ours : refused(section))), ""].join("\r\n");
}

/**
 * @param {string[]} section
 * @param {string} name
 * @returns {string | undefined}
 */
function attribute(section, name) {
  const start = `a=${name}:`;
  return section.find((line) => line.startsWith(start))?.slice(start.length).trim();
}

/** @param {string | undefined} list */
function types(list) {
  return (list ?? "").toLowerCase().split(" ").filter((type) => type !== "");
}
