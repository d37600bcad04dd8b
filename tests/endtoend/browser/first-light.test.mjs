// First light: a page in a real browser and a simulated handset, joined by the whole system.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { System, call, chatIs, launch, send, shows } from './system.mjs';

/** @type {System} */
let system;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

describe('a browser and a handset', () => {
  before(async () => { system = await System.start('--no-handsets'); });
  after(() => system.stop());
  afterEach(() => system.stopHandsets());

  test('the page calls a handset and they chat both ways', async () => {
    const bob = await system.handset('bob');
    const { page, errors, context } = await system.login(browser, 'alice');
    await call(page, 'bob');
    await bob.line(/^incoming from .*alice@localhost/);
    await chatIs(page, 'Connected');

    await send(page, 'Hello from the browser');
    await bob.line(/^message from .*: Hello from the browser$/);
    bob.write('say Hello from the handset');
    await shows(page, 'Hello from the handset');
    await bob.line(/^delivered /);
    await send(page, 'Grüße, 你好 🌉');
    await bob.line(/^message from .*: Grüße, 你好 🌉$/);

    bob.write('bye');
    await bob.line(/^ended/);
    await chatIs(page, 'The chat has ended');
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('a handset calls the page, which accepts, and they chat both ways', async () => {
    const { page, errors, context } = await system.login(browser, 'alice');
    const bob = await system.handset('bob', '--call', 'sip:alice@localhost');
    await page.getByTestId('incoming').getByText('bob').first().waitFor();
    await page.getByTestId('accept-button').click();
    await chatIs(page, 'Connected');

    bob.write('say Are you there?');
    await shows(page, 'Are you there?');
    await send(page, 'Yes, here I am');
    await bob.line(/^message from .*: Yes, here I am$/);

    await page.getByTestId('end-button').click();
    await bob.line(/^ended/);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('a handset that declines is shown in words', async () => {
    await system.handset('bob', '--decline', '603');
    const { page, errors, context } = await system.login(browser, 'alice');
    await call(page, 'bob');
    await chatIs(page, 'bob declined');
    assert.deepEqual(errors, []);
    await context.close();
  });

  test('the page declines a handset, which is told', async () => {
    const { page, errors, context } = await system.login(browser, 'alice');
    const bob = await system.handset('bob', '--call', 'sip:alice@localhost');
    await page.getByTestId('incoming').getByText('bob').first().waitFor();
    await page.getByTestId('decline-button').click();
    await bob.line(/^declined: 603/);
    assert.deepEqual(errors, []);
    await context.close();
  });
});

test('as a newcomer starts it, bob repeats what he is told and carol says hello', async () => {
  system = await System.start();
  try {
    const { page, errors, context } = await system.login(browser, 'alice');
    await page.getByTestId('contact-bob').click();
    await chatIs(page, 'Connected');
    await send(page, 'Is there an echo?');
    await page.locator('[data-testid=message][data-direction=in]', { hasText: 'Is there an echo?' }).waitFor();
    await page.getByTestId('contact-carol').click();
    await shows(page, 'Hello, this is carol.');
    assert.deepEqual(errors, []);
    await context.close();
  } finally {
    await system.stop();
  }
});
