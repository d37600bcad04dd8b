//! The demo page: signs in as a guest, calls people, chats.
//!
//! Conversations are kept by name and outlive their chats. Text from others only ever becomes
//! `textContent`.

import * as wsc from "/sdk/wsc.js";
import { chatWords, messageErrorWords, sessionErrorWords, sessionWords } from "/demo/words.js";

const CONTACTS = ["bob", "carol"];
const MESSAGES_SHOWN_MAX = 500;

/**
 * @typedef {object} Conversation
 * @property {string} name
 * @property {wsc.Chat | null} chat
 * @property {boolean} incoming
 * @property {HTMLElement[]} lines
 * @property {number} unread
 * @property {boolean} typing
 * @property {string} draft
 */

/** @type {wsc.Session | null} */
let session = null;
/** @type {wsc.ChatPackage | null} */
let chats = null;
/** @type {Map<string, Conversation>} */
const conversations = new Map();
/** @type {Conversation | null} */
let shown = null;
/** Chats that wait for Accept or Decline, the first one on show. @type {wsc.Chat[]} */
const asking = [];

/** @type {(id: string) => any} */
const $ = (id) => document.getElementById(id);
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

// Signing in and out.

/** @param {string} name */
function signIn(name) {
  $("login-error").hidden = true;
  $("login-button").disabled = true;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const url = `${scheme}://${location.host}/ws/webrtc/demo`;
  const opened = new wsc.Session(name, url, () => signedIn(opened), (error) => {
    if (opened === session) signedOut(sessionErrorWords(error));
  });
  session = opened;
  chats = new wsc.ChatPackage(opened);
  chats.onIncomingChat = askAboutChat;
  opened.onSessionStateChange = (state) => {
    if (opened !== session) return;
    showState();
    if (state === wsc.SESSIONSTATE.SUSPENDED) signedOut("You are signed in somewhere else now.");
    if (state === wsc.SESSIONSTATE.CLOSED) signedOut("The server ended the session.");
  };
}

/** @param {wsc.Session} opened */
function signedIn(opened) {
  if (opened !== session) return;
  $("login").hidden = true;
  $("app").hidden = false;
  conversations.clear();
  $("contacts").replaceChildren();
  show(null);
}

function signOut() {
  const closing = session;
  signedOut("");
  closing?.close();
}

/** @param {string} why shown if not empty */
function signedOut(why) {
  session = null;
  asking.length = 0;
  showAsking();
  $("app").hidden = true;
  $("login").hidden = false;
  $("login-button").disabled = false;
  $("login-error").textContent = why;
  $("login-error").hidden = why === "";
  document.title = "Causeway demo";
  $("login-name").focus();
}

// Chats.

/**
 * @param {string} identity such as `sip:bob@localhost`
 * @returns {string} without scheme, and without our own domain
 */
function shortName(identity) {
  const inner = /<([^>]*)>/.exec(identity)?.[1] ?? identity;
  const address = inner.trim().replace(/^sips?:/i, "");
  const own = (session?.getUserName() ?? "").split("@")[1];
  const [user, domain] = address.split("@");
  return own && domain?.toLowerCase() === own.toLowerCase() ? user : address;
}

/**
 * @param {string} name
 * @returns {Conversation}
 */
function conversationWith(name) {
  let conversation = conversations.get(name);
  if (!conversation) {
    conversation = {
      name, chat: null, incoming: false, lines: [], unread: 0, typing: false, draft: "",
    };
    conversations.set(name, conversation);
  }
  return conversation;
}

/** @param {Conversation} conversation */
function isLive(conversation) {
  const state = conversation.chat?.getState().state ?? "NONE";
  return ["STARTED", "RESPONDED", "ESTABLISHED"].includes(state);
}

