//! Finds some octets in many (Boyer, Moore and Horspool): it looks at one octet in as many as are looked for. Pure.

/** @type {Uint8Array} For each octet: how far what is looked for may be moved when it stands under its end. */
const moves = new Uint8Array(256);

/**
 * @param {Uint8Array} octets
 * @param {Uint8Array} wanted 1 to 255 octets
 * @param {number} from
 * @returns {number} where they stand first, at `from` or after it; -1 if they do not
 */
export function find(octets, wanted, from = 0) {
  const last = wanted.length - 1;
  moves.fill(wanted.length);
  for (let at = 0; at < last; at += 1) moves[wanted[at]] = last - at;
  const lastOctet = wanted[last];
  for (let end = from + last; end < octets.length; end += moves[octets[end]]) {
    if (octets[end] !== lastOctet) continue;
    let at = 0;
    while (at < last && octets[end - last + at] === wanted[at]) at += 1;
    if (at === last) return end - last;
  }
  return -1;
}
