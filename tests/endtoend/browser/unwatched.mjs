// A page in a browser that nobody watches. Playwright has each WebSocket message reported to it, which costs more than
// the message: what is to be measured is measured in here.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHROMIUM, CHROMIUM_ARGS } from './system.mjs';

/** A browser without a window, spoken to through a pipe. */
export class Unwatched {
  #id = 0;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #asked = new Map();
  #came = [];

  static async launch() {
    const browser = new Unwatched();
    browser.folder = await mkdtemp(join(tmpdir(), 'causeway-browser-'));
    const args = ['--headless=new', '--remote-debugging-pipe', `--user-data-dir=${browser.folder}`, ...CHROMIUM_ARGS];
    browser.child = spawn(CHROMIUM, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    browser.child.stdio[4].on('data', (data) => browser.#take(data));
    browser.child.on('exit', () => {
      for (const { reject } of browser.#asked.values()) reject(new Error('the browser has ended'));
    });
    return browser;
  }

  /** @param {Buffer} data messages, each ended by a zero */
  #take(data) {
    this.#came.push(data);
    if (!data.includes(0)) return;
    const messages = Buffer.concat(this.#came).toString().split('\0');
    this.#came = [Buffer.from(messages.pop())];
    for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (error) asked?.reject(new Error(error.message));
      else asked?.resolve(result);
    }
  }

  /** Asks the browser, or a page by its session. */
  send(method, params = {}, sessionId = undefined) {
    this.#id += 1;
    this.child.stdio[3].write(`${JSON.stringify({ id: this.#id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => { this.#asked.set(this.#id, { resolve, reject }); });
  }

  /** A page; what is evaluated in it may be a promise. */
  async page(url) {
    const { targetId } = await this.send('Target.createTarget', { url });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const evaluate = async (work, argument = null) => {
      const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
        expression: `(${work})(${JSON.stringify(argument)})`, awaitPromise: true, returnByValue: true,
      }, sessionId);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    // What it had at first goes away while one looks.
    const isThere = `() => location.href === ${JSON.stringify(url)} && document.readyState === 'complete'`;
    while (!await evaluate(isThere).catch(() => false)) await new Promise((resolve) => { setTimeout(resolve, 10); });
    /** Chooses a file, as a user does, in an input of this id that is made for it. */
    const choose = async (id, path) => {
      await evaluate(`(id) => { document.body.append(Object.assign(document.createElement('input'), { type: 'file', id })); }`, id);
      const { root } = await this.send('DOM.getDocument', {}, sessionId);
      const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector: `#${id}` }, sessionId);
      await this.send('DOM.setFileInputFiles', { files: [path], nodeId }, sessionId);
    };
    return { evaluate, choose, send: (method, params) => this.send(method, params, sessionId) };
  }

  async close() {
    const ended = new Promise((resolve) => { this.child.once('exit', resolve); });
    this.send('Browser.close').catch(() => {});
    await ended;
    await rm(this.folder, { recursive: true, maxRetries: 5 });
  }
}
