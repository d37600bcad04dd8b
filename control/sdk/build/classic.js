// Makes src/wsc.global.js, the classic script that sets `globalThis.wsc`, from the modules.
//
// Each module becomes a function that is called at once, after those it imports: `import` becomes
// a look-up, `export` a returned object. That is right only while modules keep to a few forms, so
// anything else is an error: named imports without renaming, `export` in front of declarations
// (and a list of names in the door alone), no cycles.
//
//     node build/classic.js           writes the file
//     node build/classic.js --check   fails if the file is not up to date

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = resolve(dirname(fileURLToPath(import.meta.url)), "../src");
const DOOR = join(SOURCE, "wsc.js");
const TARGET = join(SOURCE, "wsc.global.js");

const IMPORT = /^import \{([^}]*)\} from "(\.[^"]+)";\n/gm;
const EXPORT_LIST = /^export \{[^}]*\};\n/gm;
const EXPORTED = /^export (?=(?:async )?(?:function|class|const) (\w+))/gm;

/**
 * @returns {string} the classic script
 * @throws {Error} if a module does not keep to the forms
 */
export function classicScript() {
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
    if (file === DOOR) body = body.replace(EXPORT_LIST, "");
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

  add(DOOR, []);
  return [
    "// Made by build/classic.js from the modules beside it; change those, not this.",
    "(function () {",
    '"use strict";',
    "const modules = {};\n",
    scopes.join("\n"),
    'globalThis.wsc = modules["wsc.js"].wsc;',
    "})();\n",
  ].join("\n");
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const script = classicScript();
  if (!process.argv.includes("--check")) {
    writeFileSync(TARGET, script);
  } else if (readFileSync(TARGET, "utf8") !== script) {
    console.error("src/wsc.global.js is not up to date; run: npm run build");
    process.exit(1);
  }
}
