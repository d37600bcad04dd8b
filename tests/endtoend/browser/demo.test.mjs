// The demo page as its users have it: people and where they are, chats, texts, files, on a desk and on a phone, by keyboard.
// With SCREENSHOTS=FOLDER it leaves the pictures there that the documentation shows.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { DESK, PHONE, call, chatIs, everything, painted, picture, send, shows } from './system.mjs';
import { Wire, throughTheWire } from './wire.mjs';

const all = everything();
let folder;

before(async () => { folder = await mkdtemp(join(tmpdir(), 'causeway-')); });
after(() => rm(folder, { recursive: true }));
afterEach(() => all.system.stopHandsets());

/** A contact of the page says this. */
function contactSays(page, name, words) {
  return page.getByTestId(`contact-${name}`).filter({ hasText: words }).waitFor();
}

/** What became of the last message of ours. */
function tick(page, words) {
  return page.locator(`[data-testid=tick][aria-label=${words}]`).last().waitFor();
}

function file(page, direction, status) {
  return page.locator(`[data-testid=file][data-direction=${direction}][data-status=${status}]`);
}

describe('the demo page', () => {
  test('tells who is there and what they can do; chats with ticks and typing; files both ways', async () => {
    const bob = await all.system.handset('bob', '--wrap');
    await all.system.handset('carol', '--absent', '480');
    const { page, errors, context } = await all.system.login(all.browser, 'alice');
    await contactSays(page, 'bob', 'Online · Chat · Files');
    await contactSays(page, 'carol', 'Offline');

    await page.getByTestId('contact-bob').click();
    await chatIs(page, 'Connected');
    await page.getByTestId('services').getByText('Files').waitFor();
    bob.write('typing on');
    await page.getByTestId('typing').getByText('bob is typing…').waitFor();
    bob.write('say How far did you get?');
    await shows(page, 'How far did you get?');
    await send(page, 'Half way over the bridge. Look:');
    await tick(page, 'displayed');

    const image = Buffer.from(await painted(page), 'base64');
    await page.getByTestId('attach-input').setInputFiles({ name: 'bridge.png', mimeType: 'image/png', buffer: image });
    await file(page, 'out', 'done').waitFor();
    await bob.line(/^ended/);
    const path = join(folder, 'tides.pdf');
    await writeFile(path, Buffer.alloc(1_200_000, 5));
    bob.write(`send sip:alice@localhost ${path}`);
    await page.getByTestId('file-accept').click();
    await file(page, 'in', 'done').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('file-save').click()]);
    assert.equal(download.suggestedFilename(), 'tides.pdf');
    await picture(page, 'demo.png', DESK);
    await picture(page, 'demo-phone.png', PHONE);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('says in words what did not work', async () => {
    await all.system.handset('bob', '--decline', '603', '--refuse-texts', '603');
    const { page, errors, context } = await all.system.login(all.browser, 'alice');
    await call(page, 'bob');
    await chatIs(page, 'bob declined');
    // Without a chat it is a text on its own.
    await send(page, 'Call me back, please');
    await shows(page, 'not delivered: declined');
    await page.getByTestId('attach-input').setInputFiles({ name: 'plan.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
    await file(page, 'out', 'failed').getByTestId('file-note').filter({ hasText: 'bob declined' }).waitFor();
    await picture(page, 'demo-words.png', DESK);
    await call(page, 'nobody');
    await chatIs(page, 'there is no nobody here');
    await contactSays(page, 'nobody', 'Not known here');
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('two pages text each other, without a chat and unasked; who reads it late is seen to', async () => {
    await all.system.handset('bob');
    const alice = await all.system.login(all.browser, 'alice');
    const erin = await all.system.login(all.browser, 'erin');
    await call(erin.page, 'alice');
    await alice.page.getByTestId('decline-button').click();
    await chatIs(erin.page, 'alice declined');
    await send(erin.page, 'Are you busy?');
    await tick(erin.page, 'sent');
    await contactSays(alice.page, 'erin', '1');
    await alice.page.getByTestId('contact-erin').click();
    await shows(alice.page, 'Are you busy?');
    assert.deepEqual([...alice.errors, ...erin.errors], []);
    await Promise.all([alice.context.close(), erin.context.close()]);
  });

  test('a file that is cancelled on its way is told so on both sides', async () => {
    const alice = await all.system.login(all.browser, 'alice');
    const erin = await all.system.login(all.browser, 'erin');
    await call(alice.page, 'erin');
    await erin.page.getByTestId('accept-button').click();
    await chatIs(alice.page, 'Connected');
    await alice.page.getByTestId('attach-input').setInputFiles({ name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(2_000_000) });
    await erin.page.getByTestId('file-accept').waitFor();
    await alice.page.getByTestId('file-cancel').click();
    await file(alice.page, 'out', 'failed').filter({ hasText: 'cancelled' }).waitFor();
    await file(erin.page, 'in', 'failed').waitFor();
    // It can be sent once more.
    await alice.page.getByTestId('file-again').click();
    await erin.page.getByTestId('file-accept').click();
    await file(alice.page, 'out', 'done').waitFor();
    await file(erin.page, 'in', 'done').waitFor();
    assert.deepEqual([...alice.errors, ...erin.errors], []);
    await Promise.all([alice.context.close(), erin.context.close()]);
  });

  test('of a file that was cut off only the rest is sent again', async () => {
    const wire = new Wire();
    const alice = await all.system.login(all.browser, 'alice', throughTheWire, await wire.listen());
    const erin = await all.system.login(all.browser, 'erin');
    await call(alice.page, 'erin');
    await erin.page.getByTestId('decline-button').click();
    await chatIs(alice.page, 'erin declined');
    const film = Buffer.alloc(6_000_000, 'causeway');
    const media = (port) => port !== Number(new URL(all.system.page).port);
    wire.plan([{ octets: 4_000_000, act: () => wire.cut(media) }], media);
    await alice.page.getByTestId('attach-input').setInputFiles({ name: 'film.mp4', mimeType: 'video/mp4', buffer: film });
    await erin.page.getByTestId('contact-alice').filter({ hasText: '1' }).click();
    await erin.page.getByTestId('file-accept').click();
    await file(alice.page, 'out', 'failed').filter({ hasText: 'the connection was lost' }).waitFor();
    await alice.page.getByTestId('file-again').click();
    const rest = file(erin.page, 'in', 'waiting').filter({ hasText: 'its rest wants to be saved' });
    await rest.getByTestId('file-accept').click();
    await file(alice.page, 'out', 'done').waitFor();
    await file(erin.page, 'in', 'failed').waitFor();
    const saved = file(erin.page, 'in', 'done').getByTestId('file-save');
    const [download] = await Promise.all([erin.page.waitForEvent('download'), saved.click()]);
    assert.ok(film.equals(await readFile(await download.path())), 'it is whole');
    assert.deepEqual([...alice.errors, ...erin.errors], []);
    await Promise.all([alice.context.close(), erin.context.close()]);
    wire.close();
  });

  test('is used by keyboard alone, on a phone, and nothing sticks out', async () => {
    const bob = await all.system.handset('bob');
    const { page, errors, context } = await all.system.login(all.browser, 'alice');
    await page.setViewportSize(PHONE);
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.ok(await fits());
    await page.getByTestId('call-target').focus();
    await page.keyboard.type('bob');
    await page.keyboard.press('Enter');
    await chatIs(page, 'Connected');
    assert.ok(await fits());
    await page.getByTestId('message-input').focus();
    await page.keyboard.type('By keyboard');
    await page.keyboard.press('Enter');
    await bob.line(/^message from .*: By keyboard$/);
    await page.keyboard.press('Shift+Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'attach-button');
    await page.getByTestId('end-button').focus();
    await page.keyboard.press('Enter');
    await chatIs(page, 'The chat has ended');
    await page.getByTestId('back-button').focus();
    await page.keyboard.press('Enter');
    await page.getByTestId('contact-bob').waitFor();
    assert.ok(await fits());
    assert.deepEqual(errors, []);
    await context.close();
  });
});
