// Two who call each other at the same moment, a page and a handset, and two pages.

import { afterEach, test } from 'node:test';
import { online } from './online.mjs';
import { everything } from './system.mjs';

const all = everything();
afterEach(() => all.system.stopHandsets());

test('a handset that calls while a page calls it is refused, its message kept, and the page gets through', async () => {
  const bob = await all.system.handset('bob', '--wrap', '--ring-ms', '2000');
  const alice = await online(all, 'alice');
  await alice.run('call', 'bob', 'Grüße');
  await bob.line(/^message from alice@localhost: Grüße$/);
  bob.write('call sip:alice@localhost Are you there?');
  await alice.hears('message: Are you there?');
  await bob.line(/^notified \S+: delivered$/);
  await bob.line(/^declined: 486/);
  await alice.hears('connection OPEN');
  await alice.run('say', 'Now');
  await bob.line(/^message from .*: Now$/);
  await alice.leave();
});

test('a page that calls while a handset calls it is refused, and goes on by the call of the handset', async () => {
  const bob = await all.system.handset('bob', '--wrap');
  const alice = await online(all, 'alice');
  await alice.set('waits', true);
  bob.write('call sip:alice@localhost Are you there?');
  await alice.hears('message: Are you there?');
  await alice.run('call', 'bob', 'Grüße');
  await bob.line(/^message from alice@localhost: Grüße$/);
  await bob.line(/^ended: both have called/);
  await alice.hears('connection OPEN');
  await alice.run('say', 'Now');
  await bob.line(/^message from .*: Now$/);
  bob.write('say Good');
  await alice.hears('message: Good');
  await alice.leave();
});

test('two pages that call each other at the same moment have one chat', async () => {
  const [alice, carol] = [await online(all, 'alice'), await online(all, 'carol')];
  await Promise.all([alice.run('call', 'carol', 'Hello, Carol'), carol.run('call', 'alice', 'Hello, Alice')]);
  await Promise.all([alice.hears('message: Hello, Alice'), carol.hears('message: Hello, Carol')]);
  await Promise.all([alice.hears('connection OPEN'), carol.hears('connection OPEN')]);
  await alice.run('say', 'Now');
  await carol.hears('message: Now');
  await carol.run('say', 'Good');
  await alice.hears('message: Good');
  await Promise.all([alice.leave(), carol.leave()]);
});
