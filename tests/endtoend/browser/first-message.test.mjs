// A chat whose invitation carries its first message: between a page and a handset, and between two pages.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { online } from './online.mjs';
import { everything, send, shows } from './system.mjs';

const all = everything();
afterEach(() => all.system.stopHandsets());

test('a page calls a handset with a first message, which is there before the chat is', async () => {
  const bob = await all.system.handset('bob', '--wrap', '--ring-ms', '300');
  const alice = await online(all, 'alice');
  await alice.run('call', 'bob', 'Grüße, Bob 🌉');
  await bob.line(/^incoming from alice@localhost/);
  await bob.line(/^message from alice@localhost: Grüße, Bob 🌉$/);
  await alice.hears('sent: true');
  await alice.hears('delivered: true');
  await alice.hears('displayed: true');
  await bob.line(/^answered/);
  await alice.hears('connection OPEN');
  await alice.run('say', 'And another one');
  await bob.line(/^message from .*: And another one$/);
  bob.write('bye');
  await alice.hears('connection CLOSED');
  await alice.leave();
});

test('a handset calls a page with a first message, and is told that it was seen', async () => {
  const alice = await online(all, 'alice');
  const bob = await all.system.handset('bob', '--wrap');
  bob.write('call sip:alice@localhost Are you there?');
  await alice.hears('message: Are you there?');
  const [, delivered] = await bob.line(/^notified (\S+): delivered$/);
  const [, displayed] = await bob.line(/^notified (\S+): displayed$/);
  assert.equal(delivered, displayed);
  await alice.hears('connection OPEN');
  bob.write('say Good');
  await alice.hears('message: Good');
  bob.write('bye');
  await alice.hears('connection CLOSED');
  await alice.leave();
});

test('whoever declines has the message all the same', async () => {
  const bob = await all.system.handset('bob', '--decline', '603');
  const alice = await online(all, 'alice');
  await alice.run('call', 'bob', 'Lunch?');
  await bob.line(/^message from alice@localhost: Lunch\?$/);
  await alice.hears('FAILED 603');
  await alice.hears('delivered: true');
  await alice.set('declines', true);
  bob.write('call sip:alice@localhost Dinner then?');
  await alice.hears('message: Dinner then?');
  await bob.line(/^notified \S+: delivered$/);
  await bob.line(/^declined: 603/);
  await alice.leave();
});

test('one that is too long for an invitation is the first over MSRP', async () => {
  const bob = await all.system.handset('bob', '--wrap');
  const alice = await online(all, 'alice');
  const text = `${'long '.repeat(1800)}end`;
  await alice.run('call', 'bob', text);
  await bob.line(/^incoming from alice@localhost/);
  await alice.hears('connection OPEN');
  await bob.line(/^message from .*: long long .* end$/);
  await alice.hears('sent: true');
  await alice.hears('displayed: true');
  bob.write('bye');
  await alice.hears('connection CLOSED');
  await alice.leave();
});

test('a page calls another page with a first message', async () => {
  const [alice, carol] = [await online(all, 'alice'), await online(all, 'carol')];
  await alice.run('call', 'carol', 'Hello, Carol');
  await carol.hears('message: Hello, Carol');
  await alice.hears('sent: true');
  await alice.hears('delivered: true');
  await alice.hears('displayed: true');
  await Promise.all([alice.hears('connection OPEN'), carol.hears('connection OPEN')]);
  await Promise.all([alice.leave(), carol.leave()]);
});

test('nobody there: the message is not sent', async () => {
  const alice = await online(all, 'alice');
  await alice.run('call', 'nobody', 'Hello?');
  await alice.hears('FAILED 404');
  await alice.hears('not sent: 404');
  await alice.leave();
});

test('the demo shows a first message before the chat is accepted, and tells that it was seen', async () => {
  const { page, errors, context } = await all.system.login(all.browser, 'dora');
  const bob = await all.system.handset('bob', '--wrap');
  bob.write('call sip:dora@localhost Lunch?');
  await page.getByTestId('incoming').getByText('bob').first().waitFor();
  await bob.line(/^notified \S+: delivered$/);
  await page.getByTestId('contact-bob').click();
  await shows(page, 'Lunch?');
  await bob.line(/^notified \S+: displayed$/);
  await page.getByTestId('accept-button').click();
  await bob.line(/^answered/);
  await send(page, 'Gladly');
  await bob.line(/^message from .*: Gladly$/);
  assert.deepEqual(errors, []);
  await context.close();
});
