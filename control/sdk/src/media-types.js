//! Lists of content types, as in `a=accept-types`. Pure.

/**
 * Whether a list has a place for a type.
 * @param {string[]} list in which `*` and `text/*` stand for many
 * @param {string} type without parameters
 */
export function admits(list, type) {
  const wanted = type.toLowerCase();
  const family = `${wanted.split("/")[0]}/*`;
  return list.some((entry) => {
    const known = entry.toLowerCase();
    return known === "*" || known === family || known === wanted;
  });
}

/**
 * @param {string} contentType maybe with parameters
 * @returns {string} the bare type, lower case
 */
export function bareType(contentType) {
  return contentType.split(";")[0].trim().toLowerCase();
}

/**
 * Octets as text: by the `charset` parameter if the language's decoder knows it, else UTF-8.
 * @param {Uint8Array} octets
 * @param {string} contentType
 */
export function decodeText(octets, contentType) {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return new TextDecoder().decode(octets);
  }
}
