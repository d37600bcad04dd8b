// Makes src/hash-wasm.js: SHA-1 and SHA-256 (FIPS 180-4) of blocks as a WebAssembly module, written here operation by
// operation, since both are the same few steps for each round. Words of the schedule are computed four at a time.

/** Where things are in the module's memory; src/hash-blocks.js knows the same. */
const STATE_AT = 0;
const WORDS_AT = 64;
const PAGES = 5;

/** Octets of a program, in lists of lists. @typedef {(number | Code)[]} Code */

// The binary format of WebAssembly, as far as it is used.

const I32 = 0x7f;
const V128 = 0x7b;

/** @param {number} value @returns {Code} LEB128, without sign */
const unsigned = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, unsigned(value >>> 7)]);
/** @param {number} value @returns {Code} LEB128 of 32 bits with sign */
const signed = (value) => {
  const rest = value >> 7;
  const isLast = (rest === 0 && !(value & 0x40)) || (rest === -1 && Boolean(value & 0x40));
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, signed(rest)];
};
/** @param {Code[]} items @returns {Code} */
const vector = (items) => [unsigned(items.length), ...items];
/** @param {Code} code @returns {number[]} */
const flat = (code) => /** @type {number[]} */ (code.flat(Infinity));
/** @param {Code} code @returns {Code} with its length */
const sized = (code) => {
  const octets = flat(code);
  return [unsigned(octets.length), octets];
};
/** @param {string} text @returns {Code} */
const name = (text) => vector([...text].map((letter) => [letter.charCodeAt(0)]));
/** @param {number} id @param {Code} code @returns {Code} */
const section = (id, code) => [id, sized(code)];

/** @param {number} value @returns {Code} */
const i32 = (value) => [0x41, signed(value | 0)];
/** @param {number} local @returns {Code} */
const get = (local) => [0x20, unsigned(local)];
/** @param {number} local @param {Code} value @returns {Code} */
const set = (local, value) => [value, 0x21, unsigned(local)];
/** @param {number} opcode @returns {(...values: Code[]) => Code} of two values, or of a row of them */
const binary = (opcode) => (first, ...others) => [first, others.map((other) => [other, opcode])];
const add = binary(0x6a);
const and = binary(0x71);
const or = binary(0x72);
const xor = binary(0x73);
const rotateLeft = binary(0x77);
const rotateRight = binary(0x78);
/** @param {Code} address @param {number} offset @returns {Code} */
const load = (address, offset) => [address, 0x28, 2, unsigned(offset)];
/** @param {Code} address @param {number} offset @param {Code} value @returns {Code} */
const store = (address, offset, value) => [address, value, 0x36, 2, unsigned(offset)];

/** @param {number} opcode @returns {Code} of four words at once */
const simd = (opcode) => [0xfd, unsigned(opcode)];
/** @param {number} opcode @returns {(...values: Code[]) => Code} */
const binaryV = (opcode) => (first, ...others) => [first, others.map((other) => [other, simd(opcode)])];
const orV = binaryV(0x50);
const xorV = binaryV(0x51);
const addV = binaryV(0xae);
/** @param {Code} value @param {number} bits @returns {Code} */
const shiftLeftV = (value, bits) => [value, i32(bits), simd(0xab)];
/** @param {Code} value @param {number} bits @returns {Code} */
const shiftRightV = (value, bits) => [value, i32(bits), simd(0xad)];
/** @param {Code} value @param {number} bits @returns {Code} */
const rotateLeftV = (value, bits) => orV(shiftLeftV(value, bits), shiftRightV(value, 32 - bits));
/** @param {Code} one @param {Code} other @param {number[]} words of the eight that both have @returns {Code} */
const wordsOf = (one, other, words) =>
  [one, other, simd(0x0d), words.flatMap((word) => [0, 1, 2, 3].map((octet) => 4 * word + octet))];
/** @param {number[]} words @returns {Code} */
const constants = (words) => [simd(0x0c), words.flatMap((word) => [0, 8, 16, 24].map((bits) => (word >>> bits) & 255))];
/** @param {Code} address @param {number} offset @returns {Code} four words, which are big-endian in memory */
const loadBigEndian = (address, offset) => {
  const octets = [0, 4, 8, 12].flatMap((word) => [3, 2, 1, 0].map((octet) => word + octet));
  return [address, simd(0x00), 4, unsigned(offset), constants([0, 0, 0, 0]), simd(0x0d), octets];
};
/** @param {number} offset @param {Code} value @returns {Code} */
const storeV = (offset, value) => [i32(0), value, simd(0x0b), 4, unsigned(offset)];