/** @param {string} target */
function call(target) {
  const conversation = conversationWith(shortName(target));
  show(conversation);
  if (isLive(conversation) || !chats) return;
  try {
    const chat = chats.createChat(target);
    follow(conversation, chat, false);
    chat.start();
  } catch (error) {
    addEvent(conversation, /** @type {Error} */ (error).message);
  }
  refresh();
}

/**
 * Lets a conversation go on in a chat.
 * @param {Conversation} conversation
 * @param {wsc.Chat} chat
 * @param {boolean} incoming
 */
function follow(conversation, chat, incoming) {
  conversation.chat = chat;
  conversation.incoming = incoming;
  let connection = "NONE";
  chat.onStateChange = (callState) => {
    stopAsking(chat);
    if (conversation.chat !== chat) return;
    if (callState.state === "FAILED" || callState.state === "ENDED") {
      conversation.typing = false;
      addEvent(conversation, chatWords(conversation.name, callState, "", incoming)[0]);
    }
    refresh();
  };
  chat.onConnectionStateChange = ({ state }) => {
    if (conversation.chat !== chat) return;
    if (state === "OPEN") addEvent(conversation, `You are connected to ${conversation.name}`);
    if (state === "ERROR") addEvent(conversation, "The connection failed");
    const dead = state === "ERROR" || (state === "CLOSED" && connection === "OPEN");
    connection = state;
    if (dead) chat.end();
    refresh();
  };
  chat.onChatMessage = ({ content }) => {
    conversation.typing = false;
    addMessage(conversation, typeof content === "string" ? content : "(not a text)", "theirs");
  };
  chat.onMessageSendSuccess = (id) => settle(conversation, id, "sent", "delivered");
  chat.onMessageSendFailure = (id, status, reason) =>
    settle(conversation, id, "failed", messageErrorWords(status, reason));
  chat.onMessageTyping = () => {
    conversation.typing = true;
    refresh();
  };
  chat.onMessageTypingStop = () => {
    conversation.typing = false;
    refresh();
  };
}

/** @param {wsc.Chat} chat */
function askAboutChat(chat) {
  asking.push(chat);
  chat.onStateChange = () => stopAsking(chat);
  showAsking();
}

/** @param {boolean} accepted */
function answer(accepted) {
  const chat = asking.shift();
  if (!chat) return;
  if (accepted) {
    const conversation = conversationWith(shortName(chat.getInitiator()));
    conversation.chat?.end();
    follow(conversation, chat, true);
    chat.accept();
    show(conversation);
    $("message-input").focus();
  } else {
    chat.decline();
  }
  showAsking();
  refresh();
}

/** @param {wsc.Chat} chat that was answered, or taken back */
function stopAsking(chat) {
  const at = asking.indexOf(chat);
  if (at < 0) return;
  asking.splice(at, 1);
  const conversation = conversationWith(shortName(chat.getInitiator()));
  addEvent(conversation, `${conversation.name} called and hung up`);
  showAsking();
  refresh();
}

function send() {
  const input = $("message-input");
  const text = input.value.trim();
  const chat = shown?.chat;
  if (!shown || !chat || text === "" || $("send-button").disabled) return;
  const line = addMessage(shown, text, "mine");
  line.dataset.id = chat.send({ contentType: "text/plain", content: text });
  input.value = "";
  shown.draft = "";
  resize();
  input.focus();
}

// Lines of a conversation.

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/**
 * @param {Conversation} conversation
 * @param {string} text
 * @param {"mine" | "theirs"} side
 * @returns {HTMLElement}
 */
function addMessage(conversation, text, side) {
  const line = element("li", `message ${side}`);
  line.dataset.testid = "message";
  line.dataset.direction = side === "mine" ? "out" : "in";
  const meta = element("div", "meta");
  const author = side === "mine" ? "You" : conversation.name;
  meta.append(element("span", "unseen", `${author}, `));
  meta.append(element("time", "", timeFormat.format(new Date())));
  if (side === "mine") {
    line.dataset.status = "sending";
    const tick = element("span", "tick", "sending…");
    tick.dataset.testid = "tick";
    meta.append(tick);
  }
  line.append(element("div", "bubble", text), meta);
  add(conversation, line);
  if (side === "theirs" && (conversation !== shown || document.hidden)) conversation.unread += 1;
  refresh();
  return line;
}

