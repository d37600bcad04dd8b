// What a page and a handset, or two pages, can do beside plain chats: enquiries, messages on their own, chats in
// envelopes, files.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { online as sdkPage } from './online.mjs';
import { System, launch } from './system.mjs';

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

const online = (name) => sdkPage({ browser, system }, name);

describe('without a call', () => {
  before(async () => { system = await System.start('--no-handsets'); });
  after(() => system.stop());
  afterEach(() => system.stopHandsets());

  test('a page asks a handset what it can do, and is asked', async () => {
    const bob = await system.handset('bob');
    const alice = await online('alice');
    assert.equal(await alice.enquiry('File transfer', 'bob'), 'IM/CHAT,File transfer');
    await bob.line(/^asked by .*alice@localhost.*: \+g\.3gpp\.iari-ref="urn%3Aurn-7%3A3gpp-application\.ims\.iari\.rcse\.ft"/);
    bob.write('options sip:alice@localhost');
    await alice.hears('asked by bob@localhost: IM/CHAT,File transfer');
    await bob.line(/^capabilities of sip:alice@localhost: 200 \+g\.3gpp\.cs-voice;\+g\.3gpp\.iari-ref="[^"]*rcse\.im"$/);
    // Nothing is an answer too.
    await alice.set('services', '');
    bob.write('options sip:alice@localhost');
    await bob.line(/^capabilities of sip:alice@localhost: 200 $/);
    await alice.leave();
  });

  test('handsets that are not there, are nobody, or have no RCS', async () => {
    await system.handset('bob', '--absent', '480');
    await system.handset('carol', '--capabilities', '');
    const alice = await online('alice');
    assert.equal(await alice.enquiry('IM/CHAT', 'bob'), 480);
    assert.equal(await alice.enquiry('IM/CHAT', 'carol'), '');
    assert.equal(await alice.enquiry('IM/CHAT', 'nobody'), 404);
    await alice.leave();
  });

  test('two pages ask each other by SIP, and know each other for browsers', async () => {
    const [alice, carol] = [await online('alice'), await online('carol')];
    await carol.set('services', 'IM/CHAT,Data channel');
    assert.equal(await alice.enquiry('VS', 'carol'), 'IM/CHAT,Data channel');
    await carol.hears('asked by alice@localhost: VS');
    await Promise.all([alice.leave(), carol.leave()]);
  });

  test('texts cross between a page and a handset, and are confirmed', async () => {
    const bob = await system.handset('bob');
    const alice = await online('alice');
    assert.equal(await alice.text('Grüße, 你好 🌉', 'bob'), 'sent');
    await bob.line(/^text from .*alice@localhost.*: Grüße, 你好 🌉$/);
    bob.write('text sip:alice@localhost See you at noon');
    await alice.hears('text from bob@localhost: See you at noon');
    await bob.line(/^text \S+ answered: 200$/);
    const [, delivered] = await bob.line(/^notified (\S+): delivered$/);
    const [, displayed] = await bob.line(/^notified (\S+): displayed$/);
    assert.equal(delivered, displayed);
    await alice.leave();
  });

  test('a text to nobody, to one who refuses, and between two pages', async () => {
    await system.handset('bob', '--refuse-texts', '603');
    const [alice, carol] = [await online('alice'), await online('carol')];
    assert.equal(await alice.text('x', 'nobody'), 404);
    assert.equal(await alice.text('x', 'bob'), 603);
    assert.equal(await alice.text('Hello', 'carol'), 'sent');
    await carol.hears('text from alice@localhost: Hello');
    await Promise.all([alice.leave(), carol.leave()]);
  });

  test('a chat in envelopes: typing, and what became of texts, both ways', async () => {
    const bob = await system.handset('bob', '--wrap');
    const alice = await online('alice');
    await alice.run('call', 'bob');
    await alice.hears('connection OPEN');
    await alice.typing(true);
    await bob.line(/^typing$/);
    await alice.run('say', 'Hello');
    await bob.line(/^message from .*: Hello$/);
    await alice.hears('delivered: true');
    await alice.hears('displayed: true');
    bob.write('typing on');
    await alice.hears('typing');
    bob.write('say Hello yourself');
    await alice.hears('message: Hello yourself');
    await alice.hears('not typing');
    const [, delivered] = await bob.line(/^notified (\S+): delivered$/);
    const [, displayed] = await bob.line(/^notified (\S+): displayed$/);
    assert.equal(delivered, displayed);
    // What it can do is asked inside the chat, and answered by the page's exchange.
    bob.write('options sip:alice@localhost');
    await bob.line(/^capabilities of sip:alice@localhost: 200 \+g\.3gpp/);
    bob.write('bye');
    await alice.hears('connection CLOSED');
    await alice.leave();
  });

  test('a handset that calls in envelopes is heard, and one that declines', async () => {
    const alice = await online('alice');
    const bob = await system.handset('bob', '--wrap', '--call', 'sip:alice@localhost');
    await alice.hears('connection OPEN');
    bob.write('say Are you there?');
    await alice.hears('message: Are you there?');
    await bob.line(/^notified \S+: displayed$/);
    await system.handset('carol', '--decline', '486');
    await alice.run('call', 'carol');
    await alice.hears('FAILED 486');
    await alice.leave();
  });
});

describe('files', () => {
  let folder;
  before(async () => {
    system = await System.start('--no-handsets');
    folder = await mkdtemp(join(tmpdir(), 'causeway-files-'));
  });
  after(async () => {
    await rm(folder, { recursive: true });
    await system.stop();
  });
  afterEach(() => system.stopHandsets());

  test('a page sends a handset a file, and one that is too large for it', async () => {
    const bob = await system.handset('bob', '--max-size', '4000000');
    const alice = await online('alice');
    const hash = await alice.sendFile('bob', 3_000_001);
    await bob.line(/^offered by .*alice@localhost.*: beach %221%22\.jpg, 3000001 octets$/);
    const [, received] = await bob.line(/^received from .*: image\/jpeg, 3000001 octets, sha256 (\w+)$/);
    assert.equal(received, hash);
    await bob.line(/^ended/);
    assert.equal(await alice.sendFile('bob', 4_000_001), 403);
    assert.equal(await alice.sendFile('nobody', 1), 404);
    await alice.leave();
  });

  test('a handset sends a page a file, and one that the page declines', async () => {
    const bob = await system.handset('bob');
    const alice = await online('alice');
    const content = Buffer.from(Array.from({ length: 1_500_000 }, (_, at) => (at * 31) & 255));
    const path = join(folder, 'holiday.bin');
    await writeFile(path, content);
    bob.write(`send sip:alice@localhost ${path}`);
    await alice.hears('offered by bob@localhost: holiday.bin, 1500000');
    await alice.hears(`file ${createHash('sha256').update(content).digest('hex')}`);
    await bob.line(/^ended: the file is there/);
    await alice.set('declines', true);
    bob.write(`send sip:alice@localhost ${path}`);
    await bob.line(/^declined: 603/);
    await alice.leave();
  });

  test('two pages send each other files', async () => {
    const [alice, carol] = [await online('alice'), await online('carol')];
    const hash = await alice.sendFile('carol', 700_000);
    await carol.hears(`file ${hash}`);
    await carol.hears('offered by alice@localhost: beach "1".jpg, 700000');
    const back = await carol.sendFile('alice', 0);
    await alice.hears(`file ${back}`);
    await Promise.all([alice.leave(), carol.leave()]);
  });
});