// The hashes.

/** Parameters of both functions: where the next block begins, and where the last one ends. */
const AT = 0;
const END = 1;
/** Locals after them: the rounds' words, three to spare, and what the schedule needs, four words each. */
const WORDS = [2, 3, 4, 5, 6, 7, 8, 9];
const SPARE = 10;
const DIFFERENCES = [11, 12];
const QUADS = [13, 14, 15, 16, 17, 18, 19, 20];
const NEXT = 21;
const ZERO = constants([0, 0, 0, 0]);

/** @param {number} round @returns {Code} its word of the schedule, with its constant */
const scheduled = (round) => load(i32(0), WORDS_AT + 4 * round);
/** @param {number} quad @returns {number} the local that has it */
const quadOf = (quad) => QUADS[quad % QUADS.length];

/**
 * A function that compresses blocks.
 * @param {number} words of the state
 * @param {(quad: number) => Code} schedule stores four words
 * @param {number} rounds
 * @param {(round: number, words: number[]) => Code} step of a round
 * @returns {Code}
 */
function compression(words, schedule, rounds, step) {
  /** @type {Code} */
  const steps = [];
  for (let quad = 0; quad < 4; quad += 1) steps.push(schedule(quad));
  for (let round = 0; round < rounds; round += 1) {
    // Sixteen rounds ahead of those that need them.
    if (round % 4 === 0 && round + 16 < rounds) steps.push(schedule(round / 4 + 4));
    // Words move on by one place: it is the names that do.
    steps.push(step(round, Array.from({ length: words }, (_, at) => WORDS[(at + words * rounds - round) % words])));
  }
  const state = WORDS.slice(0, words);
  const turned = (/** @type {number} */ at) => WORDS[(at + words * rounds - rounds) % words];
  const body = [
    0x03, 0x40, // loop
    state.map((local, at) => set(local, load(i32(0), STATE_AT + 4 * at))),
    steps,
    state.map((_, at) => store(i32(0), STATE_AT + 4 * at, add(load(i32(0), STATE_AT + 4 * at), get(turned(at))))),
    set(AT, add(get(AT), i32(64))),
    get(AT), get(END), 0x47, 0x0d, 0, // again unless that was all
    0x0b,
  ];
  const locals = vector([[unsigned(11), I32], [unsigned(QUADS.length + 1), V128]]);
  return sized([locals, body, 0x0b]);
}

/** @param {number} quad @param {Code} value @param {number[]} added @returns {Code} kept, and stored with its constants */
const keep = (quad, value, added) => [
  set(quadOf(quad), value),
  storeV(WORDS_AT + 16 * quad, addV(get(quadOf(quad)), constants(added))),
];

const SHA1_CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6];

/** @param {number} quad @returns {Code} */
function schedule1(quad) {
  const added = Array(4).fill(SHA1_CONSTANTS[Math.floor(quad / 5)]);
  if (quad < 4) return keep(quad, loadBigEndian(get(AT), 16 * quad), added);
  const before = (/** @type {number} */ quads) => get(quadOf(quad - quads));
  if (quad >= 8) {
    // The same as below, twice: W(t) is that of t-6, t-16, t-28 and t-32, turned by two, and needs none of its own four.
    const mixed = xorV(wordsOf(before(2), before(1), [2, 3, 4, 5]), before(4), before(7), before(8));
    return [set(NEXT, mixed), keep(quad, rotateLeftV(get(NEXT), 2), added)];
  }
  // The fourth needs the first, which is not there yet: it is mixed in afterwards.
  const mixed = xorV(
    wordsOf(before(1), ZERO, [1, 2, 3, 4]), before(2), wordsOf(before(4), before(3), [2, 3, 4, 5]), before(4),
  );
  return [
    set(NEXT, mixed),
    set(NEXT, rotateLeftV(get(NEXT), 1)),
    keep(quad, xorV(get(NEXT), rotateLeftV(wordsOf(ZERO, get(NEXT), [0, 1, 2, 4]), 1)), added),
  ];
}

