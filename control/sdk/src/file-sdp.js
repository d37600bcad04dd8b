//! Files in session descriptions (RFC 5547, 6): what is offered, under which name. Pure.

/** Longest name of a file, in characters. */
const NAME_CHARACTERS_MAX = 255;

/**
 * What is said of a file. All of it may be missing but the id.
 * @typedef {object} FileDescription
 * @property {string} id `a=file-transfer-id`
 * @property {string} name
 * @property {string} type
 * @property {number | null} size octets
 * @property {{ algorithmName: string, value: string }[]} hashes
 * @property {string} disposition `render` or `attachment`
 * @property {string} description
 * @property {{ creation?: string, modification?: string, read?: string }} dates
 * @property {FileRange | null} range the part that is sent; null: all of it
 * @property {string} icon by which Content-ID its icon goes along; empty if it has none
 */

/** A part of a file: its first octet, counted from 1, and its last; null: to the end.
 * @typedef {{ start: number, stop: number | null }} FileRange */

/**
 * @param {FileDescription} file
 * @param {boolean} has whether it is ours; who takes it says less (RFC 5547, 8.3.1)
 * @param {boolean} [asks] whether we ask for it: by its hash, if that is known (8.2.2)
 * @returns {string[]} attribute lines
 */
export function fileLines(file, has, asks = false) {
  const hashes = has || asks ? file.hashes : [];
  const selector = [
    file.name && `name:"${encoded(file.name)}"`,
    file.type && `type:${file.type.replace(/[^\x21-\x7e]/g, "")}`,
    file.size !== null && `size:${file.size}`,
    ...hashes.map(({ algorithmName, value }) => `hash:${algorithmName}:${value.toUpperCase()}`),
  ];
  const lines = [`a=file-selector:${selector.filter(Boolean).join(" ")}`, `a=file-transfer-id:${file.id}`];
  if (file.range) lines.push(`a=file-range:${file.range.start}-${file.range.stop ?? "*"}`);
  if (!has) return lines;
  lines.push(`a=file-disposition:${file.disposition}`);
  const dates = Object.entries(file.dates).filter(([, date]) => date)
    .map(([kind, date]) => `${kind}:"${String(date).replace(/["\r\n]/g, "")}"`);
  if (dates.length > 0) lines.push(`a=file-date:${dates.join(" ")}`);
  if (file.icon) lines.push(`a=file-icon:cid:${file.icon}`);
  return lines;
}

/**
 * @param {string[]} section the lines of one medium
 * @returns {FileDescription | null} null if it is no file
 */
export function readFileLines(section) {
  const attribute = (/** @type {string} */ name) =>
    section.find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3).trim();
  const selector = attribute("file-selector");
  const id = attribute("file-transfer-id");
  if (selector === undefined || !id || !/^[!#-'*+.0-9A-Z^-z|~-]{1,128}$/.test(id)) return null;
  const value = (/** @type {RegExp} */ pattern) => pattern.exec(` ${selector}`)?.[1];
  const size = value(/ size:(\d{1,15})(?= |$)/);
  const name = value(/ name:"([^"]*)"/);
  const range = readRange(attribute("file-range"));
  if (typeof range === "string") return null;
  const date = attribute("file-date") ?? "";
  const when = (/** @type {string} */ kind) => new RegExp(`(?:^| )${kind}:"([^"]*)"`).exec(date)?.[1];
  const dates = { creation: when("creation"), modification: when("modification"), read: when("read") };
  return {
    id,
    name: name === undefined ? "" : safeName(name),
    type: value(/ type:([^ ;]+(?:;[^ ="]+="[^"]*")*)/) ?? "",
    size: size === undefined ? null : Number(size),
    hashes: [...selector.matchAll(/(?:^| )hash:([\w-]+):([0-9A-Fa-f:]+)/g)]
      .map(([, algorithmName, hash]) => ({ algorithmName, value: hash })),
    disposition: attribute("file-disposition") === "attachment" ? "attachment" : "render",
    description: section.find((line) => line.startsWith("i="))?.slice(2) ?? "",
    dates,
    range,
    icon: /^cid:(\S+)$/i.exec(attribute("file-icon") ?? "")?.[1] ?? "",
  };
}

/**
 * @param {string | undefined} text of `a=file-range`
 * @returns {FileRange | null | string} a string if it can't be one
 */
function readRange(text) {
  if (text === undefined) return null;
  const parts = /^(\d{1,15})-(?:(\d{1,15})|\*)$/.exec(text);
  const start = Number(parts?.[1] ?? 0);
  const stop = parts?.[2] === undefined ? null : Number(parts[2]);
  return start < 1 || (stop !== null && stop < start) ? "no range" : { start, stop };
}

/**
 * Characters that would end the name, or lead out of its folder (RFC 5547, 6).
 * @param {string} name
 */
function encoded(name) {
  return name.slice(0, NAME_CHARACTERS_MAX).replace(/["%\r\n\0/\\]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

/**
 * A name that stays where it is put, whatever came.
 * @param {string} text
 */
function safeName(text) {
  const plain = text.replace(/%(22|25|0D|0A|00|2F|5C)/gi,
    (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  const bare = (plain.split(/[/\\]/).at(-1) ?? "").replace(/[\u0000-\u001f\u007f]/g, "");
  const name = bare.slice(0, NAME_CHARACTERS_MAX).trim();
  return name === "" || name === "." || name === ".." ? "file" : name;
}
