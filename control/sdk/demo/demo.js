//! The demo page: signs in as a guest; people, and what they can do; chats, groups, texts and files with them.

import * as wsc from "/sdk/wsc.js";
import { answer, askAboutChat, follow, forgetAsking, invite, listenToTexts, send } from "/demo/chats.js";
import { offered, sendFile } from "/demo/files.js";
import { addPeople, goOn, leaveGroup, makeGroup } from "/demo/groups.js";
import { peopleChosen } from "/demo/roster.js";
import { $, app, conversationWith, isLive, shortName } from "/demo/state.js";
import { add, noted, refresh, resize, seen, show, showState } from "/demo/view.js";
import { sessionErrorWords } from "/demo/words.js";

/** @typedef {import("/demo/state.js").Conversation} Conversation */

const CONTACTS = ["bob", "carol"];
/** Milliseconds between two looks at who is there, while the page is looked at. */
const LOOK_MS = 30_000;

/** @type {any} */
let lookTimer;

// Signing in and out.

/** @param {string} name */
function signIn(name) {
  $("login-error").hidden = true;
  $("login-button").disabled = true;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const url = `${scheme}://${location.host}/ws/webrtc/demo`;
  const opened = new wsc.Session(name, url, () => signedIn(opened), (error) => {
    if (opened === app.session) signedOut(sessionErrorWords(error));
  });
  app.session = opened;
  const services = {
    chats: new wsc.ChatPackage(opened),
    files: new wsc.FileTransferPackage(opened),
    texts: new wsc.MessagingPackage(opened).createMessaging(),
    exchange: new wsc.CapabilityPackage(opened).createCapabilityExchange(),
  };
  app.services = services;
  services.chats.onIncomingChat = (chat, { subject }) => askAboutChat(chat, String(subject ?? ""));
  services.files.onFileTransfer = (transfer) => {
    const conversation = conversationWith(shortName(transfer.getInitiator()));
    offered(transfer, placeIn(conversation));
  };
  listenToTexts(services.texts);
  opened.onSessionStateChange = (state) => {
    if (opened !== app.session) return;
    showState();
    if (state === wsc.SESSIONSTATE.SUSPENDED) signedOut("You are signed in somewhere else now.");
    if (state === wsc.SESSIONSTATE.CLOSED) signedOut("The server ended the session.");
  };
}

/** @param {wsc.Session} opened */
function signedIn(opened) {
  if (opened !== app.session) return;
  $("login").hidden = true;
  $("app").hidden = false;
  app.conversations.clear();
  for (const name of CONTACTS) if (name !== shortName(opened.getUserName())) conversationWith(name);
  $("contacts").replaceChildren();
  show(null);
  look();
}

function signOut() {
  const closing = app.session;
  signedOut("");
  closing?.close();
}

/** @param {string} why shown if not empty */
function signedOut(why) {
  app.session = null;
  app.services = null;
  clearTimeout(lookTimer);
  forgetAsking();
  $("people-dialog").close();
  $("app").hidden = true;
  $("login").hidden = false;
  $("login-button").disabled = false;
  $("login-error").textContent = why;
  $("login-error").hidden = why === "";
  document.title = "Causeway demo";
  $("login-name").focus();
}

// People.

/** Asks what everybody can do, now and from time to time. */
function look() {
  clearTimeout(lookTimer);
  if (!app.session) return;
  lookTimer = setTimeout(look, LOOK_MS);
  if (!document.hidden && app.session.getSessionState() === wsc.SESSIONSTATE.CONNECTED) {
    lookAt([...app.conversations.values()]);
  }
}

/** @param {Conversation[]} whom groups among them are passed over */
async function lookAt(whom) {
  const people = whom.filter(({ group }) => !group);
  const answers = await app.services?.exchange.enquiryAll(undefined, people.map(({ name }) => name));
  for (const [at, given] of (answers ?? []).entries()) {
    const conversation = people[at];
    const { errorCode = 0, targetCapability = "", offline = false } = /** @type {any} */ (given);
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

/** @param {string} target */
function chatWith(target) {
  const conversation = conversationWith(shortName(target));
  if (conversation.presence === "unknown") lookAt([conversation]);
  invite(target);
}

/** @param {string} key of a conversation */
function pick(key) {
  const conversation = app.conversations.get(key);
  if (!conversation) return;
  if (conversation.group || conversation.lines.length > 0 || isLive(conversation)) show(conversation);
  else chatWith(conversation.name);
}

// Files.

/** @param {Iterable<File>} files */
function sendFiles(files) {
  const conversation = app.shown;
  // The network takes no files into a group.
  if (!conversation || conversation.group) return;
  for (const file of files) {
    const offer = () => {
      const transfer = app.services?.files.createFileTransfer(conversation.name);
      if (transfer) sendFile(transfer, file, placeIn(conversation), offer);
    };
    offer();
  }
}

/** @param {Conversation} conversation */
function placeIn(conversation) {
  return {
    name: conversation.name,
    showsIcons: conversation.services.split(",").includes("File transfer thumbnail"),
    add: (/** @type {HTMLElement} */ item, /** @type {boolean} */ notable) => {
      add(conversation, item);
      if (notable) noted(conversation);
    },
    resume: (/** @type {wsc.FileTransfer} */ former) => app.services?.files.resume(former),
  };
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
  if (target) chatWith(target);
}));
on("contacts", "click", ({ target }) => pick(target.closest(".contact")?.dataset.key));
on("group-button", "click", () => makeGroup(follow));
on("add-button", "click", addPeople);
on("people-form", "submit", instead(peopleChosen));
on("people-cancel", "click", () => $("people-dialog").close());
on("message-form", "submit", instead(send));
on("message-input", "keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
on("message-input", "input", () => {
  resize();
  app.shown?.chat?.indicateTyping($("message-input").value !== "");
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
  if (!app.shown?.group) $("talk").dataset.drop = "true";
});
on("talk", "dragleave", (event) => {
  if (!$("talk").contains(event.relatedTarget)) delete $("talk").dataset.drop;
});
on("talk", "drop", (event) => {
  event.preventDefault();
  delete $("talk").dataset.drop;
  sendFiles(event.dataTransfer?.files ?? []);
});
on("accept-button", "click", () => {
  const conversation = answer(true);
  if (conversation) lookAt([conversation]);
});
on("decline-button", "click", () => answer(false));
on("end-button", "click", () => {
  if (app.shown?.group) leaveGroup();
  else app.shown?.chat?.end();
  refresh();
  // Whoever goes by keyboard is not sent back to the top.
  if ($("end-button").hidden) $("again-button").focus();
});
on("again-button", "click", () => {
  if (app.shown?.group) goOn(app.shown, follow);
  else if (app.shown) chatWith(app.shown.name);
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
window.addEventListener("pagehide", () => app.session?.close());

$("app").dataset.pane = "people";
$("login-name").value = new URLSearchParams(location.search).get("name") ?? "";
$("login-name").focus();
