//! Somebody's address, as envelopes write it and as pages see it. Pure.

/**
 * @param {string} uri
 * @returns {string} `bob@example.com` of `sip:bob@example.com;user=phone`; another kind of URI as it is
 */
export function shownParty(uri) {
  const [, address] = /^sips?:([^;?]*)/i.exec(uri) ?? [];
  return address ?? uri;
}

/**
 * @param {string} shown
 * @returns {string} the URI of somebody who is shown so
 */
export function partyUri(shown) {
  return /^(sips?|tel|urn):/i.test(shown) ? shown : `sip:${shown}`;
}

/**
 * Whether two URIs are of the same person. Hosts compare without case; parameters do not matter.
 * @param {string} one
 * @param {string} other
 */
export function sameParty(one, other) {
  return shownParty(one).toLowerCase() === shownParty(other).toLowerCase();
}
