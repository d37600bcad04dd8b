//! The demo page: signs in as a guest; people, and what they can do; chats, texts and files with each of them.
//!
//! Conversations are kept by name and outlive their chats.

import * as wsc from "/sdk/wsc.js";
import { offered, sendFile } from "/demo/files.js";
import { element, eventLine, messageLine, settle } from "/demo/lines.js";
import {
  chatWords, messageErrorWords, presenceWords, serviceWords, sessionErrorWords, sessionWords,
} from "/demo/words.js";

const CONTACTS = ["bob", "carol"];
const LINES_SHOWN_MAX = 500;
/** Milliseconds between two looks at who is there, while the page is looked at. */
const LOOK_MS = 30_000;

/**
 * @typedef {object} Conversation
 * @property {string} name
 * @property {wsc.Chat | null} chat
 * @property {boolean} incoming
 * @property {HTMLElement[]} lines
 * @property {number} unread
 * @property {boolean} typing
 * @property {string} draft
 * @property {"unknown" | "online" | "offline" | "nobody"} presence
 * @property {string} services
 * @property {(() => void)[]} unseen tells senders that their messages were seen
 */

/** @type {wsc.Session | null} */
let session = null;
/** @type {{ chats: wsc.ChatPackage, files: wsc.FileTransferPackage, texts: wsc.Messaging,
 *   exchange: wsc.CapabilityExchange } | null} */
let services = null;
/** @type {Map<string, Conversation>} */
const conversations = new Map();
/** @type {Conversation | null} */
let shown = null;
/** Chats that wait for Accept or Decline, the first one on show. @type {wsc.Chat[]} */
const asking = [];
/** @type {any} */
let lookTimer;

/** @type {(id: string) => any} */
const $ = (id) => document.getElementById(id);

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
  services = {
    chats: new wsc.ChatPackage(opened),
    files: new wsc.FileTransferPackage(opened),
    texts: new wsc.MessagingPackage(opened).createMessaging(),
    exchange: new wsc.CapabilityPackage(opened).createCapabilityExchange(),
  };
  services.chats.onIncomingChat = askAboutChat;
  services.files.onFileTransfer = (transfer) => {
    const conversation = conversationWith(shortName(transfer.getInitiator()));
    offered(transfer, placeIn(conversation));
  };
  listenToTexts(services.texts);
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
  for (const name of CONTACTS) if (name !== shortName(opened.getUserName())) conversationWith(name);
  $("contacts").replaceChildren();
  show(null);
  look();
}

function signOut() {
  const closing = session;
  signedOut("");
  closing?.close();
}

/** @param {string} why shown if not empty */
function signedOut(why) {
  session = null;
  services = null;
  clearTimeout(lookTimer);
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

// People.

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
      name, chat: null, incoming: false, lines: [], unread: 0, typing: false, draft: "", presence: "unknown",
      services: "", unseen: [],
    };
    conversations.set(name, conversation);
  }
  return conversation;
}

/** Asks what everybody can do, now and from time to time. */
function look() {
  clearTimeout(lookTimer);
  if (!session) return;
  lookTimer = setTimeout(look, LOOK_MS);
  if (!document.hidden && session.getSessionState() === wsc.SESSIONSTATE.CONNECTED) {
    lookAt([...conversations.values()]);
  }
}

/** @param {Conversation[]} whom */
async function lookAt(whom) {
  const answers = await services?.exchange.enquiryAll(undefined, whom.map(({ name }) => name));
  for (const [at, answer] of (answers ?? []).entries()) {
    const conversation = whom[at];
    const { errorCode = 0, targetCapability = "", offline = false } = /** @type {any} */ (answer);
    if (errorCode === 0) {
      conversation.presence = offline ? "offline" : "online";
      conversation.services = targetCapability;
    } else if (errorCode === 404) {
      conversation.presence = "nobody";
    } else if (errorCode === 480 || errorCode === 408) {
      conversation.presence = "offline";
    }
  }
  refresh();
}

// Chats.

/** @param {Conversation} conversation */
function isLive(conversation) {
  const state = conversation.chat?.getState().state ?? "NONE";
  return ["STARTED", "RESPONDED", "ESTABLISHED"].includes(state);
}

/** @param {string} target */
function invite(target) {
  const conversation = conversationWith(shortName(target));
  show(conversation);
  if (conversation.presence === "unknown") lookAt([conversation]);
  if (isLive(conversation) || !services) return;
  try {
    const chat = services.chats.createChat(target);
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
    if (callState.state === "FAILED" && callState.status.code === 480) conversation.presence = "offline";
    refresh();
  };
  chat.onConnectionStateChange = ({ state }) => {
    if (conversation.chat !== chat) return;
    if (state === "OPEN") {
      conversation.presence = "online";
      addEvent(conversation, `You are connected to ${conversation.name}`);
    }
    if (state === "ERROR") addEvent(conversation, "The connection failed");
    const dead = state === "ERROR" || (state === "CLOSED" && connection === "OPEN");
    connection = state;
    if (dead) chat.end();
    refresh();
  };
  chat.onChatMessage = (message) => {
    const { content } = message;
    conversation.typing = false;
    addMessage(conversation, typeof content === "string" ? content : "(not a text)", "theirs");
    whenSeen(conversation, () => chat.displayed(message));
  };
  chat.onMessageSendSuccess = (id) => settleMessage(conversation, id, "sent");
  chat.onMessageStatus = (id, status) =>
    settleMessage(conversation, id, status === "failed" ? "not delivered" : status);
  chat.onMessageSendFailure = (id, status, reason) =>
    settleMessage(conversation, id, messageErrorWords(status, reason));
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
    lookAt([conversation]);
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
  addEvent(conversation, `${conversation.name} wanted to chat and hung up`);
  showAsking();
  refresh();
}

