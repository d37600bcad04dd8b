// Images that are shared: between a page and a handset, whose call the network has, and between two pages in a call.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';

import { online } from './online.mjs';
import { CALLS, everything } from './system.mjs';

const all = everything(...CALLS);
afterEach(() => all.system.stopHandsets());

test('a page shares an image with a handset, and a handset with a page', async () => {
  const bob = await all.system.handset('bob');
  const alice = await online(all, 'alice');
  const hash = await alice.shareImage('bob', 50_000);
  await bob.line(/^offered by alice@localhost/);
  await bob.line(new RegExp(`^received from .*${hash}$`));
  const folder = await mkdtemp(join(tmpdir(), 'causeway-shares-'));
  const content = Buffer.alloc(30_000, 7);
  await writeFile(join(folder, 'sketch.jpg'), content);
  bob.write(`share sip:alice@localhost ${join(folder, 'sketch.jpg')}`);
  await alice.hears('shared by bob@localhost: render');
  await alice.hears(`file ${createHash('sha256').update(content).digest('hex')}`);
  await rm(folder, { recursive: true });
  await alice.leave();
});

test('two pages share images in a call, both ways', async () => {
  const [alice, carol] = [await online(all, 'alice'), await online(all, 'carol')];
  for (const { page } of [alice, carol]) {
    await page.evaluate(() => {
      const { wsc, session, told } = globalThis;
      const { NONE } = wsc.MEDIADIRECTION;
      const calls = new wsc.CallPackage(session);
      const listen = (call) => { call.onCallStateChange = ({ state }) => told.push(`call ${state}`); };
      calls.onIncomingCall = (call) => {
        listen(call);
        call.accept(new wsc.CallConfig(NONE, NONE));
      };
      globalThis.calls = (target) => {
        const call = calls.createCall(target, new wsc.CallConfig(NONE, NONE, [{ label: 'x', reliable: true }]));
        listen(call);
        call.start();
      };
    });
  }
  await alice.run('calls', 'carol');
  await Promise.all([alice.hears('call ESTABLISHED'), carol.hears('call ESTABLISHED')]);
  const hash = await alice.shareImage('carol', 50_000);
  await carol.hears('shared by alice@localhost: render');
  await carol.hears(`file ${hash}`);
  const back = await carol.shareImage('alice', 40_000);
  await alice.hears('shared by carol@localhost: render');
  await alice.hears(`file ${back}`);
  assert.notEqual(hash, back);
  await Promise.all([alice.leave(), carol.leave()]);
});
