//! Candidates as frames carry them: lines of a description, each section's after its `a=mid`. RFC 8840, 9. Pure.

/** Octets of candidates that are read at once. */
const TEXT_MAX = 32 * 1024;

/** A candidate and the section it is of. @typedef {{ candidate: string, sdpMid: string }} MidCandidate */

/**
 * @param {MidCandidate[]} candidates
 * @param {boolean} [complete] whether there will be no more
 * @returns {string} lines; empty if there is nothing to say
 */
export function writeCandidates(candidates, complete = false) {
  const mids = [...new Set(candidates.map(({ sdpMid }) => sdpMid))];
  const lines = mids.flatMap((mid) => [
    `a=mid:${mid}`,
    ...candidates.filter(({ sdpMid }) => sdpMid === mid).map(({ candidate }) => `a=${candidate}`),
    ...(complete ? ["a=end-of-candidates"] : []),
  ]);
  return lines.map((line) => `${line}\r\n`).join("");
}

/**
 * @param {any} text
 * @returns {MidCandidate[]} in order; what can't be read is left out
 */
export function readCandidates(text) {
  if (typeof text !== "string" || text.length > TEXT_MAX) return [];
  /** @type {MidCandidate[]} */
  const found = [];
  /** @type {string | undefined} */
  let sdpMid;
  for (const line of text.split(/\r?\n/)) {
    const value = line.replace(/^a=/, "");
    if (value.startsWith("mid:")) sdpMid = value.slice("mid:".length).trim();
    else if (value.startsWith("candidate:") && sdpMid !== undefined) found.push({ candidate: value, sdpMid });
  }
  return found;
}
