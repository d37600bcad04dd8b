// The code of docs/tutorial.md, as it stands there, in real pages.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CALLS, everything } from './system.mjs';

const tutorial = await readFile(new URL('../../../docs/tutorial.md', import.meta.url), 'utf8');

/** All code of a language, in order. */
function code(language) {
  const found = [...tutorial.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text);
  assert.notDeepEqual(found, [], `the tutorial has ${language}`);
  return found.join('\n');
}

const all = everything(...CALLS);

async function open(name) {
  const page = await (await all.browser.newContext()).newPage();
  page.setDefaultTimeout(20_000);
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.route(/\/demo\/mine\.html/, (route) => route.fulfill({ contentType: 'text/html', body: code('html') }));
  await page.route(/\/demo\/mine\.js/, (route) => route.fulfill({ contentType: 'text/javascript', body: code('js') }));
  await page.goto(new URL(`mine.html?name=${name}`, all.system.page).href);
  return { page, errors, says: (words) => page.locator('#log li', { hasText: words }).first().waitFor() };
}

test('the tutorial does what it says', async () => {
  const bob = await all.system.handset('bob', '--wrap');
  const alice = await open('alice');
  await alice.says('online as alice@localhost');
  await alice.says('bob can do: IM/CHAT,File transfer');

  await alice.page.locator('#text').fill('Hello');
  await alice.page.getByText('Send').click();
  await bob.line(/^message from .*: Hello$/);
  await alice.says('✓');
  await alice.says('displayed');
  bob.write('say Hello yourself');
  await alice.says('bob: Hello yourself');
  await alice.page.locator('#end').click();
  await bob.line(/^ended/);

  await alice.page.evaluate(() => globalThis.text('A text'));
  await bob.line(/^text from .*: A text$/);
  bob.write('text sip:alice@localhost And one back');
  await alice.says('bob@localhost writes: And one back');

  await alice.page.locator('#file').setInputFiles({ name: 'a.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(70_000) });
  await alice.says('the file is there');

  const erin = await open('erin');
  await erin.says('online as erin@localhost');
  await alice.page.locator('#who').fill('erin');
  await alice.page.locator('#call').click();
  await Promise.all([alice.says('call ESTABLISHED'), erin.says('call ESTABLISHED')]);
  await erin.page.waitForFunction(() => document.querySelector('video').videoWidth > 0);
  await erin.page.locator('#end').click();
  await alice.says('call ENDED');
  await alice.page.locator('#file').setInputFiles({ name: 'b.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(5) });
  await erin.says('b.bin: 5 octets came');

  await alice.page.locator('#who').fill('nobody');
  await alice.page.getByText('Send').click();
  await alice.says('no chat: Not Found (404)');
  assert.deepEqual([...alice.errors, ...erin.errors], []);
  await all.system.stopHandsets();
});
