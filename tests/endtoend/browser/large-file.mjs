// A large file from a page to a handset and back, beside as many octets over a bare WebSocket: equal hashes, how fast,
// and the memory of page and relay.
//
//     cargo build --release --workspace --bins
//     PROFILE=release node tests/endtoend/browser/large-file.mjs [OCTETS]
//
// The bare WebSocket goes to a server that only counts octets, or sends them, in this process; both directions are timed
// from the open connection to the word that all is there. What comes in goes nowhere, or with KEPT=1 into a file of the
// page's own (OPFS). CPU_PROFILES=FOLDER profiles the page, for Chromium's developer tools; THREADS=1 counts the work of
// each thread, too. Hashes are computed by the page before it offers the file, which is timed on its own, and checked by it
// while a file comes in, which is part of the time.

import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { System } from './system.mjs';
import { Unwatched } from './unwatched.mjs';

const PART_OCTETS = 4 * 1024 * 1024;
const MESSAGE_OCTETS = 64 * 1024;
/** Of the handset's chunks: as large as the page's. */
const CHUNK_OCTETS = 256 * 1024;
const TIMEOUT_MS = 600_000;

/** A WebSocket server that takes octets and says when all are there, or sends as many; the path says which. */
class Bare {
  #server = createServer();

  async listen() {
    this.#server.on('upgrade', (request, socket) => this.#accept(request, socket));
    await new Promise((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #accept({ headers, url }, socket) {
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
      + `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const [, way, octets] = url.split('/');
    if (way === 'up') this.#take(socket, Number(octets));
    else this.#send(socket, Number(octets));
  }

  /** Every message has a head of 14 octets: a length of eight, and a mask. */
  #take(socket, octets) {
    let left = octets + Math.ceil(octets / MESSAGE_OCTETS) * 14;
    socket.on('data', (data) => {
      left -= data.length;
      if (left <= 0) socket.write(Buffer.from([0x81, 4, ...Buffer.from('done')]));
    });
  }

  #send(socket, octets) {
    const message = Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Buffer.alloc(MESSAGE_OCTETS, 7)]);
    let left = Math.ceil(octets / MESSAGE_OCTETS);
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!socket.write(message)) return;
      }
    };
    socket.on('drain', more);
    socket.on('data', () => {});
    more();
  }
}

/** In the page: what is timed, each in seconds. `kept`: what comes in goes into a file of the page's own, not away. */
async function prepare(kept) {
  const wsc = await import('/sdk/wsc.js');
  const session = new wsc.Session('alice', `ws://${location.host}/ws/webrtc/demo`);
  const files = new wsc.FileTransferPackage(session);
  const messageOctets = 64 * 1024;
  const seconds = (since) => (performance.now() - since) / 1000;

  globalThis.bare = (url, octets) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}/${octets}`);
    socket.binaryType = 'arraybuffer';
    const message = new Uint8Array(messageOctets);
    let left = octets;
    let since;
    const more = () => {
      while (left > 0 && socket.bufferedAmount < 8 * 1024 * 1024) {
        socket.send(message);
        left -= messageOctets;
      }
      if (left > 0) setTimeout(more, 1);
    };
    socket.onopen = () => {
      since = performance.now();
      if (url.endsWith('/up')) more();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data !== 'string') left -= data.byteLength;
      if (left <= 0) resolve(seconds(since));
    };
    socket.onerror = reject;
  });

  /** When the connection of a transfer opens, and how it ends. */
  const timed = (transfer) => new Promise((resolve, reject) => {
    let since;
    transfer.onConnectionStateChange = ({ state }) => { if (state === 'OPEN') since ??= performance.now(); };
    transfer.onFileTransferSuccess = () => resolve(seconds(since));
    transfer.onFileTransferFailure = (id, status, reason) => reject(new Error(`${status} ${reason}`));
  });
  /** Begins to send the file that was chosen; says how long its hashes have taken, once they are there. */
  globalThis.offer = () => {
    const [file] = document.querySelector('#large').files;
    const transfer = files.createFileTransfer('bob');
    const hashing = performance.now();
    transfer.start({ file });
    globalThis.transfer = timed(transfer);
    return new Promise((resolve) => {
      transfer.onStateChange = () => resolve(seconds(hashing));
    });
  };
  let offered;
  globalThis.offered = new Promise((resolve) => { offered = resolve; });
  files.onFileTransfer = async (transfer) => {
    globalThis.down = timed(transfer);
    offered();
    const folder = kept ? await navigator.storage.getDirectory() : null;
    const file = await folder?.getFileHandle('large.bin', { create: true });
    const sink = file ? await file.createWritable() : new WritableStream();
    transfer.accept({ sink });
  };
  await session.connected;
}

/** Resident octets of processes, at first and the most in each phase, and the seconds they have worked in it. */
class Processes {
  /** @type {Record<string, { first: number, most: Record<string, number>, worked: Record<string, number> }>} */
  of = {};
  /** Ticks of the clock, of a hundredth of a second, by process or thread. */
  #ticks = {};
  #phase = 'before';
  #timer;
  #processes;
  #looking = Promise.resolve();

  /** @param {() => Promise<[string, number][]>} processes names and ids */
  constructor(processes) {
    this.#processes = processes;
    this.#lookAgain();
  }

  /** What is worked from now on is of this phase. */
  async begin(phase) {
    await this.#look();
    this.#phase = phase;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look() {
    this.#looking = this.#looking.then(async () => {
      for (const [name, id] of await this.#processes()) {
        const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
        const octets = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
        const { most } = this.of[name] ??= { first: octets, most: {}, worked: {} };
        most[this.#phase] = Math.max(most[this.#phase] ?? 0, octets);
        await this.#count(name, `/proc/${id}/stat`);
        if (process.env.THREADS) await this.#threads(name, id);
      }
    });
    return this.#looking;
  }

  async #threads(name, id) {
    for (const thread of await readdir(`/proc/${id}/task`).catch(() => [])) {
      const comm = await readFile(`/proc/${id}/task/${thread}/comm`, 'utf8').catch(() => '');
      const own = `${name}: ${comm.trim()} ${thread}`;
      this.of[own] ??= { first: 0, most: {}, worked: {} };
      this.of[own].most[this.#phase] = 0;
      await this.#count(own, `/proc/${id}/task/${thread}/stat`);
    }
  }

  /** Adds what has been worked since the last look. */
  async #count(name, path) {
    const { worked } = this.of[name];
    const stat = await readFile(path, 'utf8').catch(() => '');
    const [, user, system] = /\)(?: \S+){11} (\d+) (\d+)/.exec(stat) ?? [];
    const ticks = Number(user ?? 0) + Number(system ?? 0);
    worked[this.#phase] = (worked[this.#phase] ?? 0) + Math.max(ticks - (this.#ticks[path] ?? ticks), 0) / 100;
    this.#ticks[path] = ticks;
  }

  async #lookAgain() {
    await this.#look();
    if (this.#timer !== null) this.#timer = setTimeout(() => this.#lookAgain(), 1000);
  }
}

/** Both ways, and bare; figures in octets and seconds. */
export async function largeFile(octets) {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-large-'));
  const browser = await Unwatched.launch();
  const system = await System.start('--no-handsets');
  const bare = new Bare();
  let processes;
  try {
    const part = randomBytes(PART_OCTETS);
    const path = join(folder, 'large.bin');
    const file = await open(path, 'w');
    const hash = createHash('sha256');
    for (let at = 0; at < octets; at += PART_OCTETS) {
      hash.update(part);
      await file.write(part);
    }
    await file.close();
    const sha256 = hash.digest('hex');

    const url = await bare.listen();
    const bob = await system.handset('bob', '--max-size', String(octets), '--chunk', String(CHUNK_OCTETS));
    const page = await browser.page(system.page);
    await page.evaluate(prepare, Boolean(process.env.KEPT));
    await page.choose('large', path);
    const [relay] = await system.dev.children();
    processes = new Processes(async () => {
      const { processInfo } = await browser.send('SystemInfo.getProcessInfo').catch(() => ({ processInfo: [] }));
      const ofBrowser = processInfo.map(({ type, id }) => [type === 'renderer' ? `page ${id}` : `${type} ${id}`, id]);
      return [['relay', relay], ['handset', bob.child.pid], ['bare server', process.pid], ...ofBrowser];
    });
    const bareWay = (way) => page.evaluate(([whole, count]) => globalThis.bare(whole, count), [`${url}/${way}`, octets]);
    const phase = async (name, done) => {
      await processes.begin(name);
      const folder = process.env.CPU_PROFILES;
      if (folder) await page.send('Profiler.enable');
      if (folder) await page.send('Profiler.start');
      const result = await done();
      await processes.begin('between');
      const profiled = folder ? await page.send('Profiler.stop') : null;
      if (profiled) await writeFile(join(folder, `${name}.cpuprofile`), JSON.stringify(profiled.profile));
      return result;
    };
    const figures = { octets, bareUp: await phase('bare up', () => bareWay('up')) };
    figures.hashed = await phase('hashes', () => page.evaluate(() => globalThis.offer()));
    figures.up = await phase('up', () => page.evaluate(() => globalThis.transfer));
    const [, received] = await bob.line(/^received from .*, sha256 (\w+)$/, TIMEOUT_MS);
    figures.bareDown = await phase('bare down', () => bareWay('down'));
    await phase('hashes there', async () => {
      bob.write(`send sip:alice@localhost ${path}`);
      await page.evaluate(() => globalThis.offered);
    });
    figures.down = await phase('down', () => page.evaluate(() => globalThis.down));
    return { ...figures, hashesEqual: received === sha256, processes: processes.of };
  } finally {
    processes?.stop();
    await browser.close();
    await system.stopHandsets();
    await system.stop();
    bare.close();
    await rm(folder, { recursive: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const octets = Math.ceil(Number(process.argv[2] ?? 2 ** 30) / PART_OCTETS) * PART_OCTETS;
  const found = await largeFile(octets);
  const rate = (seconds) => `${(octets / seconds / 1e6).toFixed(0)} MB/s`;
  const row = (way, ours, theirs) => `| ${way} | ${rate(ours)} | ${rate(theirs)} | ${(theirs / ours).toFixed(2)} |`;
  console.log(`${octets} octets; equal hashes: ${found.hashesEqual}\n`);
  console.log('| way | file | bare WebSocket | ratio |\n|---|---|---|---|');
  console.log(row('page → handset', found.up, found.bareUp));
  console.log(row('handset → page', found.down, found.bareDown));
  console.log(`\nSHA-1 and SHA-256 in the page, before the offer: ${rate(found.hashed)}`);
  const mebibytes = (memory) => (memory / 2 ** 20).toFixed(0);
  console.log('\nMiB at first, and the most in each phase; CPU seconds in it:');
  for (const [name, { first, most, worked }] of Object.entries(found.processes)) {
    const phases = Object.keys(most).filter((phase) => phase !== 'before' && phase !== 'between');
    if (Object.values(worked).every((seconds) => seconds < 0.05)) continue;
    const each = phases.map((phase) => `${phase} ${mebibytes(most[phase])} (${worked[phase].toFixed(2)} s)`);
    console.log(`${name}: ${mebibytes(first)}; ${each.join(', ')}`);
  }
}