// Messages: in the chat while there is one, on their own otherwise.

function send() {
  const input = $("message-input");
  const text = input.value.trim();
  if (!shown || !services || text === "" || $("send-button").disabled) return;
  const { chat } = shown;
  if (chat && isLive(shown)) {
    const line = addMessage(shown, text, "mine");
    line.dataset.id = chat.send({ contentType: "text/plain", content: text });
  } else {
    const line = addMessage(shown, text, "mine", "text");
    line.dataset.id = services.texts.send(text, shown.name);
  }
  input.value = "";
  shown.draft = "";
  resize();
  input.focus();
}

/** @param {wsc.Messaging} texts */
function listenToTexts(texts) {
  /** @type {(id: string, status: string) => void} */
  const settled = (id, status) => {
    for (const conversation of conversations.values()) settleMessage(conversation, id, status);
  };
  texts.onNewMessage = (message) => {
    const conversation = conversationWith(shortName(message.initiator));
    texts.accept(message);
    addMessage(conversation, message.content, "theirs", "text");
    whenSeen(conversation, () => texts.displayed(message));
  };
  texts.onSuccessResponse = ({ msgId }) => settled(msgId, "sent");
  texts.onErrorResponse = ({ msgId }, code, reason) => settled(msgId, messageErrorWords(code, reason));
  texts.onMessageStatus = (id, status) => settled(id, status === "failed" ? "not delivered" : status);
}

// Files.

/** @param {Iterable<File>} files */
function sendFiles(files) {
  const conversation = shown;
  if (!conversation) return;
  for (const file of files) {
    const offer = () => {
      const transfer = services?.files.createFileTransfer(conversation.name);
      if (transfer) sendFile(transfer, file, placeIn(conversation), offer);
    };
    offer();
  }
}

/** @param {Conversation} conversation */
function placeIn(conversation) {
  return {
    name: conversation.name,
    add: (/** @type {HTMLElement} */ item, /** @type {boolean} */ notable) => {
      add(conversation, item);
      if (notable) noted(conversation);
    },
  };
}

// Lines of a conversation.

/**
 * @param {Conversation} conversation
 * @param {string} text
 * @param {"mine" | "theirs"} side
 * @param {string} [kind]
 * @returns {HTMLElement}
 */
function addMessage(conversation, text, side, kind) {
  const line = messageLine(conversation.name, text, side, kind);
  add(conversation, line);
  if (side === "theirs") noted(conversation);
  return line;
}

/** @param {Conversation} conversation that has something new from somebody else */
function noted(conversation) {
  if (!isSeen(conversation)) conversation.unread += 1;
  refresh();
}

/**
 * @param {Conversation} conversation
 * @param {() => void} tell
 */
function whenSeen(conversation, tell) {
  if (isSeen(conversation)) tell();
  else conversation.unseen.push(tell);
}

/** @param {Conversation} conversation */
function isSeen(conversation) {
  return conversation === shown && !document.hidden;
}

/** @param {Conversation} conversation */
function addEvent(conversation, /** @type {string} */ text) {
  const last = conversation.lines.at(-1);
  if (last?.className === "event" && last.textContent === text) return;
  add(conversation, eventLine(text));
}

/**
 * @param {Conversation} conversation
 * @param {HTMLElement} line
 */
function add(conversation, line) {
  conversation.lines.push(line);
  if (conversation.lines.length > LINES_SHOWN_MAX) conversation.lines.shift()?.remove();
  if (conversation !== shown) return;
  $("messages").append(line);
  $("messages").scrollTop = $("messages").scrollHeight;
}

/**
 * @param {Conversation} conversation
 * @param {string} id
 * @param {string} status
 */
