// Makes the files in src that are made from others.
//
//     node build/make.js           writes them
//     node build/make.js --check   fails if one is not up to date

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { classicScript, workerText } from "./classic.js";
import { hashModule } from "./hash-wasm.js";

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), "../src");

/** In the order in which one needs the other. @type {[string, () => string][]} */
const MADE = [
  ["hash-wasm.js", hashModule],
  ["hash-worker-text.js", workerText],
  ["wsc.global.js", classicScript],
];

const checks = process.argv.includes("--check");
for (const [name, make] of MADE) {
  const path = join(SOURCE, name);
  const text = make();
  if (!checks) {
    writeFileSync(path, text);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`src/${name} is not up to date; run: npm run build`);
    process.exit(1);
  }
}
