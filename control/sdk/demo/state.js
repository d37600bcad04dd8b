//! What the page knows: who is signed in, conversations, and which one is on show. Conversations are kept by name, groups by
//! themselves; both outlive their chats.

import { listWords } from "/demo/words.js";

/**
 * @typedef {import("/sdk/wsc.js").Chat} Chat
 * @typedef {NonNullable<ReturnType<Chat["getGroup"]>>} GroupName
 * @typedef {ReturnType<Chat["getParticipants"]>[number]} Participant
 */

/**
 * What a conversation of more than two has beyond others.
 * @typedef {object} Group
 * @property {string} title empty if it has none; everybody calls it by the others' names then
 * @property {GroupName | null} kept what names it for the network
 * @property {Participant[]} people the others
 * @property {boolean} isNew its roster has not come yet
 * @property {boolean} left by the user
 * @property {boolean} forgotten by the network
 */

/**
 * @typedef {object} Conversation
 * @property {string} key
 * @property {string} name of the other, or of the group
 * @property {Group | null} group
 * @property {Chat | null} chat
 * @property {boolean} incoming
 * @property {HTMLElement[]} lines
 * @property {number} unread
 * @property {Set<string>} typing who does
 * @property {string} draft
 * @property {"unknown" | "online" | "offline" | "nobody"} presence
 * @property {string} services
 * @property {(() => void)[]} unseen tells senders that their messages were seen
 */

/**
 * The page's state.
 * @type {{
 *   session: import("/sdk/wsc.js").Session | null,
 *   services: { chats: import("/sdk/wsc.js").ChatPackage, files: import("/sdk/wsc.js").FileTransferPackage,
 *     texts: import("/sdk/wsc.js").Messaging, exchange: import("/sdk/wsc.js").CapabilityExchange } | null,
 *   conversations: Map<string, Conversation>, shown: Conversation | null }}
 */
export const app = { session: null, services: null, conversations: new Map(), shown: null };

/** @type {(id: string) => any} */
export const $ = (id) => document.getElementById(id);

/** @returns {string[]} the name and the domain of whoever is signed in */
export function self() {
  return (app.session?.getUserName() ?? "").replace(/^sips?:/i, "").split("@");
}

/**
 * @param {string} identity such as `sip:bob@localhost`
 * @returns {string} without scheme, and without our own domain
 */
export function shortName(identity) {
  const inner = /<([^>]*)>/.exec(identity)?.[1] ?? identity;
  const address = inner.trim().replace(/^sips?:/i, "");
  const own = self()[1];
  const [user, domain] = address.split("@");
  return own && domain?.toLowerCase() === own.toLowerCase() ? user : address;
}

/**
 * @param {string} name as it is shown, or typed
 * @returns {string} with a domain
 */
export function address(name) {
  const own = self()[1];
  return name.includes("@") || !own ? name : `${name}@${own}`;
}

/**
 * @param {string} name of a person
 * @returns {Conversation}
 */
export function conversationWith(name) {
  return app.conversations.get(name) ?? newConversation(name, name, null);
}

/**
 * @param {string} title
 * @param {GroupName | null} kept
 * @param {Participant[]} people
 * @returns {Conversation} a known one, if the group is known
 */
export function groupConversation(title, kept, people) {
  const known = kept && [...app.conversations.values()].find(({ group }) => group?.kept?.id === kept.id);
  // No name of a person has a blank.
  const names = people.map(({ user }) => shortName(user));
  return known || newConversation(`group ${app.conversations.size}`, title || listWords(names), {
    title, kept, people, isNew: true, left: false, forgotten: false,
  });
}

/**
 * @param {string} key
 * @param {string} name
 * @param {Group | null} group
 * @returns {Conversation}
 */
function newConversation(key, name, group) {
  /** @type {Conversation} */
  const conversation = {
    key, name, group, chat: null, incoming: false, lines: [], unread: 0, typing: new Set(), draft: "", presence: "unknown",
    services: "", unseen: [],
  };
  app.conversations.set(key, conversation);
  return conversation;
}

/** @param {Conversation} conversation */
export function isLive({ chat }) {
  return ["STARTED", "RESPONDED", "ESTABLISHED"].includes(chat?.getState().state ?? "NONE");
}
