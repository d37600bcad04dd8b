//! What is seen: the people, the conversation on show, and what is added to it.

import { element, eventLine, messageLine, settle } from "/demo/lines.js";
import { showRoster } from "/demo/roster.js";
import { $, app, isLive, shortName } from "/demo/state.js";
import { chatWords, groupWords, presenceWords, serviceWords, sessionWords, typingWords } from "/demo/words.js";

/** @typedef {import("/demo/state.js").Conversation} Conversation */

const LINES_SHOWN_MAX = 500;

// Lines of a conversation.

/**
 * @param {Conversation} conversation
 * @param {string} text
 * @param {"mine" | "theirs"} side
 * @param {string} [kind]
 * @param {string} [author] if it is not the one other
 * @returns {HTMLElement}
 */
export function addMessage(conversation, text, side, kind, author) {
  const line = messageLine(author ?? conversation.name, text, side, kind);
  if (author) line.style.setProperty("--hue", hueOf(author));
  add(conversation, line);
  if (side === "theirs") noted(conversation);
  return line;
}

/** @param {Conversation} conversation that has something new from somebody else */
export function noted(conversation) {
  if (!isSeen(conversation)) conversation.unread += 1;
  refresh();
}

/**
 * @param {Conversation} conversation
 * @param {() => void} tell
 */
export function whenSeen(conversation, tell) {
  if (isSeen(conversation)) tell();
  else conversation.unseen.push(tell);
}

/** @param {Conversation} conversation */
function isSeen(conversation) {
  return conversation === app.shown && !document.hidden;
}

/** @param {Conversation} conversation */
export function addEvent(conversation, /** @type {string} */ text) {
  const last = conversation.lines.at(-1);
  if (last?.className === "event" && last.textContent === text) return;
  add(conversation, eventLine(text));
}

/**
 * @param {Conversation} conversation
 * @param {HTMLElement} line
 */
export function add(conversation, line) {
  conversation.lines.push(line);
  if (conversation.lines.length > LINES_SHOWN_MAX) conversation.lines.shift()?.remove();
  if (conversation !== app.shown) return;
  $("messages").append(line);
  $("messages").scrollTop = $("messages").scrollHeight;
}

/**
 * @param {Conversation} conversation
 * @param {string} id
 * @returns {HTMLElement | undefined}
 */
export function lineOf(conversation, id) {
  return conversation.lines.find((candidate) => candidate.dataset.id === id);
}

/**
 * @param {Conversation} conversation
 * @param {string} id
 * @param {string} status
 */
export function settleMessage(conversation, id, status) {
  const line = lineOf(conversation, id);
  if (line) settle(line, status);
}

// What is seen.

/** @param {Conversation | null} conversation */
export function show(conversation) {
  if (app.shown) app.shown.draft = $("message-input").value;
  const changed = app.shown !== conversation;
  app.shown = conversation;
  $("app").dataset.pane = conversation ? "talk" : "people";
  $("nobody").hidden = conversation !== null;
  $("talk").hidden = conversation === null;
  if (conversation) {
    seen();
    if (changed) {
      $("messages").replaceChildren(...conversation.lines);
      $("message-input").value = conversation.draft;
      $("messages").scrollTop = $("messages").scrollHeight;
    }
    resize();
  }
  refresh();
}

/** What is on show has been seen. */
export function seen() {
  if (document.hidden || !app.shown) return;
  app.shown.unread = 0;
  for (const tell of app.shown.unseen.splice(0)) tell();
}

/** Shows everything as it is now. */
export function refresh() {
  showState();
  showContacts();
  if (app.shown) showTalk(app.shown);
  let unread = 0;
  for (const conversation of app.conversations.values()) unread += conversation.unread;
  if (app.session && $("incoming").hidden) {
    document.title = unread > 0 ? `(${unread}) Causeway demo` : "Causeway demo";
  }
}

/** Shows how the session stands. */
export function showState() {
  if (!app.session) return;
  const [words, mood] = sessionWords(app.session.getSessionState(), shortName(app.session.getUserName()));
  $("state").textContent = words;
  $("state").dataset.mood = mood;
}

