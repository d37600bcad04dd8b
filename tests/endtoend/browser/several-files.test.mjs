// Several files at once: by one transfer of the SDK, to a page and to a handset, and dropped on the demo page.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { online } from './online.mjs';
import { chatIs, everything } from './system.mjs';

const all = everything();
afterEach(() => all.system.stopHandsets());

/** Octets and seed of each file. */
const FILES = [[40_000, 3], [90_000, 5]];
const contentOf = ([octets, seed]) => Buffer.from(Uint8Array.from({ length: octets }, (_, at) => (at * seed) >> 2));
const hashes = FILES.map((file) => createHash('sha256').update(contentOf(file)).digest('hex'));

/** A page that sends the files by one transfer; gives what that tells, once all is over. */
function sendsAll(alice, target) {
  return alice.page.evaluate(([whom, given]) => new Promise((resolve) => {
    const { wsc, session } = globalThis;
    const transfer = session.getPackage('file_transfer').createFileTransfer(whom);
    const configs = given.map(([octets, seed]) => ({
      file: new File([Uint8Array.from({ length: octets }, (_, at) => (at * seed) >> 2)], `${octets}.bin`),
    }));
    const at = (id) => configs.findIndex(({ fileTransferId }) => fileTransferId === id);
    const told = { files: transfer.getFileConfigs().length, ends: [], there: [0, 0], opened: [], states: [] };
    transfer.onProgress = ({ fileTransferId, range }) => { told.there[at(fileTransferId)] = range.end; };
    transfer.onFileTransferSuccess = (id) => told.ends.push(at(id));
    transfer.onFileTransferFailure = (id, status, reason) => told.ends.push(`${at(id)}: ${status} ${reason}`);
    transfer.onConnectionStateChange = ({ state, fileTransferId }) => {
      if (state === wsc.ConnectionStateEnum.OPEN) told.opened.push(at(fileTransferId));
    };
    transfer.onStateChange = ({ state }) => {
      if (told.states.at(-1) !== state) told.states.push(state);
      if (state === 'ENDED' || state === 'FAILED') resolve({ ...told, files: transfer.getFileConfigs().length });
    };
    transfer.start(configs);
  }), [target, FILES]);
}

test('one transfer takes two files to a page, each in a session of its own', async () => {
  const [alice, carol] = [await online(all, 'alice'), await online(all, 'carol')];
  const told = await sendsAll(alice, 'carol');
  assert.deepEqual({ ...told, ends: told.ends.sort(), opened: told.opened.sort() }, {
    files: 2, ends: [0, 1], there: [40_000, 90_000], opened: [0, 1], states: ['STARTED', 'RESPONDED', 'ESTABLISHED', 'ENDED'],
  });
  for (const hash of hashes) await carol.hears(`file ${hash}`);
  await Promise.all([alice.leave(), carol.leave()]);
});

test('and to a handset, which takes one in a session', async () => {
  const bob = await all.system.handset('bob');
  const alice = await online(all, 'alice');
  const told = await sendsAll(alice, 'bob');
  assert.deepEqual([told.ends.sort(), told.states.at(-1)], [[0, 1], 'ENDED']);
  const received = [];
  for (let file = 0; file < 2; file += 1) received.push((await bob.line(/^received from .* sha256 (\w+)$/))[1]);
  assert.deepEqual(received.sort(), [...hashes].sort());
  await alice.leave();
});

test('files that are dropped on the demo page go each in a line of its own', async () => {
  await all.system.handset('bob');
  const { page, errors, context } = await all.system.login(all.browser, 'alice');
  await page.getByTestId('contact-bob').click();
  await chatIs(page, 'Connected');
  await page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    for (const name of ['one.txt', 'two.txt']) dataTransfer.items.add(new File([name], name, { type: 'text/plain' }));
    document.getElementById('talk')?.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  });
  for (const name of ['one.txt', 'two.txt']) {
    await page.locator('[data-testid=file][data-direction=out][data-status=done]').filter({ hasText: name }).waitFor();
  }
  assert.deepEqual(errors, []);
  await context.close();
});
