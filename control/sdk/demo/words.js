//! What the states and codes of the library are called on the page.

/**
 * @param {string} state of the session
 * @param {string} name of the user
 * @returns {[string, "good" | "wait" | "bad"]} words and mood
 */
export function sessionWords(state, name) {
  switch (state) {
    case "CONNECTED": return [`Online as ${name}`, "good"];
    case "RECONNECTING": return ["Connection lost, reconnecting…", "wait"];
    case "SUSPENDED": return ["Signed in elsewhere", "bad"];
    case "FAILED": return ["Connection failed", "bad"];
    case "CLOSED": return ["Signed out", "bad"];
    default: return ["Connecting…", "wait"];
  }
}

/**
 * @param {string} name
 * @param {{ state: string, status: { code?: number, reason?: string } }} callState
 * @param {string} connection state of the MSRP connection
 * @param {boolean} incoming whether they called
 * @returns {[string, "good" | "wait" | "bad" | ""]} words and mood
 */
export function chatWords(name, callState, connection, incoming) {
  const { state, status } = callState;
  switch (state) {
    case "STARTED": return [`Inviting ${name}…`, "wait"];
    case "RESPONDED":
      if (status.code === 200) return ["Connecting…", "wait"];
      return [incoming ? `${name} wants to chat` : `Waiting for ${name} to accept…`, "wait"];
    case "ESTABLISHED":
      if (connection === "OPEN") return ["Connected", "good"];
      if (connection === "ERROR") return ["The connection failed", "bad"];
      if (connection === "CLOSED") return ["The connection is closed", "bad"];
      return ["Connecting…", "wait"];
    case "FAILED": return [refusalWords(name, status) || failureWords("The chat failed", status), "bad"];
    case "ENDED": return ["The chat has ended", ""];
    default: return ["", ""];
  }
}

/**
 * @param {{ state: string, status: { code?: number, reason?: string } }} callState
 * @param {string} connection state of the MSRP connection
 * @param {import("/demo/state.js").Group} group
 * @returns {[string, "good" | "wait" | "bad" | ""]} words and mood
 */
export function groupWords({ state, status }, connection, { kept, people, left, forgotten }) {
  const there = people.filter((person) => person.state === "joined").length;
  switch (state) {
    case "STARTED":
    case "RESPONDED": return [kept ? "Joining the group…" : "Making the group…", "wait"];
    case "ESTABLISHED":
      if (connection === "ERROR") return ["The connection failed", "bad"];
      if (connection === "CLOSED") return ["The connection is closed", "bad"];
      if (connection !== "OPEN") return ["Connecting…", "wait"];
      if (there === 0) return ["Nobody else is there yet", "wait"];
      return [there === 1 ? "You and one other" : `You and ${there} others`, "good"];
    case "FAILED":
      if (left) return ["You have left the group", ""];
      if (status.code === 404) return [kept ? "The network has forgotten this group" : "This network makes no groups", "bad"];
      if (status.code === 403) return ["You may not come into this group", "bad"];
      if (status.code === 408) return ["The network did not answer", "bad"];
      if (status.code === 486) return ["The group is full or busy", "bad"];
      return [failureWords("There is no group", status), "bad"];
    case "ENDED":
      if (left) return ["You have left the group", ""];
      if (forgotten) return ["The group is over: nobody else is in it", ""];
      if (status.reason === "shutdown") return ["The group is asleep", ""];
      return ["You are out of the group: the connection was lost", "bad"];
    default: return ["", ""];
  }
}

/**
 * @param {string} state of somebody in a group
 * @returns {string} how they stand to it, beside their name
 */
export function rosterWords(state) {
  switch (state) {
    case "joined": return "here";
    case "failed": return "not reached";
    default: return state;
  }
}

/**
 * @param {string} name
 * @param {string} state
 * @returns {string} what has happened, as a sentence; empty if it is not worth one
 */
