//! Names nobody else can guess or repeat.

import { environment } from "./environment.js";

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * @param {number} length in characters, each worth 5 random bits
 * @returns {string} letters and digits, the first one a letter
 */
export function randomWord(length) {
  const octets = environment.randomOctets(length);
  let word = LETTERS[octets[0] % 26];
  for (let at = 1; at < length; at += 1) word += LETTERS[octets[at] & 31];
  return word;
}

/** @returns {string} a random UUID, version 4 */
export function randomUuid() {
  const octets = environment.randomOctets(16);
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  const hex = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
    .join("-");
}
