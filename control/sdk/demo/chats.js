//! Chats, with one other or in a group, and texts without one: asked for, answered, what is said in them.
//! Not here: making groups (`groups.js`).

import { callbacksOfGroup, groupInvited, heardOf } from "/demo/groups.js";
import { $, app, conversationWith, isLive, shortName } from "/demo/state.js";
import { addEvent, addMessage, lineOf, noted, refresh, resize, settleMessage, show, standing, whenSeen } from "/demo/view.js";
import { listWords, messageErrorWords } from "/demo/words.js";

/**
 * @typedef {import("/sdk/wsc.js").Chat} Chat
 * @typedef {import("/demo/state.js").Conversation} Conversation
 */

/** Chats that wait for Accept or Decline, the first one on show. @type {{ chat: Chat, subject: string }[]} */
const asking = [];

/**
 * Lets a conversation go on in a chat.
 * @param {Conversation} conversation
 * @param {Chat} chat
 * @param {boolean} incoming
 */
export function follow(conversation, chat, incoming) {
  const { group, name, typing } = conversation;
  conversation.chat = chat;
  conversation.incoming = incoming;
  let connection = "NONE";
  chat.onStateChange = (callState) => {
    stopAsking(chat);
    if (conversation.chat !== chat) return;
    if (group) heardOf(group, chat, callState);
    if (callState.state === "FAILED" || callState.state === "ENDED") {
      typing.clear();
      addEvent(conversation, standing(conversation)[0]);
    }
    if (callState.state === "FAILED" && callState.status.code === 480) conversation.presence = "offline";
    refresh();
  };
  chat.onConnectionStateChange = ({ state }) => {
    if (conversation.chat !== chat) return;
    if (state === "OPEN") {
      if (!group) conversation.presence = "online";
      addEvent(conversation, group ? "You are in the group" : `You are connected to ${name}`);
    }
    if (state === "ERROR") addEvent(conversation, "The connection failed");
    // Why a group's connection is closed, whether it sleeps or is over, is said behind it.
    const dead = state === "ERROR" || (state === "CLOSED" && connection === "OPEN" && !group);
    connection = state;
    if (dead) chat.end();
    refresh();
  };
  chat.onChatMessage = (message) => {
    const { content, from } = message;
    const author = group ? shortName(from ?? "") || "somebody" : undefined;
    typing.delete(author ?? name);
    addMessage(conversation, typeof content === "string" ? content : "(not a text)", "theirs", "", author);
    whenSeen(conversation, () => chat.displayed(message));
  };
  chat.onMessageSendSuccess = (id) => settleMessage(conversation, id, "sent");
  chat.onMessageStatus = (id, status) =>
    settleMessage(conversation, id, status === "failed" ? "not delivered" : status);
  chat.onMessageSendFailure = (id, status, reason) =>
    settleMessage(conversation, id, messageErrorWords(status, reason));
  chat.onMessageTyping = (by) => {
    typing.add(group ? shortName(by) : name);
    refresh();
  };
  chat.onMessageTypingStop = (by) => {
    typing.delete(group ? shortName(by) : name);
    refresh();
  };
  if (group) callbacksOfGroup(conversation, chat);
}

/** @param {string} target */
export function invite(target) {
  const conversation = conversationWith(shortName(target));
  show(conversation);
  if (isLive(conversation) || !app.services) return;
  try {
    const chat = app.services.chats.createChat(target);
    follow(conversation, chat, false);
    chat.start();
  } catch (error) {
    addEvent(conversation, /** @type {Error} */ (error).message);
  }
  refresh();
}

// Asked to chat.

/**
 * @param {Chat} chat that came in
 * @param {string} subject of a group
 */
export function askAboutChat(chat, subject) {
  const known = chat.isGroup() ? groupInvited(chat, subject, false) : null;
  if (known && !known.group?.left) {
    // One of ours was asleep.
    follow(known, chat, true);
    chat.accept();
    refresh();
    return;
  }
  asking.push({ chat, subject });
  const first = chat.getFirstMessage();
  // What a group's says is shown when the user is in it.
  if (first && !chat.isGroup()) {
    const conversation = conversationWith(shortName(chat.getInitiator()));
    addMessage(conversation, String(first.content), "theirs");
    whenSeen(conversation, () => chat.displayed(first));
  }
  chat.onStateChange = () => stopAsking(chat);
  showAsking();
}

/**
 * @param {boolean} accepted
 * @returns {Conversation | null} that goes on now
 */
export function answer(accepted) {
  const { chat, subject } = asking.shift() ?? {};
  if (!chat) return null;
  let conversation = null;
  if (accepted) {
    conversation = chat.isGroup() ? groupInvited(chat, subject ?? "", true)
      : conversationWith(shortName(chat.getInitiator()));
    if (!conversation) return null;
    conversation.chat?.end();
    follow(conversation, chat, true);
    const first = chat.isGroup() ? chat.getFirstMessage() : null;
    if (first) chat.onChatMessage?.(first);
    chat.accept();
    show(conversation);
    $("message-input").focus();
  } else {
    chat.decline();
  }
  showAsking();
  refresh();
  return conversation;
}

/** Nobody is there to be asked any more. */
export function forgetAsking() {
  asking.length = 0;
  showAsking();
}

/** @param {Chat} chat that was answered, or taken back */
function stopAsking(chat) {
  const at = asking.findIndex((one) => one.chat === chat);
  if (at < 0) return;
  const [{ subject }] = asking.splice(at, 1);
  const conversation = conversationWith(shortName(chat.getInitiator()));
  const what = chat.isGroup() ? `invited you to ${subject ? `“${subject}”` : "a group"} and took it back`
    : "wanted to chat and hung up";
  addEvent(conversation, `${conversation.name} ${what}`);
  noted(conversation);
  showAsking();
}

function showAsking() {
  const [first] = asking;
  $("incoming").hidden = !first;
  if (!first) return;
  const { chat, subject } = first;
  const name = shortName(chat.getInitiator());
  const called = chat.getInitiatorName();
  const others = listWords(chat.getParticipants().map(({ user }) => shortName(user)).filter((one) => one !== name));
  const what = chat.isGroup()
    ? `invites you to ${subject ? `“${subject}”` : "a group"}${others ? ` with ${others}` : ""}` : "wants to chat";
  const more = asking.length > 1 ? ` (and ${asking.length - 1} more)` : "";
  $("incoming-text").textContent = `${called ? `${called} (${name})` : name} ${what}${more}`;
  document.title = `(${asking.length}) Causeway demo`;
}

// Messages: in the chat while there is one, on their own otherwise.

/** Sends what was written. */
export function send() {
  const { services, shown } = app;
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

/** @param {import("/sdk/wsc.js").Messaging} texts */
export function listenToTexts(texts) {
  /** @type {(id: string, status: string) => void} */
  const settled = (id, status) => {
    for (const conversation of app.conversations.values()) {
      if (lineOf(conversation, id)) settleMessage(conversation, id, status);
    }
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
