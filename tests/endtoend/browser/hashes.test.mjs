// Hashes of large files in a real browser: by a worker and WebAssembly, and by the page and JavaScript where the policy of
// the application's page (Content-Security-Policy) forbids the one or the other.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from './system.mjs';

const SDK = join(dirname(fileURLToPath(import.meta.url)), '../../../control/sdk/src');

/** Serves the SDK; the first part of the path is the policy. */
const server = createServer(async ({ url }, response) => {
  const [, policy, path] = url.split('/', 3);
  const name = decodeURIComponent(url.slice(`/${policy}/`.length));
  response.setHeader('Content-Security-Policy', decodeURIComponent(policy));
  response.setHeader('Content-Type', path ? 'text/javascript' : 'text/html');
  response.end(path ? await readFile(join(SDK, name)) : '<!doctype html><script src="wsc.global.js"></script>');
});

/** In the page: hashes of 9 MB, computed and checked, and how much of it on the page's own thread. */
async function hashed() {
  const { hashCheck, hashesOf } = await import('./hash.js');
  const content = Uint8Array.from({ length: 9_000_007 }, (_, at) => (at * 7919) >> 3);
  const hex = (octets) => Array.from(new Uint8Array(octets), (octet) => octet.toString(16).padStart(2, '0').toUpperCase()).join(':');
  const right = {};
  for (const name of ['sha-1', 'sha-256']) right[name] = hex(await crypto.subtle.digest(name.toUpperCase(), content));
  const computed = Object.fromEntries((await hashesOf(new Blob([content]))).map(({ algorithmName, value }) => [algorithmName, value]));
  const holds = {};
  for (const [algorithmName, value] of Object.entries(right)) {
    const check = hashCheck([{ algorithmName, value }], content.length);
    for (let at = 0; at < content.length; at += 250_000) await check.update(content.subarray(at, at + 250_000));
    holds[algorithmName] = await check.holds();
  }
  return { right, computed, holds, classic: typeof globalThis.wsc?.FileTransferPackage };
}

describe('hashes of a large file', () => {
  let browser;
  before(async () => {
    browser = await launch();
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  });
  after(async () => {
    await browser?.close();
    server.close();
    server.closeAllConnections();
  });

  for (const [what, policy, workers] of [
    ['are computed by a worker', "default-src 'self' 'unsafe-eval' blob:", 1],
    ['are computed by a worker without WebAssembly', "default-src 'self' blob:", 1],
    ['are computed by the page', "default-src 'self' 'wasm-unsafe-eval'", 0],
    ['are computed by the page without WebAssembly', "default-src 'self'", 0],
  ]) {
    test(`${what} where the policy is ${policy}`, async () => {
      const context = await browser.newContext({ bypassCSP: false });
      const page = await context.newPage();
      let working = 0;
      page.on('worker', () => { working += 1; });
      await page.goto(`http://127.0.0.1:${server.address().port}/${encodeURIComponent(policy)}/`);
      // Playwright's own evaluation is no script of the page's, and an import from it is.
      const { right, computed, holds, classic } = await page.evaluate(hashed);
      assert.deepEqual(computed, right);
      assert.deepEqual(holds, { 'sha-1': true, 'sha-256': true });
      assert.equal(classic, 'function');
      const isAllowed = await page.evaluate(() => {
        try {
          return Boolean(new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)));
        } catch {
          return false;
        }
      });
      assert.equal(isAllowed, policy.includes('eval'), 'the policy holds');
      assert.equal(working > 0, workers > 0, `${working} workers`);
      await context.close();
    });
  }
});
