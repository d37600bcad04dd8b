// Calls between two pages: signalled through the whole system by SIP, audio, video and data from browser to browser.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { CALLS, everything } from './system.mjs';

const all = everything(...CALLS);

/** A page with a session; what its call tells is in `told`. */
async function online(name, trickle = 'off') {
  const context = await all.browser.newContext();
  const page = await context.newPage();
  await page.goto(all.system.page);
  await page.evaluate(async ([user, mode]) => {
    const wsc = await import('/sdk/wsc.js');
    const { SENDRECV, RECVONLY, NONE } = wsc.MEDIADIRECTION;
    const session = new wsc.Session(user, `ws://${location.host}/ws/webrtc/demo`);
    const calls = new wsc.CallPackage(session);
    calls.setTrickleIceMode(mode);
    const told = [];
    const listen = (call) => {
      globalThis.call = call;
      call.onCallStateChange = ({ state, status }) => told.push(`${state} ${status.code ?? '-'}`);
      call.onMediaStreamEvent = (event, stream) => {
        told.push(event);
        if (event !== wsc.MEDIASTREAMEVENT.REMOTE_STREAM_ADDED) return;
        const video = document.createElement('video');
        Object.assign(video, { srcObject: stream, autoplay: true, muted: true });
        document.body.append(video);
      };
      call.onDataTransfer = (transfer) => {
        transfer.getReceiver().onMessage = ({ data }) => told.push(`${transfer.label}: ${data}`);
        transfer.onOpen = () => {
          told.push(`open ${transfer.label}`);
          transfer.getSender().send(`hello from ${user}`);
        };
        transfer.onClose = () => told.push(`closed ${transfer.label}`);
      };
      return call;
    };
    calls.onIncomingCall = (call, remote) => {
      told.push(`rings ${call.getCaller()} ${remote.audioConfig} ${remote.videoConfig} ${remote.dataChannelConfig !== null}`);
      listen(call);
      if (globalThis.declines) call.decline(globalThis.declines);
      else call.accept();
    };
    /** Octets of a kind that have come, and frames that were decoded. */
    const received = async (kind) => {
      const report = await globalThis.call.getPeerConnection().getStats();
      return Array.from(report.values())
        .filter((one) => one.type === 'inbound-rtp' && one.kind === kind)
        .reduce((sum, one) => sum + one.bytesReceived + (one.framesDecoded ?? 0), 0);
    };
    const flows = async (kind) => {
      const before = await received(kind);
      for (let at = 0; at < 100; at += 1) {
        await new Promise((resolve) => { setTimeout(resolve, 100); });
        if (await received(kind) > before) return true;
      }
      return false;
    };
    const start = (target, audio, video, labels) => {
      const channels = labels.map((label) => ({ label, reliable: true }));
      const config = new wsc.CallConfig(audio, video, labels.length > 0 ? channels : null);
      const call = listen(calls.createCall(target, config, (error) => told.push(`error ${error.code} ${error.reason}`)));
      const tell = call.onCallStateChange;
      call.onCallStateChange = (callState, extHeaders) => {
        tell(callState, extHeaders);
        // Browsers that encode video leave the server little of a small machine; when it says that it is too busy, it is asked again.
        if (callState.status.code === 503) setTimeout(start, 500, target, audio, video, labels);
      };
      call.start();
    };
    Object.assign(globalThis, { wsc, session, calls, told, flows, start, SENDRECV, RECVONLY, NONE });
    await session.connected;
  }, [name, trickle]);
  const hears = (line) => page.waitForFunction((wanted) => globalThis.told.includes(wanted), line, { timeout: 20_000 })
    .catch(async () => assert.fail(`${name} has not heard "${line}", but ${await page.evaluate(() => globalThis.told.join('; '))}`
      + `; ${all.system.dev.lines.slice(-5).join('; ')}`));
  return {
    page, hears,
    start: (...given) => page.evaluate((args) => { globalThis.start(...args); }, given),
    flows: async (kind) => assert.ok(await page.evaluate((what) => globalThis.flows(what), kind), `${name} gets ${kind}`),
    leave: async () => {
      await page.evaluate(() => globalThis.session.close());
      await context.close();
    },
  };
}