/**
 * @param {Conversation} conversation
 * @returns {[string, string]} how it stands, and the mood of that
 */
export function standing({ chat, group, name, presence, incoming }) {
  if (!chat) return [presenceWords(presence), ""];
  const connection = chat.getConnectionState().state;
  return group ? groupWords(chat.getState(), connection, group)
    : chatWords(name, chat.getState(), connection, incoming);
}

/** @param {Conversation} conversation */
function showTalk(conversation) {
  const { chat, group, name } = conversation;
  const connection = chat?.getConnectionState().state ?? "NONE";
  const [words, mood] = standing(conversation);
  const live = isLive(conversation);
  // What is said while the connection comes back waits for it.
  const up = chat?.getState().state === "ESTABLISHED" && ["OPEN", "CONNECTING"].includes(connection);
  $("talk-name").textContent = name;
  dressAvatar($("talk-avatar"), conversation);
  $("talk-state").textContent = words;
  $("talk-state").dataset.mood = mood;
  $("talk-services").replaceChildren(
    ...serviceWords(conversation.services).map((service) => element("li", "service", service)),
  );
  const endWords = group ? "Leave" : "End chat";
  $("end-button").hidden = !live;
  $("end-button").textContent = up ? endWords : "Cancel";
  $("again-button").hidden = live;
  if (group) $("again-button").textContent = group.kept && !group.forgotten ? "Come back" : "Make it again";
  else $("again-button").textContent = chat ? "Chat again" : "Chat";
  $("send-button").disabled = group ? !up : live && !up;
  $("message-input").disabled = group !== null && !live;
  $("attach-button").hidden = group !== null;
  if (live) $("message-input").placeholder = `Message ${group ? "the group" : name}`;
  else $("message-input").placeholder = group ? "You are not in the group now" : `Text ${name}, without a chat`;
  $("typing").textContent = typingWords([...conversation.typing]);
  showRoster(group, up);
}

function showContacts() {
  const list = $("contacts");
  for (const [at, conversation] of [...app.conversations.values()].entries()) {
    const item = list.children[at] ?? list.appendChild(contactItem(conversation));
    dressContact(item.firstElementChild, conversation);
  }
}

/** @param {Conversation} conversation */
function contactItem({ key, name }) {
  const item = document.createElement("li");
  const button = element("button", "contact");
  button.dataset.testid = `contact-${name}`;
  button.dataset.key = key;
  const avatar = element("span", "avatar");
  avatar.setAttribute("aria-hidden", "true");
  button.append(avatar, element("span", "name", name));
  button.append(element("span", "note"), element("span", "unread"));
  item.append(button);
  return item;
}

/**
 * @param {any} button
 * @param {Conversation} conversation
 */
function dressContact(button, conversation) {
  const { group, presence, unread, typing } = conversation;
  const badge = button.querySelector(".unread");
  const about = [presenceWords(presence), ...serviceWords(conversation.services)].filter((word) => word !== "");
  const words = group || isLive(conversation) ? standing(conversation)[0] : about.join(" · ");
  const typed = group ? typingWords([...typing]) : "typing…";
  button.dataset.presence = presence;
  button.querySelector(".note").textContent = (typing.size > 0 ? typed : words) || "Start a chat";
  dressAvatar(button.querySelector(".avatar"), conversation);
  badge.textContent = String(unread);
  badge.hidden = unread === 0;
  badge.setAttribute("aria-label", `${unread} unread`);
  if (conversation === app.shown) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

/** @param {string} name */
function hueOf(name) {
  return String([...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360, 7));
}

/**
 * @param {HTMLElement} avatar
 * @param {Conversation} conversation
 */
function dressAvatar(avatar, { name, presence, group }) {
  avatar.textContent = [...name][0] ?? "?";
  avatar.style.setProperty("--hue", hueOf(name));
  avatar.dataset.presence = presence;
  avatar.classList.toggle("of-group", group !== null);
}

/** Lets the text field grow with its text, where the style sheet alone can't. */
export function resize() {
  const input = $("message-input");
  if (CSS.supports("field-sizing", "content")) return;
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight + 2}px`;
}
