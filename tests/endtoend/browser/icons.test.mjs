// Icons of files on the demo page: seen before the file is taken, made for pictures that are sent; between pages, and with handsets.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { everything, fresh, painted } from './system.mjs';

const all = everything();
const THUMB = '+g.oma.sip-im;+g.3gpp.iari-ref="urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.ft,'
  + 'urn%3Aurn-7%3A3gpp-application.ims.iari.rcs.ftthumb"';
let folder;

before(async () => { folder = await mkdtemp(join(tmpdir(), 'causeway-icons-')); });
after(() => rm(folder, { recursive: true }));
afterEach(() => all.system.stopHandsets());

/** A picture of 160 by 160, PNG. */
async function painting() {
  const { context, page } = await fresh(all);
  const image = Buffer.from(await painted(page), 'base64');
  await context.close();
  return image;
}

function file(page, direction, status) {
  return page.locator(`[data-testid=file][data-direction=${direction}][data-status=${status}]`);
}

/** The page's user looks at a contact, once it is known what they can do. */
async function looksAt(page, name) {
  await page.getByTestId('call-target').fill(name);
  await page.getByTestId('call-button').click();
  await page.getByTestId('services').getByText('Files').waitFor();
}

/** The sides of the icon of a file that is offered, once the browser shows it. */
async function iconOf(page, direction) {
  const icon = file(page, direction, 'waiting').getByTestId('file-icon');
  await icon.waitFor();
  return icon.evaluate((image) => [image.naturalWidth, image.naturalHeight]);
}

test('a page sees what a picture looks like before it takes it', async () => {
  const image = await painting();
  const alice = await all.system.login(all.browser, 'alice');
  const erin = await all.system.login(all.browser, 'erin');
  await looksAt(alice.page, 'erin');
  await alice.page.getByTestId('attach-input').setInputFiles([
    { name: 'bridge.png', mimeType: 'image/png', buffer: image },
    { name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('not a picture') },
  ]);
  await erin.page.getByTestId('contact-alice').click();
  await file(erin.page, 'in', 'waiting').nth(1).waitFor();
  assert.deepEqual(await iconOf(erin.page, 'in'), [160, 160], 'and there is one of them');
  for (const name of ['bridge.png', 'no.png']) {
    await file(erin.page, 'in', 'waiting').filter({ hasText: name }).getByTestId('file-accept').click();
  }
  await file(erin.page, 'in', 'done').nth(1).waitFor();
  await file(alice.page, 'out', 'done').nth(1).waitFor();
  assert.deepEqual([...alice.errors, ...erin.errors], []);
  await Promise.all([alice.context.close(), erin.context.close()]);
});

test('icons go to handsets that want them, and come from handsets', async () => {
  const image = await painting();
  const path = join(folder, 'small.png');
  await writeFile(path, image);
  const bob = await all.system.handset('bob', '--capabilities', THUMB, '--icon', path);
  const alice = await all.system.login(all.browser, 'alice');
  await looksAt(alice.page, 'bob');
  await alice.page.getByTestId('attach-input').setInputFiles({ name: 'bridge.png', mimeType: 'image/png', buffer: image });
  const [, octets] = await bob.line(/^with an icon: image\/jpeg, (\d+) octets/);
  assert.ok(Number(octets) > 100 && Number(octets) <= 10_240, octets);
  await file(alice.page, 'out', 'done').waitFor();

  const film = join(folder, 'film.mp4');
  await writeFile(film, Buffer.alloc(100_000, 3));
  bob.write(`send sip:alice@localhost ${film}`);
  assert.deepEqual(await iconOf(alice.page, 'in'), [160, 160]);
  await alice.page.getByTestId('file-accept').click();
  await file(alice.page, 'in', 'done').waitFor();
  assert.deepEqual(alice.errors, []);
  await alice.context.close();
});

test('RFC 3261, 21.4.13: a handset that takes no icon gets the file all the same', async () => {
  const image = await painting();
  const bob = await all.system.handset('bob', '--capabilities', THUMB, '--one-part');
  const alice = await all.system.login(all.browser, 'alice');
  await looksAt(alice.page, 'bob');
  await alice.page.getByTestId('attach-input').setInputFiles({ name: 'bridge.png', mimeType: 'image/png', buffer: image });
  await bob.line(/^ended: declined with 415/);
  await bob.line(/^offered by alice@localhost: bridge\.png/);
  await bob.line(new RegExp(`^received from .*${createHash('sha256').update(image).digest('hex')}$`));
  await file(alice.page, 'out', 'done').waitFor();
  assert.equal(await file(alice.page, 'out', 'done').count(), 1);
  assert.deepEqual(alice.errors, []);
  await alice.context.close();
});
