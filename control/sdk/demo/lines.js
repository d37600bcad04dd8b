//! What stands in a conversation: messages, files, events. Text from others only ever becomes `textContent`.

import { sizeWords } from "/demo/words.js";

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** What a tick looks like, and is called. @type {Record<string, [string, string]>} */
const TICKS = {
  sending: ["○", "sending"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  displayed: ["✓✓", "displayed"],
};
const TICK_ORDER = Object.keys(TICKS);

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/**
 * @param {string} label
 * @param {string} testid
 * @param {string} className
 * @param {() => void} pressed
 */
export function button(label, testid, className, pressed) {
  const made = element("button", className, label);
  made.setAttribute("type", "button");
  made.dataset.testid = testid;
  made.addEventListener("click", pressed);
  return made;
}

/**
 * @param {string} author
 * @param {string} text
 * @param {"mine" | "theirs"} side
 * @param {string} [kind] in words, where it is not a message of a chat
 */
export function messageLine(author, text, side, kind = "") {
  return line(author, element("div", "bubble", text), side, kind, "message");
}

/** @param {string} text */
export function eventLine(text) {
  return element("li", "event", text);
}

/**
 * Says what became of a message of ours; what is known already is not taken back.
 * @param {HTMLElement} item
 * @param {string} status `sent`, `delivered`, `displayed`, or what went wrong, in words
 */
export function settle(item, status) {
  const tick = item.querySelector(".tick");
  if (!tick) return;
  const [sign, words] = TICKS[status] ?? ["", ""];
  if (sign === "") {
    item.dataset.status = "failed";
    tick.textContent = `⚠ ${status}`;
    return;
  }
  const known = TICK_ORDER.indexOf(item.dataset.status ?? "");
  if (item.dataset.status === "failed" || known >= TICK_ORDER.indexOf(status)) return;
  item.dataset.status = status;
  tick.textContent = sign;
  tick.setAttribute("aria-label", words);
  tick.setAttribute("title", words);
}

/** Who has got which message of ours in a group. @type {WeakMap<HTMLElement, Set<string>>} */
const gotBy = new WeakMap();

/**
 * Says who in a group has got a message of ours.
 * @param {HTMLElement} item
 * @param {string} status what one of them tells
 * @param {string} by who
 * @param {number} there how many others are there
 */
export function settleInGroup(item, status, by, there) {
  const got = gotBy.get(item) ?? new Set();
  gotBy.set(item, got);
  const tally = item.querySelector(".tally");
  const tick = item.querySelector(".tick");
  if (!tally || !tick) return;
  if (status === "failed") {
    tally.textContent = `not delivered to ${by}`;
    return;
  }
  got.add(by);
  settle(item, "delivered");
  const words = `delivered to ${[...got].join(", ")}`;
  tick.setAttribute("title", words);
  tally.textContent = got.size < there ? `${got.size} of ${there}` : there > 1 ? "all" : "";
  tally.setAttribute("title", words);
}

/** A file on its way, as it is seen. */
export class FileLine {
  #size;
  #note = element("div", "file-note");
  #bar = /** @type {HTMLProgressElement} */ (element("progress", "file-bar"));
  #actions = element("div", "file-actions");
  #icon = element("div", "file-icon");

  /**
   * @param {string} author
   * @param {"mine" | "theirs"} side
   * @param {{ name: string, size: number, type: string }} file
   */
  constructor(author, side, { name, size, type }) {
    this.#size = size;
    const bubble = element("div", "bubble file");
    const about = element("div", "file-about");
    this.#icon.textContent = (/\.(\w{1,4})$/.exec(name)?.[1] ?? type.split("/")[0] ?? "file").toUpperCase();
    this.#icon.setAttribute("aria-hidden", "true");
    this.#note.dataset.testid = "file-note";
    this.#bar.max = Math.max(size, 1);
    this.#bar.setAttribute("aria-label", `Progress of ${name}`);
    about.append(element("div", "file-name", name), this.#note, this.#bar);
    bubble.append(this.#icon, about, this.#actions);
    /** The line itself. */
    this.item = line(author, bubble, side, "", "file");
    this.item.dataset.status = "waiting";
  }

  /**
   * @param {string} status `waiting`, `moving`, `done` or `failed`
   * @param {string} words
   * @param {...HTMLElement} actions what can be done now
   */
  shows(status, words, ...actions) {
    this.item.dataset.status = status;
    this.#note.textContent = this.#size > 0 || status !== "waiting" ? `${sizeWords(this.#size)} · ${words}` : words;
    this.#bar.hidden = status !== "moving";
    this.#actions.replaceChildren(...actions);
  }

  /** @param {number} octets that are there */
  moved(octets) {
    this.#bar.value = octets;
    const percent = Math.floor((100 * octets) / Math.max(this.#size, 1));
    this.#note.textContent = `${sizeWords(octets)} of ${sizeWords(this.#size)} · ${percent} %`;
  }

  /** @param {Blob} blob shown as a picture, if it is one that browsers know */
  picture(blob) {
    if (/^image\/(png|jpeg|gif|webp|avif)$/.test(blob.type)) this.icon(URL.createObjectURL(blob));
  }

  /** @param {string} url of a picture */
  icon(url) {
    const image = document.createElement("img");
    image.src = url;
    image.alt = "";
    image.dataset.testid = "file-icon";
    image.addEventListener("load", () => {
      this.#icon.replaceChildren(image);
      this.#icon.classList.add("is-picture");
    });
  }
}

/**
 * @param {string} author
 * @param {HTMLElement} content
 * @param {"mine" | "theirs"} side
 * @param {string} kind
 * @param {string} testid
 */
function line(author, content, side, kind, testid) {
  const item = element("li", `message ${side}`);
  item.dataset.testid = testid;
  item.dataset.direction = side === "mine" ? "out" : "in";
  const meta = element("div", "meta");
  meta.append(element("span", side === "mine" ? "unseen" : "author", side === "mine" ? "You, " : author));
  if (kind) meta.append(element("span", "kind", kind));
  meta.append(element("time", "", timeFormat.format(new Date())));
  if (side === "mine" && testid === "message") {
    const tick = element("span", "tick");
    tick.dataset.testid = "tick";
    tick.setAttribute("role", "img");
    meta.append(tick, element("span", "tally"));
  }
  item.append(content, meta);
  if (side === "mine" && testid === "message") settle(item, "sending");
  return item;
}
