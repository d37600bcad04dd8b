// Starts the built programs and talks to them through their standard streams. Every wait is for a
// line that a program prints; what was started is ended, whatever happens to the test.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const LINE_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/** Programs that have not ended yet. */
const running = new Set();
process.on('exit', () => running.forEach((program) => program.child.kill('SIGKILL')));

/** @param {string} name  A program of this repository, as cargo builds it. */
function pathOf(name) {
  const folder = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), process.env.PROFILE ?? 'debug');
  const path = join(folder, name);
  if (!existsSync(path)) {
    throw new Error(`${path} is not there: build it with "cargo build --workspace --bins"`);
  }
  return path;
}

export class Program {
  /** @type {string[]} What was printed, by line, on both streams. */
  lines = [];
  /** Lines before this one have been waited for already. */
  #next = 0;
  /** @type {Set<() => void>} Called at each line, and at the end. */
  #watchers = new Set();
  #ended = false;

  /**
   * @param {string} name  The program's name.
   * @param {string[]} args
   */
  constructor(name, args) {
    this.name = name;
    this.child = spawn(pathOf(name), args, { stdio: 'pipe' });
    this.exit = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        this.#ended = true;
        running.delete(this);
        resolve(signal ?? code);
        this.#wake();
      });
    });
    this.child.stdin.on('error', () => {}); // It ended first; the waits say so.
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let open = '';
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        const parts = (open + text).split('\n');
        open = parts.pop();
        this.lines.push(...parts);
        this.#wake();
      });
    }
    running.add(this);
  }

  #wake() {
    this.#watchers.forEach((watch) => watch());
  }

  /**
   * Waits for a line that has not been waited for before.
   * @param {RegExp} pattern
   * @param {number} [timeoutMs]
   * @returns {Promise<RegExpMatchArray>}
   */
  line(pattern, timeoutMs = LINE_TIMEOUT_MS) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
        settle(value);
      };
      const fail = (why) => {
        const printed = this.lines.map((line) => `  ${line}`).join('\n');
        finish(reject, new Error(`${this.name}: ${why} while waiting for ${pattern}; it printed:\n${printed}`));
      };
      const watch = () => {
        for (let at = this.#next; at < this.lines.length; at += 1) {
          const match = this.lines[at].match(pattern);
          if (match) {
            this.#next = at + 1;
            finish(resolve, match);
            return;
          }
        }
        if (this.#ended) fail('it ended');
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
      this.#watchers.add(watch);
      watch();
    });
  }

  /** @param {string} command  A line for the program's standard input. */
  write(command) {
    this.child.stdin.write(`${command}\n`);
  }

  /** The processes that this one has started and that still run. */
  async children() {
    const threads = `/proc/${this.child.pid}/task`;
    const lists = (await readdir(threads)).map((thread) => readFile(join(threads, thread, 'children'), 'utf8'));
    return (await Promise.all(lists)).join(' ').split(' ').filter(Boolean).map(Number);
  }

  /** Asks the program to end and waits until it has. Returns its exit code, or the signal's name. */
  async stop() {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const code = await this.exit;
    clearTimeout(timer);
    return code;
  }
}
