// Groups on the demo page: made, joined or declined, talked in, added to, left and come back to; by keyboard on a phone.
// With SCREENSHOTS=FOLDER it leaves the picture there that the documentation shows.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { DESK, PHONE, chatIs, everything, picture, send, shows } from './system.mjs';

const all = everything();

beforeEach(() => all.system.handset('conference-factory', '--focus'));
afterEach(() => all.system.stopHandsets());

/** Pages of these people. */
async function pages(...names) {
  const open = await Promise.all(names.map((name) => all.system.login(all.browser, name)));
  return {
    pages: open.map(({ page }) => page),
    close: async () => {
      assert.deepEqual(open.flatMap(({ errors }) => errors), []);
      await Promise.all(open.map(({ context }) => context.close()));
    },
  };
}

/** Makes a group of contacts that are ticked and others whose names are typed. */
async function make(page, title, ticked, typed) {
  await page.getByTestId('group-button').click();
  await page.getByTestId('group-title').fill(title);
  for (const name of ticked) await page.getByTestId(`choice-${name}`).check();
  await page.getByTestId('others').fill(typed);
  await page.getByTestId('people-done').click();
}

async function accept(page, words) {
  await page.getByTestId('incoming').filter({ hasText: words }).waitFor();
  await page.getByTestId('accept-button').click();
}

/** Somebody stands to the group as it says. */
function member(page, name, words) {
  return page.getByTestId(`member-${name}`).filter({ hasText: words }).waitFor();
}

describe('groups on the demo page', () => {
  test('two pages and a handset talk; one more comes, one leaves and comes back', async () => {
    const bob = await all.system.handset('bob', '--wrap');
    const open = await pages('alice', 'carol', 'dave');
    const [alice, carol, dave] = open.pages;

    await make(alice, 'Saturday hike', ['bob', 'carol'], '');
    await accept(carol, 'alice invites you to “Saturday hike” with bob');
    await chatIs(alice, 'You and 2 others');
    await chatIs(carol, 'You and 2 others');
    await member(alice, 'carol', 'here');

    bob.write('say The ferry leaves at nine');
    for (const page of [alice, carol]) {
      const said = page.getByTestId('message').filter({ hasText: 'The ferry leaves at nine' });
      await said.locator('.author').getByText('bob').waitFor();
    }
    await send(alice, 'Who has a car?');
    await bob.line(/^message from alice@localhost: Who has a car\?$/);
    await shows(carol, 'Who has a car?');
    await alice.getByTestId('tick').and(alice.getByTitle(/delivered to (bob, carol|carol, bob)/)).waitFor();
    await send(carol, 'I have. Four seats');
    await shows(alice, 'Four seats');

    await alice.getByTestId('add-button').click();
    await alice.getByTestId('others').fill('dave');
    await alice.getByTestId('people-done').click();
    await accept(dave, 'alice invites you to “Saturday hike”');
    await member(alice, 'dave', 'here');
    await shows(carol, 'dave is in the group');
    await send(dave, 'Then I come along');
    await shows(alice, 'Then I come along');
    await carol.getByTestId('message-input').pressSequentially('See');
    await alice.getByTestId('typing').getByText('carol is typing…').waitFor();
    await picture(alice, 'demo-group.png', DESK);

    await carol.getByTestId('end-button').click();
    await chatIs(carol, 'You have left the group');
    await member(alice, 'carol', 'left');
    await shows(alice, 'carol has left');
    assert.ok(await carol.getByTestId('message-input').isDisabled());
    await send(alice, 'Who drives now?');
    await shows(dave, 'Who drives now?');
    await carol.getByTestId('again-button').click();
    await chatIs(carol, 'You and 3 others');
    await member(alice, 'carol', 'here');
    await send(carol, 'I do, sorry');
    await shows(dave, 'I do, sorry');
    assert.equal(await carol.getByText('Who drives now?').count(), 0);
    await open.close();
  });

  test('says who declined, is busy or not there, and that a group is over; makes it again', async () => {
    await all.system.handset('bob', '--decline', '486');
    const open = await pages('alice', 'erin', 'dave');
    const [alice, erin, dave] = open.pages;
    await alice.getByTestId('group-button').click();
    await alice.getByTestId('people-done').click();
    await alice.getByTestId('people-problem').getByText('Tick somebody').waitFor();
    await alice.getByTestId('people-cancel').click();

    await make(alice, 'Lunch', ['bob'], 'erin, dave nobody');
    await erin.getByTestId('decline-button').click();
    await accept(dave, '“Lunch”');
    await member(alice, 'bob', 'busy');
    await member(alice, 'erin', 'declined');
    await member(alice, 'nobody', 'not reached');
    await chatIs(alice, 'You and one other');
    await chatIs(dave, 'You and one other');
    await dave.getByTestId('end-button').click();
    await chatIs(dave, 'You have left the group');
    await chatIs(alice, 'The group is over');
    await alice.getByTestId('again-button').click();
    await accept(erin, '“Lunch”');
    await dave.getByTestId('incoming').waitFor();
    await dave.getByTestId('accept-button').click();
    await chatIs(alice, 'You and 2 others');
    await open.close();
  });

  test('is used by keyboard alone, on a phone, and nothing sticks out', async () => {
    await all.system.handset('bob');
    const open = await pages('alice', 'erin');
    const [alice, erin] = open.pages;
    await alice.setViewportSize(PHONE);
    const fits = async () => assert.ok(await alice.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await alice.getByTestId('group-button').focus();
    await alice.keyboard.press('Enter');
    await alice.keyboard.type('A name that is as long as names of groups get, for whatever reason they do');
    await alice.keyboard.press('Tab');
    await alice.keyboard.press('Space');
    await fits();
    await alice.getByTestId('others').focus();
    await alice.keyboard.type('erin');
    await alice.keyboard.press('Enter');
    await accept(erin, 'alice invites you');
    await chatIs(alice, 'You and 2 others');
    assert.equal(await alice.evaluate(() => document.activeElement.id), 'message-input');
    await alice.keyboard.type('By keyboard');
    await alice.keyboard.press('Enter');
    await shows(erin, 'By keyboard');
    await fits();
    await alice.getByTestId('add-button').focus();
    await alice.keyboard.press('Enter');
    await alice.getByTestId('people-dialog').waitFor();
    await alice.keyboard.press('Escape');
    await alice.getByTestId('end-button').focus();
    await alice.keyboard.press('Enter');
    await chatIs(alice, 'You have left the group');
    await fits();
    await open.close();
  });
});
