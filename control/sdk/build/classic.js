// Makes classic scripts from modules: src/wsc.global.js, which sets `globalThis.wsc`, and the text of the worker that
// computes hashes, which is made from a text because the library is to work from whatever address it is loaded.
//
// Each module becomes a function that is called at once, after those it imports: `import` becomes
// a look-up, `export` a returned object. That is right only while modules keep to a few forms, so
// anything else is an error: named imports without renaming, `export` in front of declarations
// (and a list of names in the door alone), no cycles.

import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = resolve(dirname(fileURLToPath(import.meta.url)), "../src");
const DOOR = join(SOURCE, "wsc.js");
const WORKER = join(SOURCE, "hash-blocks.js");

const IMPORT = /^import \{([^}]*)\} from "(\.[^"]+)";\n/gm;
const EXPORT_LIST = /^export \{[^}]*\};\n/gm;
const EXPORTED = /^export (?=(?:async )?(?:function|class|const) (\w+))/gm;

/**
 * @param {string} door the module that imports the others
 * @param {string} first lines that come first
 * @param {string} last a statement that uses what that module exports
 * @returns {string} a classic script
 * @throws {Error} if a module does not keep to the forms
 */
function classic(door, first, last) {
  /** @type {string[]} */
  const scopes = [];
  /** @type {Set<string>} */
  const done = new Set();

  /**
   * @param {string} file
   * @param {string[]} importers
   */
  function add(file, importers) {
    const name = relative(SOURCE, file);
    if (importers.includes(file)) throw new Error(`${name}: modules import each other in a circle`);
    if (done.has(file)) return;
    const text = readFileSync(file, "utf8");
    const taken = [...text.matchAll(IMPORT)].map(([, names, from]) => {
      if (/\bas\b/.test(names)) throw new Error(`${name}: an import renames`);
      const imported = resolve(dirname(file), from);
      add(imported, [...importers, file]);
      return `const {${names}} = modules["${relative(SOURCE, imported)}"];`;
    });
    done.add(file);
    const given = [...text.matchAll(EXPORTED)].map(([, exported]) => exported);
    let body = text.replace(IMPORT, "").replace(EXPORTED, "");
    if (file === door) body = body.replace(EXPORT_LIST, "");
    const left = /^(?:import|export)\b.*$/m.exec(body);
    if (left) throw new Error(`${name}: cannot be made classic: ${left[0]}`);
    scopes.push([
      `modules["${name}"] = (function () {`,
      ...taken,
      body.trim(),
      `return { ${given.join(", ")} };`,
      "})();\n",
    ].join("\n"));
  }

  add(door, []);
  return [
    first,
    "(function () {",
    '"use strict";',
    "const modules = {};\n",
    scopes.join("\n"),
    last,
    "})();\n",
  ].join("\n");
}

/** @returns {string} the library as a classic script */
export function classicScript() {
  const first = "// Made by build/classic.js from the modules beside it; change those, not this.";
  return classic(DOOR, first, 'globalThis.wsc = modules["wsc.js"].wsc;');
}

/** @returns {string} the module that has the worker's script as a text, without its comments */
export function workerText() {
  const script = classic(WORKER, "", `modules["${relative(SOURCE, WORKER)}"].serveHashes(globalThis);`);
  const lines = script.split("\n").map((line) => line.trim()).filter((line) => line && !/^(?:\/\/|\/\*\*|\*)/.test(line));
  return [
    "//! The script of the worker that computes hashes, as a text.",
    "//! Made by build/classic.js from hash-blocks.js and what it imports; change those, not this.",
    "",
    "export const HASH_WORKER = [",
    ...lines.map((line) => `  ${JSON.stringify(line)},`),
    '].join("\\n");',
    "",
  ].join("\n");
}