/**
 * @param {Conversation} conversation
 * @param {string} text
 */
function addEvent(conversation, text) {
  const last = conversation.lines.at(-1);
  if (last?.className === "event" && last.textContent === text) return;
  add(conversation, element("li", "event", text));
}

/**
 * @param {Conversation} conversation
 * @param {HTMLElement} line
 */
function add(conversation, line) {
  conversation.lines.push(line);
  if (conversation.lines.length > MESSAGES_SHOWN_MAX) conversation.lines.shift()?.remove();
  if (conversation !== shown) return;
  $("messages").append(line);
  $("messages").scrollTop = $("messages").scrollHeight;
}

/**
 * @param {Conversation} conversation
 * @param {string} id
 * @param {"sent" | "failed"} status
 * @param {string} words
 */
function settle(conversation, id, status, words) {
  const line = conversation.lines.find((candidate) => candidate.dataset.id === id);
  const tick = line?.querySelector(".tick");
  if (!line || !tick) return;
  line.dataset.status = status;
  tick.textContent = status === "sent" ? "✓" : `⚠ ${words}`;
  tick.setAttribute("aria-label", words);
  tick.setAttribute("role", "img");
}

// What is seen.

/** @param {Conversation | null} conversation */
function show(conversation) {
  if (shown) shown.draft = $("message-input").value;
  const changed = shown !== conversation;
  shown = conversation;
  $("app").dataset.pane = conversation ? "talk" : "people";
  $("nobody").hidden = conversation !== null;
  $("talk").hidden = conversation === null;
  if (conversation) {
    conversation.unread = 0;
    if (changed) {
      $("messages").replaceChildren(...conversation.lines);
      $("message-input").value = conversation.draft;
      $("messages").scrollTop = $("messages").scrollHeight;
    }
    resize();
  }
  refresh();
}

function refresh() {
  showState();
  showContacts();
  if (shown) showTalk(shown);
  let unread = 0;
  for (const conversation of conversations.values()) unread += conversation.unread;
  const waiting = unread + asking.length;
  document.title = waiting > 0 ? `(${waiting}) Causeway demo` : "Causeway demo";
}

function showState() {
  if (!session) return;
  const sessionState = session.getSessionState();
  const [words, mood] = sessionWords(sessionState, shortName(session.getUserName()));
  const { dataset } = $("state");
  $("state").textContent = words;
  dataset.mood = mood;
  dataset.session = sessionState;
  dataset.chat = shown?.chat?.getState().state ?? "NONE";
  dataset.connection = shown?.chat?.getConnectionState().state ?? "NONE";
}

/** @param {Conversation} conversation */
function showTalk(conversation) {
  const { chat, name } = conversation;
  const connection = chat?.getConnectionState().state ?? "NONE";
  const [words, mood] = chat
    ? chatWords(name, chat.getState(), connection, conversation.incoming)
    : [conversation.lines.length > 0 ? "Not connected" : "", ""];
  const live = isLive(conversation);
  // What is said while the connection comes back waits for it.
  const up = chat?.getState().state === "ESTABLISHED" && ["OPEN", "CONNECTING"].includes(connection);
  $("talk-name").textContent = name;
  dressAvatar($("talk-avatar"), name);
  $("talk-state").textContent = words;
  $("talk-state").dataset.mood = mood;
  $("end-button").hidden = !live;
  $("end-button").textContent = up ? "End" : "Cancel";
  $("again-button").hidden = live;
  $("again-button").textContent = chat ? "Call again" : "Call";
  $("send-button").disabled = !live || !up;
  $("message-input").placeholder = live ? `Message ${name}` : "Not connected";
  $("typing").textContent = conversation.typing ? `${name} is typing…` : "";
}