function settleMessage(conversation, id, status) {
  const line = conversation.lines.find((candidate) => candidate.dataset.id === id);
  if (line) settle(line, status);
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
function seen() {
  if (document.hidden || !shown) return;
  shown.unread = 0;
  for (const tell of shown.unseen.splice(0)) tell();
}

function refresh() {
  showState();
  showContacts();
  if (shown) showTalk(shown);
  let unread = 0;
  for (const conversation of conversations.values()) unread += conversation.unread;
  if (session && asking.length === 0) {
    document.title = unread > 0 ? `(${unread}) Causeway demo` : "Causeway demo";
  }
}

function showState() {
  if (!session) return;
  const [words, mood] = sessionWords(session.getSessionState(), shortName(session.getUserName()));
  $("state").textContent = words;
  $("state").dataset.mood = mood;
}

/** @param {Conversation} conversation */
function showTalk(conversation) {
  const { chat, name, presence } = conversation;
  const connection = chat?.getConnectionState().state ?? "NONE";
  const [words, mood] = chat ? chatWords(name, chat.getState(), connection, conversation.incoming)
    : [presenceWords(presence), ""];
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
  $("end-button").hidden = !live;
  $("end-button").textContent = up ? "End chat" : "Cancel";
  $("again-button").hidden = live;
  $("again-button").textContent = chat ? "Chat again" : "Chat";
  $("send-button").disabled = live && !up;
  $("message-input").placeholder = live ? `Message ${name}` : `Text ${name}, without a chat`;
  $("typing").textContent = conversation.typing ? `${name} is typing…` : "";
}

function showContacts() {
  const list = $("contacts");
  for (const [at, conversation] of [...conversations.values()].entries()) {
    const item = list.children[at] ?? list.appendChild(contactItem(conversation));
    dressContact(item.firstElementChild, conversation);
  }
}

/** @param {Conversation} conversation */
function contactItem({ name }) {
  const item = document.createElement("li");
  const button = element("button", "contact");
  button.dataset.testid = `contact-${name}`;
  const avatar = element("span", "avatar");
  avatar.setAttribute("aria-hidden", "true");
  button.append(avatar, element("span", "name", name));
  button.append(element("span", "note"), element("span", "unread"));
  button.addEventListener("click", () => pick(name));
  item.append(button);
  return item;
}

/**
 * @param {any} button
 * @param {Conversation} conversation
 */
function dressContact(button, conversation) {
  const { chat, name, presence, unread } = conversation;
  const badge = button.querySelector(".unread");
  const live = isLive(conversation) && chat;
  const about = [presenceWords(presence), ...serviceWords(conversation.services)].filter((word) => word !== "");
  const words = conversation.typing ? "typing…"
    : live ? chatWords(name, chat.getState(), chat.getConnectionState().state, conversation.incoming)[0]
      : about.join(" · ");
  button.dataset.presence = presence;
  button.querySelector(".note").textContent = words || "Start a chat";
  dressAvatar(button.querySelector(".avatar"), conversation);
  badge.textContent = String(unread);
  badge.hidden = unread === 0;
  badge.setAttribute("aria-label", `${unread} unread`);
  if (conversation === shown) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

/** @param {string} name */
function pick(name) {
  const conversation = conversations.get(name);
  if (conversation && (conversation.lines.length > 0 || isLive(conversation))) show(conversation);
  else invite(name);
}

/**
 * @param {HTMLElement} avatar
 * @param {Conversation} conversation
 */
function dressAvatar(avatar, { name, presence }) {
  const hue = [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360, 7);
  avatar.textContent = [...name][0] ?? "?";
  avatar.style.setProperty("--hue", String(hue));
  avatar.dataset.presence = presence;
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

/** @type {(id: string, event: string, handler: (event: any) => void) => void} */
const on = (id, event, handler) => $(id).addEventListener(event, handler);
/** @type {(handler: () => void) => (event: Event) => void} */
const instead = (handler) => (event) => {
  event.preventDefault();
  handler();
};

on("login-form", "submit", instead(() => signIn($("login-name").value.trim())));
on("call-form", "submit", instead(() => {
  const target = $("call-target").value.trim();
  $("call-target").value = "";
  if (target) invite(target);
}));
on("message-form", "submit", instead(send));
on("message-input", "keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
on("message-input", "input", () => {
  resize();
  shown?.chat?.indicateTyping($("message-input").value !== "");
});
on("message-input", "paste", (event) => {
  if (event.clipboardData?.files.length > 0) {
    event.preventDefault();
    sendFiles(event.clipboardData.files);
  }
});
on("attach-button", "click", () => $("attach-input").click());
on("attach-input", "change", () => {
  sendFiles([...$("attach-input").files]);
  $("attach-input").value = "";
});
on("talk", "dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  $("talk").dataset.drop = "true";
});
on("talk", "dragleave", (event) => {
  if (!$("talk").contains(event.relatedTarget)) delete $("talk").dataset.drop;
});
on("talk", "drop", (event) => {
  event.preventDefault();
  delete $("talk").dataset.drop;
  sendFiles(event.dataTransfer?.files ?? []);
});
on("accept-button", "click", () => answer(true));
on("decline-button", "click", () => answer(false));
on("end-button", "click", () => {
  shown?.chat?.end();
  refresh();
});
on("again-button", "click", () => {
  if (shown) invite(shown.name);
});
on("back-button", "click", () => show(null));
on("logout-button", "click", signOut);
document.addEventListener("visibilitychange", () => {
  seen();
  if (!document.hidden) look();
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