export function rosterEventWords(name, state) {
  switch (state) {
    case "joined": return `${name} is in the group`;
    case "left": return `${name} has left`;
    case "removed": return `${name} was taken out of the group`;
    case "declined": return `${name} declined`;
    case "busy": return `${name} is busy`;
    case "failed": return `${name} could not be reached`;
    default: return "";
  }
}

/**
 * @param {string} who
 * @param {{ code: number, reason: string }} error
 */
export function addErrorWords(who, { code, reason }) {
  if (code === 403) return `${who} was not invited: the group is full`;
  if (code === 481) return `${who} was not invited: you are not in the group`;
  return failureWords(`${who} was not invited`, { code, reason });
}

/** @param {string[]} names who types */
export function typingWords(names) {
  if (names.length === 0) return "";
  if (names.length > 2) return `${names.length} people are typing…`;
  return `${listWords(names)} ${names.length === 1 ? "is" : "are"} typing…`;
}

/** @param {string[]} names */
export function listWords(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/**
 * Why somebody does not take what was offered.
 * @param {string} name
 * @param {{ code?: number, reason?: string }} status
 * @returns {string} empty if the code does not say
 */
export function refusalWords(name, { code }) {
  switch (code) {
    case 404: return `there is no ${name} here`;
    case 408: return `${name} did not answer`;
    case 480: return `${name} is offline`;
    case 486:
    case 600: return `${name} is busy`;
    case 488: return `${name} cannot take this`;
    case 603: return `${name} declined`;
    default: return "";
  }
}

/**
 * @param {string} what
 * @param {{ code?: number, reason?: string }} status
 */
function failureWords(what, { code, reason }) {
  return `${what}${reason ? `: ${reason}` : ""}${code ? ` (${code})` : ""}`;
}

/**
 * @param {number} status
 * @param {string} reason
 */
export function fileErrorWords(status, reason) {
  switch (status) {
    case 403:
    case 413: return "too large";
    case 408: return "nothing came any more";
    case 481: return "the connection was lost";
    case 487: return "cancelled by the other side";
    default: return failureWords("failed", { code: status, reason });
  }
}

/**
 * Where somebody is.
 * @param {"unknown" | "online" | "offline" | "nobody"} presence
 */
export function presenceWords(presence) {
  switch (presence) {
    case "online": return "Online";
    case "offline": return "Offline";
    case "nobody": return "Not known here";
    default: return "";
  }
}

/** What services are called on the page. @type {Record<string, string>} */
const SERVICES = {
  "IM/CHAT": "Chat", "File transfer": "Files", "Standalone message": "Texts", "Data channel": "Browser",
  "Image share": "Pictures", VS: "Video share", "IP voice call": "Voice", "IP video call": "Video",
};

/**
 * @param {string} services `IM/CHAT,File transfer`
 * @returns {string[]} in words, those that the page has words for
 */
export function serviceWords(services) {
  return services.split(",").map((name) => SERVICES[name.trim()]).filter((words) => words !== undefined);
}

/** @param {number} octets */
export function sizeWords(octets) {
  if (octets < 1000) return `${octets} B`;
  const units = ["kB", "MB", "GB"];
  const at = Math.min(Math.floor(Math.log10(octets) / 3), units.length) - 1;
  const size = octets / 1000 ** (at + 1);
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[at]}`;
}

/**
 * @param {{ code: number, reason: string }} error
 */
export function sessionErrorWords({ code, reason }) {
  switch (code) {
    case 401:
    case 403:
    case 407: return "The server does not let you in under that name.";
    case 1001: return `No connection: ${reason}.`;
    default: return `The session failed: ${reason || "no reason given"} (${code}).`;
  }
}

/**
 * @param {number} status
 * @param {string} reason
 */
export function messageErrorWords(status, reason) {
  switch (status) {
    case 408: return "not delivered: no answer";
    case 413: return "not delivered: too long";
    case 415: return "not delivered: type not accepted";
    case 404: return "not delivered: no such person here";
    case 480: return "not delivered: offline";
    case 481:
    case 487: return "not delivered: the chat is over";
    case 603: return "not delivered: declined";
    default: return `not delivered: ${reason || "failed"} (${status})`;
  }
}