describe('two pages', () => {
  let people = [];
  afterEach(async () => { await Promise.all(people.splice(0).map((person) => person.leave())); });

  async function pair(...modes) {
    people = [await online('alice', ...modes), await online('bob', ...modes)];
    return people;
  }

  for (const mode of ['off', 'half', 'full']) {
    test(`call each other with audio, video and data, candidates trickling: ${mode}`, async () => {
      const [alice, bob] = await pair(mode);
      await alice.start('bob', 'SENDRECV', 'SENDRECV', ['notes']);
      await bob.hears('rings alice@localhost SENDRECV SENDRECV true');
      await Promise.all([alice.hears('ESTABLISHED -'), bob.hears('ESTABLISHED -')]);
      await Promise.all([alice.flows('audio'), bob.flows('audio'), alice.flows('video'), bob.flows('video')]);
      await Promise.all([alice.hears('notes: hello from bob'), bob.hears('notes: hello from alice')]);
      await alice.page.evaluate(() => globalThis.call.end());
      await Promise.all([alice.hears('ENDED -'), bob.hears('ENDED -'), bob.hears('closed notes')]);
      await bob.hears('REMOTE_STREAM_REMOVED');
    });
  }

  test('change a call in the middle: video comes and goes, from either side', async () => {
    const [alice, bob] = await pair();
    await alice.start('bob', 'SENDRECV', 'NONE', []);
    await Promise.all([alice.hears('ESTABLISHED -'), bob.hears('ESTABLISHED -')]);
    await bob.flows('audio');
    await alice.page.evaluate(() => {
      const { call, wsc, SENDRECV } = globalThis;
      return call.update(new wsc.CallConfig(SENDRECV, SENDRECV)).then(() => 0);
    });
    await Promise.all([alice.hears('UPDATED -'), bob.hears('UPDATED -')]);
    await bob.flows('video');
    // The other side adds its own, and a data channel; the first is asked.
    await alice.page.evaluate(() => {
      globalThis.call.onUpdate = (remote) => {
        globalThis.told.push(`wants ${remote.videoConfig}`);
        globalThis.call.accept(new globalThis.wsc.CallConfig('SENDRECV', 'SENDRECV'));
      };
    });
    await bob.page.evaluate(() => {
      const { call, wsc, SENDRECV } = globalThis;
      return call.update(new wsc.CallConfig(SENDRECV, SENDRECV, [{ label: 'late' }])).then(() => 0);
    });
    await alice.hears('wants SENDRECV');
    await Promise.all([alice.flows('video'), alice.hears('late: hello from bob')]);
    // One that is declined changes nothing.
    await alice.page.evaluate(() => { globalThis.call.onUpdate = () => globalThis.call.decline(603); });
    const code = await bob.page.evaluate(() => {
      const { call, wsc, SENDRECV, NONE } = globalThis;
      return call.update(new wsc.CallConfig(SENDRECV, NONE)).then(() => 'changed', (error) => error.code);
    });
    assert.equal(code, 603);
    await Promise.all([alice.hears('UPDATE_FAILED 603'), bob.hears('UPDATE_FAILED 603')]);
    await bob.flows('video');
    await bob.page.evaluate(() => globalThis.call.end());
    await Promise.all([alice.hears('ENDED -'), bob.hears('ENDED -')]);
  });

  test('decline, cancel, and call who is not there', async () => {
    const [alice, bob] = await pair();
    await bob.page.evaluate(() => { globalThis.declines = 486; });
    await alice.start('bob', 'SENDRECV', 'NONE', []);
    await alice.hears('FAILED 486');
    await alice.start('nobody', 'SENDRECV', 'NONE', []);
    await alice.hears('FAILED 404');
    await bob.page.evaluate(() => { globalThis.calls.onIncomingCall = (call) => {
      globalThis.told.push('rings');
      call.onCallStateChange = ({ state }) => globalThis.told.push(state);
    }; });
    await alice.start('bob', 'NONE', 'NONE', ['x']);
    await bob.hears('rings');
    await alice.page.evaluate(() => globalThis.call.end());
    await bob.hears('ENDED');
  });

  test('a handset, which does not speak WebRTC, is told apart in words', async () => {
    const [alice] = await pair();
    await all.system.handset('carol');
    await alice.start('carol', 'SENDRECV', 'NONE', []);
    await alice.hears('FAILED 488');
    await all.system.stopHandsets();
  });
});