/** @param {number} round @param {number[]} words @returns {Code} */
function step1(round, [a, b, c, d, e]) {
  const choice = xor(get(d), and(get(b), xor(get(c), get(d))));
  const parity = xor(get(b), get(c), get(d));
  const majority = or(and(get(b), get(c)), and(get(d), or(get(b), get(c))));
  const mixed = [choice, parity, majority, parity][Math.floor(round / 20)];
  return [
    set(e, add(add(get(e), scheduled(round)), mixed, rotateLeft(get(a), i32(5)))),
    set(b, rotateLeft(get(b), i32(30))),
  ];
}

/** The first 32 bits of the fractional parts of the cube roots of the first primes. */
const SHA256_CONSTANTS = (() => {
  const primes = /** @type {number[]} */ ([]);
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes.map((prime) => (Math.cbrt(prime) % 1) * 0x1_0000_0000 | 0);
})();

/** @param {number} quad @returns {Code} */
function schedule256(quad) {
  const added = SHA256_CONSTANTS.slice(4 * quad, 4 * quad + 4);
  if (quad < 4) return keep(quad, loadBigEndian(get(AT), 16 * quad), added);
  const before = (/** @type {number} */ quads) => get(quadOf(quad - quads));
  const turned = (/** @type {Code} */ value, /** @type {number[]} */ [one, other, shift]) => xorV(
    shiftRightV(value, one), shiftLeftV(value, 32 - one), shiftRightV(value, other), shiftLeftV(value, 32 - other),
    shiftRightV(value, shift),
  );
  const late = [17, 19, 10];
  // The last two need the first two, which are not there yet.
  return [
    set(NEXT, wordsOf(before(4), before(3), [1, 2, 3, 4])),
    set(NEXT, addV(turned(get(NEXT), [7, 18, 3]), before(4), wordsOf(before(2), before(1), [1, 2, 3, 4]))),
    set(quadOf(quad), wordsOf(before(1), ZERO, [2, 3, 4, 4])),
    set(NEXT, addV(get(NEXT), turned(get(quadOf(quad)), late))),
    set(quadOf(quad), wordsOf(get(NEXT), ZERO, [4, 4, 0, 1])),
    keep(quad, addV(get(NEXT), turned(get(quadOf(quad)), late)), added),
  ];
}

/** @param {number} round @param {number[]} words @returns {Code} */
function step256(round, [a, b, c, d, e, f, g, h]) {
  const turned = (/** @type {number} */ local, /** @type {number[]} */ bits) =>
    xor(...bits.map((count) => rotateRight(get(local), i32(count))));
  const choice = xor(get(g), and(get(e), xor(get(f), get(g))));
  // What two words differ in, the next two do in the next round.
  const [difference, next] = round % 2 === 0 ? DIFFERENCES : [...DIFFERENCES].reverse();
  const majority = xor(get(b), and(get(difference), get(next)));
  return [
    round === 0 ? set(difference, xor(get(b), get(c))) : [],
    set(next, xor(get(a), get(b))),
    set(SPARE, add(add(get(h), scheduled(round)), choice, turned(e, [6, 11, 25]))),
    set(d, add(get(d), get(SPARE))),
    set(h, add(get(SPARE), majority, turned(a, [2, 13, 22]))),
  ];
}

/** @returns {string} the source file with the module in it */
export function hashModule() {
  const functions = [compression(5, schedule1, 80, step1), compression(8, schedule256, 64, step256)];
  const octets = flat([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    section(1, vector([[0x60, vector([[I32], [I32]]), vector([])]])),
    section(3, vector([[0], [0]])),
    section(5, vector([[1, PAGES, PAGES]])),
    section(7, vector([[name("memory"), 2, 0], [name("sha1"), 0, 0], [name("sha256"), 0, 1]])),
    section(10, vector(functions)),
  ]);
  const lines = Buffer.from(octets).toString("base64").match(/.{1,110}/g) ?? [];
  return [
    "//! SHA-1 and SHA-256 of blocks as a WebAssembly module, in Base64.",
    "//! Made by build/hash-wasm.js; change that, not this.",
    "",
    "export const HASH_WASM = [",
    ...lines.map((line) => `  "${line}",`),
    "].join(\"\");",
    "",
  ].join("\n");
}
