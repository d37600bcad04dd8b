//! The icon of a file, a small picture that goes along with its offer: as pages have it, and as frames have it.
//! Not here: by which name a description refers to it (`file-sdp.js`), when it goes along (`file-transfer.js`).

/** Octets of the largest one. */
const ICON_OCTETS_MAX = 10 * 1024;
/** Pictures that may be shown whoever has sent them; SVG is not among them, for it is a document. */
const PICTURE = /^image\/(png|jpe?g|gif|webp|avif|bmp)$/;

/** An icon as frames have it, in base64. @typedef {{ content_type: string, content: string }} Icon */

/**
 * @param {Blob | string | null | undefined} given a picture, or a `data:` URL of one
 * @returns {Icon | Promise<Icon> | null} null if there is none; a `cid:` URL names one, and is none. Throws if it can't be one
 */
export function iconOf(given) {
  if (!given || (typeof given === "string" && !/^data:/i.test(given))) return null;
  if (typeof given === "string") {
    const [, type, content] = /^data:([^;,]+);base64,([a-z0-9+/]+={0,2})$/i.exec(given) ?? [];
    if (content === undefined) throw new TypeError("wsc: an icon's data: URL is one of a picture in base64");
    return checked(type.toLowerCase(), content);
  }
  if (!(given instanceof Blob)) throw new TypeError("wsc: an icon is a Blob or a data: URL");
  // What is wrong with it is known before it is read.
  checked(given.type, "", given.size);
  return given.arrayBuffer().then((octets) =>
    checked(given.type, btoa(String.fromCharCode(...new Uint8Array(octets)))));
}

/**
 * @param {any} said an icon in a frame that came
 * @returns {string | undefined} a `data:` URL of it; undefined if it is none that may be shown
 */
export function iconUrl(said) {
  const { content_type: type = "", content = "" } = said ?? {};
  try {
    const icon = iconOf(`data:${type};base64,${content}`);
    return icon ? `data:${type};base64,${content}` : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} type
 * @param {string} content
 * @param {number} [octets]
 * @returns {Icon}
 */
function checked(type, content, octets = Math.floor((content.replace(/=+$/, "").length * 3) / 4)) {
  if (!PICTURE.test(type)) throw new TypeError(`wsc: an icon is a picture, not ${type || "anything"}`);
  if (octets === 0) throw new RangeError("wsc: an icon is not empty");
  if (octets > ICON_OCTETS_MAX) throw new RangeError(`wsc: an icon has at most ${ICON_OCTETS_MAX} octets`);
  return { content_type: type, content };
}
