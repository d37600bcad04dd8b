//! MSRP frames: their parts, how one is written, and how its head is read (RFC 4975, 7 and 9). Pure.
//! Not here: where a frame ends in the stream (`reader.js`).

/** Limits of a head; past them a frame is refused. */
export const HEADER_LINE_OCTETS_MAX = 8192;
export const HEAD_OCTETS_MAX = 16384;
const HEADERS_MAX = 64;
const PATH_URIS_MAX = 8;

/**
 * One request or response. A frame with a `fault` has no more than the parts needed to refuse it.
 * @typedef {object} Frame
 * @property {string} tid transaction id
 * @property {string} method empty in a response
 * @property {number} status 0 in a request
 * @property {string} comment of a status, may be empty
 * @property {string[]} toPath
 * @property {string[]} fromPath
 * @property {Map<string, string>} headers by lower-case name; the first of equal names counts
 * @property {Uint8Array | null} body null if there is none, which differs from an empty one; a part of what was received
 * @property {string} flag `$` last chunk, `+` more to come, `#` aborted
 * @property {string} fault why it can't be understood; empty if it can
 */

/**
 * A Byte-Range: the first octet has number 1.
 * @typedef {object} ByteRange
 * @property {number} start
 * @property {number | null} end null: not known
 * @property {number | null} total null: not known
 */

const START_LINE = /^MSRP ([A-Za-z0-9][A-Za-z0-9.+%=-]{0,63}) (?:([A-Z]+)|(\d{3})(?: (.*))?)$/;
const encoder = new TextEncoder();

/**
 * Reads a start line.
 * @param {string} line
 * @returns {{ tid: string, method: string, status: number, comment: string } | null}
 */
export function readStartLine(line) {
  const parts = START_LINE.exec(line);
  if (!parts) return null;
  const [, tid, method = "", status = "0", comment = ""] = parts;
  return { tid, method, status: Number(status), comment };
}

/**
 * Puts a frame together from what the reader found.
 * @param {{ tid: string, method: string, status: number, comment: string }} start
 * @param {string[]} lines the headers
 * @param {Uint8Array | null} body
 * @param {string} flag
 * @returns {Frame}
 */
export function frameOf(start, lines, body, flag) {
  /** @type {Frame} */
  const frame = {
    ...start, toPath: [], fromPath: [], headers: new Map(), body, flag, fault: "",
  };
  if (lines.length > HEADERS_MAX) frame.fault = "too many headers";
  for (const [at, line] of lines.entries()) {
    const parts = /^([!#-'*+.0-9A-Z^-z|~-]+):[ \t]*([^\r\n]*)$/.exec(line);
    if (!parts) {
      frame.fault ||= "not a header";
      continue;
    }
    const name = parts[1].toLowerCase();
    const value = parts[2].trimEnd();
    if (at === 0 && name === "to-path") frame.toPath = uris(value);
    else if (at === 1 && name === "from-path") frame.fromPath = uris(value);
    else if (!frame.headers.has(name)) frame.headers.set(name, value);
  }
  if (frame.toPath.length === 0 || frame.fromPath.length === 0) frame.fault ||= "no paths";
  if (frame.toPath.length > PATH_URIS_MAX || frame.fromPath.length > PATH_URIS_MAX) {
    frame.fault ||= "path too long";
  }
  if ((body !== null) !== frame.headers.has("content-type")) {
    frame.fault ||= "a body needs a Content-Type, and the other way round";
  }
  return frame;
}

/** @param {string} value */
function uris(value) {
  return value.split(" ").filter((uri) => uri !== "");
}

/**
 * @param {string | undefined} value of a Byte-Range header
 * @returns {ByteRange | null} the whole message if there is no header; null if it is wrong
 */
export function readByteRange(value) {
  if (value === undefined) return { start: 1, end: null, total: null };
  const parts = /^(\d{1,15})-(\d{1,15}|\*)\/(\d{1,15}|\*)$/.exec(value);
  if (!parts) return null;
  const start = Number(parts[1]);
  const end = parts[2] === "*" ? null : Number(parts[2]);
  const total = parts[3] === "*" ? null : Number(parts[3]);
  if (start < 1 || (end !== null && end < start - 1)) return null;
  if (total !== null && (start > total + 1 || (end !== null && end > total))) return null;
  return { start, end, total };
}

/**
 * @typedef {object} RequestParts
 * @property {string} tid
 * @property {string} method
 * @property {string[]} toPath
 * @property {string} fromPath
 * @property {[string, string][]} headers without paths and Content-Type
 * @property {string} [contentType] goes with a body
 * @property {Uint8Array} [body]
 * @property {string} flag
 */

/** Writes requests, one after the other, in the same place: a large file's would be as much garbage as it has octets. */
export class RequestWriter {
  #place = new Uint8Array(4096);

  /**
   * @param {RequestParts} parts
   * @returns {Uint8Array} which holds until the next one is written
   */
  write(parts) {
    const { body } = parts;
    const head = [
      `MSRP ${parts.tid} ${parts.method}`,
      `To-Path: ${parts.toPath.join(" ")}`,
      `From-Path: ${parts.fromPath}`,
      ...parts.headers.map(([name, value]) => `${name}: ${value}`),
      ...(body ? [`Content-Type: ${parts.contentType}`, ""] : []),
      "",
    ].join("\r\n");
    const end = `${body ? "\r\n" : ""}-------${parts.tid}${parts.flag}\r\n`;
    // A character takes at most three octets in UTF-8.
    const most = 3 * (head.length + end.length) + (body?.length ?? 0);
    if (most > this.#place.length) this.#place = new Uint8Array(most);
    const place = this.#place;
    let length = encoder.encodeInto(head, place).written;
    if (body) {
      place.set(body, length);
      length += body.length;
    }
    length += encoder.encodeInto(end, place.subarray(length)).written;
    return place.subarray(0, length);
  }
}

/**
 * The response to a request: to the next hop for a SEND, along the whole path for others
 * (RFC 4975, 7.2).
 * @param {Frame} request
 * @param {number} status
 * @param {string} comment
 * @param {string} localUri
 * @returns {Uint8Array}
 */
export function writeResponse(request, status, comment, localUri) {
  const toPath = request.method === "SEND" ? request.fromPath.slice(0, 1) : request.fromPath;
  return encoder.encode([
    `MSRP ${request.tid} ${status} ${comment}`,
    `To-Path: ${toPath.join(" ")}`,
    `From-Path: ${localUri}`,
    `-------${request.tid}$`,
    "",
  ].join("\r\n"));
}
