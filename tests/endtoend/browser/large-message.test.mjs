// Texts that are too long for a MESSAGE, between a page and a handset, and between two pages: sessions that nobody sees.

import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { online } from './online.mjs';
import { everything } from './system.mjs';

const all = everything();
afterEach(() => all.system.stopHandsets());
const LONG = `${'Grüße '.repeat(600)}end`;

test('a long text of a page reaches a handset by a session of its own', async () => {
  const bob = await all.system.handset('bob');
  const alice = await online(all, 'alice');
  assert.equal(await alice.text(LONG, 'bob'), 'sent');
  const [, text] = await bob.line(/^text from alice@localhost: (.*)$/);
  assert.equal(text, LONG);
  await alice.hears('delivered by bob@localhost');
  await alice.hears('displayed by bob@localhost');
  await bob.line(/^ended/);
  await alice.leave();
});

test('a long text of a handset reaches a page, and is confirmed', async () => {
  const alice = await online(all, 'alice');
  const bob = await all.system.handset('bob');
  bob.write(`text sip:alice@localhost ${LONG}`);
  await alice.hears(`text from bob@localhost: ${LONG}`);
  const [, delivered] = await bob.line(/^notified (\S+): delivered$/);
  const [, displayed] = await bob.line(/^notified (\S+): displayed$/);
  assert.equal(delivered, displayed);
  await alice.leave();
});

test('a long text reaches every page of a user, and is delivered once', async () => {
  const pages = [await online(all, 'alice'), await online(all, 'alice'), await online(all, 'alice')];
  const bob = await all.system.handset('bob');
  bob.write(`text sip:alice@localhost ${LONG}`);
  await Promise.all(pages.map((page) => page.hears(`text from bob@localhost: ${LONG}`)));
  // Each page says that it was seen, and the first is heard. What comes of a second text comes after all of that.
  await bob.line(/^notified \S+: displayed$/);
  bob.write('text sip:alice@localhost again');
  await Promise.all(pages.map((page) => page.hears('text from bob@localhost: again')));
  await bob.line(/^notified \S+: displayed$/);
  const notified = bob.lines.filter((line) => line.startsWith('notified '));
  for (const state of ['delivered', 'displayed']) {
    assert.equal(notified.filter((line) => line.endsWith(state)).length, 2, `each text is ${state} once`);
  }
  await Promise.all(pages.map((page) => page.leave()));
});

test('a long text to nobody, to one who refuses the session, and between two pages', async () => {
  await all.system.handset('bob', '--decline', '488');
  const [alice, carol] = [await online(all, 'alice'), await online(all, 'carol')];
  assert.equal(await alice.text(LONG, 'nobody'), 404);
  // Whoever knows no such sessions gets a MESSAGE.
  assert.equal(await alice.text(LONG, 'bob'), 'sent');
  assert.equal(await alice.text(LONG, 'carol'), 'sent');
  await carol.hears(`text from alice@localhost: ${LONG}`);
  await alice.hears('delivered by carol@localhost');
  await Promise.all([alice.leave(), carol.leave()]);
});