function showContacts() {
  const list = $("contacts");
  const names = [...new Set([...CONTACTS, ...conversations.keys()])];
  for (const [at, name] of names.entries()) {
    const item = list.children[at] ?? list.appendChild(contactItem(name));
    dressContact(item.firstElementChild, name);
  }
}

/** @param {string} name */
function contactItem(name) {
  const item = document.createElement("li");
  const button = element("button", "contact");
  button.dataset.testid = `contact-${name}`;
  const avatar = element("span", "avatar");
  avatar.setAttribute("aria-hidden", "true");
  dressAvatar(avatar, name);
  button.append(avatar, element("span", "name", name));
  button.append(element("span", "note"), element("span", "unread"));
  button.addEventListener("click", () => pick(name));
  item.append(button);
  return item;
}

/**
 * @param {any} button
 * @param {string} name
 */
function dressContact(button, name) {
  const conversation = conversations.get(name);
  const note = button.querySelector(".note");
  const badge = button.querySelector(".unread");
  const { chat } = conversation ?? {};
  const words = conversation?.typing ? "typing…" : chat && conversation
    ? chatWords(name, chat.getState(), chat.getConnectionState().state, conversation.incoming)[0]
    : "";
  const unread = conversation?.unread ?? 0;
  note.textContent = words || "Start a chat";
  badge.textContent = String(unread);
  badge.hidden = unread === 0;
  badge.setAttribute("aria-label", `${unread} unread`);
  button.setAttribute("aria-current", String(conversation !== undefined && conversation === shown));
}

/**
 * @param {any} avatar
 * @param {string} name
 */
function dressAvatar(avatar, name) {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + character.charCodeAt(0)) % 360;
  avatar.textContent = name.replace(/^\+/, "").slice(0, 1);
  avatar.style.setProperty("--hue", String((hue * 137) % 360));
}

/** @param {string} name */
function pick(name) {
  $("call-target").value = name;
  const conversation = conversationWith(name);
  if (conversation.chat || conversation.lines.length > 0) show(conversation);
  else call(name);
}

function showAsking() {
  const [chat] = asking;
  $("incoming").hidden = !chat;
  if (!chat) return;
  const name = shortName(chat.getInitiator());
  const others = asking.length > 1 ? ` (and ${asking.length - 1} more)` : "";
  $("incoming-text").textContent = `${name} wants to chat${others}`;
  document.title = `(${asking.length}) Causeway demo`;
}

/** Lets the text field grow with its text, where the style sheet alone can't. */
function resize() {
  const input = $("message-input");
  if (CSS.supports("field-sizing", "content")) return;
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight + 2}px`;
}

// The page.

$("login-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  signIn($("login-name").value.trim());
});
$("call-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  const target = $("call-target").value.trim();
  if (target) call(target);
});
$("message-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  send();
});
$("message-input").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
$("message-input").addEventListener("input", () => {
  resize();
  shown?.chat?.indicateTyping($("message-input").value !== "");
});
$("accept-button").addEventListener("click", () => answer(true));
$("decline-button").addEventListener("click", () => answer(false));
$("end-button").addEventListener("click", () => {
  shown?.chat?.end();
  refresh();
});
$("again-button").addEventListener("click", () => {
  if (shown) call(shown.name);
});
$("back-button").addEventListener("click", () => show(null));
$("logout-button").addEventListener("click", signOut);
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !shown) return;
  shown.unread = 0;
  refresh();
});
// Whatever takes room away or gives it back: the last message stays in sight.
new ResizeObserver(() => {
  $("messages").scrollTop = $("messages").scrollHeight;
}).observe($("messages"));
window.addEventListener("pagehide", () => session?.close());

$("app").dataset.pane = "people";
$("login-name").value = new URLSearchParams(location.search).get("name") ?? "";
$("login-name").focus();
