//! Who is in a group: the list above its messages, what of its changes is told, and the sheet on which people are chosen.

import { element } from "/demo/lines.js";
import { $, address, app, self, shortName } from "/demo/state.js";
import { rosterWords } from "/demo/words.js";

/** @typedef {import("/demo/state.js").Group} Group */

/**
 * @param {Group | null} group
 * @param {boolean} up whether people can be added
 */
export function showRoster(group, up) {
  $("roster").hidden = group === null;
  $("add-button").hidden = !up;
  const items = (group?.people ?? []).map(({ user, state }) => {
    const name = shortName(user);
    const item = element("li", "member");
    item.dataset.state = state;
    item.dataset.testid = `member-${name}`;
    item.append(element("span", "name", name), element("span", "note", rosterWords(state)));
    return item;
  });
  $("members").replaceChildren(...items);
}

/** What is done with the names on the sheet. @type {(names: string[], title: string) => void} */
let done = () => {};

/**
 * Lets the user choose people.
 * @param {{ heading: string, button: string, titled: boolean, without: string[] }} look
 * @param {(names: string[], title: string) => void} then gets addresses
 */
export function choosePeople({ heading, button, titled, without }, then) {
  done = then;
  const people = [...app.conversations.values()].filter(({ name, group }) => !group && !without.includes(name));
  $("people-form").reset();
  $("people-heading").textContent = heading;
  $("people-done").textContent = button;
  $("title-part").hidden = !titled;
  $("people-problem").hidden = true;
  $("choices").replaceChildren(...people.map(choice));
  $("choices-part").hidden = people.length === 0;
  $("people-dialog").showModal();
  if (titled) $("group-title").focus();
}

/** @param {import("/demo/state.js").Conversation} person */
function choice({ name }) {
  const item = document.createElement("li");
  const label = element("label", "choice");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", value: name });
  box.dataset.testid = `choice-${name}`;
  label.append(box, element("span", "", name));
  item.append(label);
  return item;
}

/** The sheet was filled in. */
export function peopleChosen() {
  const ticked = [...$("choices").querySelectorAll(":checked")].map(({ value }) => value);
  const typed = $("others").value.split(/[\s,;]+/).filter((/** @type {string} */ name) => name !== "");
  const own = address(self()[0]);
  const names = [...new Set([...ticked, ...typed].map(address))].filter((name) => name !== own);
  $("people-problem").hidden = names.length > 0;
  if (names.length === 0) {
    $("people-problem").textContent = "Tick somebody, or type a name.";
    $("others").focus();
    return;
  }
  $("people-dialog").close();
  done(names, $("group-title").value.trim());
}
