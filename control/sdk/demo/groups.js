//! Groups: made, joined, come back to; who is in them, and who has got what was said. How they look: `roster.js`.

import { settleInGroup } from "/demo/lines.js";
import { choosePeople } from "/demo/roster.js";
import { $, address, app, groupConversation, isLive, self, shortName } from "/demo/state.js";
import { addEvent, lineOf, refresh, show } from "/demo/view.js";
import { addErrorWords, listWords, rosterEventWords } from "/demo/words.js";

/**
 * @typedef {import("/sdk/wsc.js").Chat} Chat
 * @typedef {import("/demo/state.js").Conversation} Conversation
 * @typedef {import("/demo/state.js").Group} Group
 * @typedef {(conversation: Conversation, chat: Chat, incoming: boolean) => void} Follow
 */

/**
 * Lets the user make a group.
 * @param {Follow} follow
 */
export function makeGroup(follow) {
  const without = [shortName(self().join("@"))];
  choosePeople({ heading: "New group", button: "Make group", titled: true, without }, (names, title) => {
    const people = names.map((user) => ({ user, state: "invited" }));
    const conversation = groupConversation(title, null, people);
    goOn(conversation, follow);
    $("message-input").focus();
  });
}

/**
 * Makes the group of a conversation, or comes back into it.
 * @param {Conversation} conversation
 * @param {Follow} follow
 */
export function goOn(conversation, follow) {
  const { group } = conversation;
  show(conversation);
  if (!group || isLive(conversation) || !app.services) return;
  const { chats } = app.services;
  const again = group.kept && !group.forgotten;
  if (!again) group.people = group.people.map(({ user }) => ({ user, state: "invited" }));
  const names = group.people.map(({ user }) => user);
  Object.assign(group, { left: false, isNew: true, forgotten: false });
  try {
    const chat = group.kept ? chats.rejoinGroup(group.kept, again ? [] : names) : chats.createGroup(names);
    follow(conversation, chat, false);
    chat.start(null, group.title && !again ? { subject: group.title } : null);
  } catch (error) {
    addEvent(conversation, /** @type {Error} */ (error).message);
  }
  refresh();
}

/**
 * @param {Chat} chat that invites into a group
 * @param {string} title of it
 * @param {boolean} make a conversation, if there is none
 * @returns {Conversation | null}
 */
export function groupInvited(chat, title, make) {
  const kept = chat.getGroup();
  const known = [...app.conversations.values()].find(({ group }) => kept && group?.kept?.id === kept.id);
  if (!known && !make) return null;
  const inviter = address(shortName(chat.getInitiator()));
  const others = chat.getParticipants().filter(({ user }) => address(shortName(user)) !== inviter);
  const people = [{ user: inviter, state: "joined" }, ...others];
  const conversation = known ?? groupConversation(title, kept, people);
  if (conversation.group && make) Object.assign(conversation.group, { kept, left: false, isNew: true, forgotten: false });
  return conversation;
}

/**
 * What the network says of the group itself.
 * @param {Group} group
 * @param {Chat} chat
 * @param {{ state: string, status: { code?: number, reason?: string } }} callState
 */
export function heardOf(group, chat, { state, status }) {
  group.kept = chat.getGroup() ?? group.kept;
  if (state === "FAILED" && status.code === 404) group.forgotten = true;
  if (state === "ENDED" && status.reason === "gone") group.forgotten = true;
}

/**
 * @param {Conversation} conversation
 * @param {Chat} chat of a group
 */
export function callbacksOfGroup(conversation, chat) {
  const group = /** @type {Group} */ (conversation.group);
  chat.onParticipantsChange = (people) => {
    if (conversation.chat !== chat) return;
    const before = new Map(group.people.map(({ user, state }) => [user, state]));
    // Who was there before us has not just come.
    const quiet = group.isNew && (conversation.incoming || group.people.some(({ state }) => state !== "invited"));
    for (const { user, state } of people) {
      const words = rosterEventWords(shortName(user), state);
      if (before.get(user) !== state && words && !(quiet && state === "joined")) addEvent(conversation, words);
      if (state !== "joined") conversation.typing.delete(shortName(user));
    }
    group.isNew = false;
    group.people = people;
    refresh();
  };
  chat.onMessageStatus = (id, status, by) => {
    const line = lineOf(conversation, id);
    const there = group.people.filter(({ state }) => state === "joined").length;
    if (line) settleInGroup(line, status, shortName(by), there);
  };
}

/** Leaves the group on show, or takes back its making. */
export function leaveGroup() {
  const { shown } = app;
  if (!shown?.group) return;
  shown.group.left = true;
  shown.chat?.end();
  refresh();
}

/** Lets the user add people to the group on show. */
export function addPeople() {
  const { shown } = app;
  const chat = shown?.chat;
  if (!shown?.group || !chat) return;
  const without = shown.group.people.filter(({ state }) => state === "joined" || state === "invited")
    .map(({ user }) => shortName(user));
  choosePeople({ heading: "Add people", button: "Add", titled: false, without }, async (names) => {
    const who = listWords(names.map(shortName));
    $("message-input").focus();
    try {
      addEvent(shown, `You invite ${who}`);
      await chat.addParticipants(names);
    } catch (error) {
      addEvent(shown, addErrorWords(who, /** @type {any} */ (error)));
    }
  });
}
