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
    case "STARTED": return [`Calling ${name}…`, "wait"];
    case "RESPONDED":
      if (status.code === 200) return ["Connecting…", "wait"];
      return [incoming ? `${name} wants to chat` : `Ringing at ${name}…`, "wait"];
    case "ESTABLISHED":
      if (connection === "OPEN") return ["Connected", "good"];
      if (connection === "ERROR") return ["The connection failed", "bad"];
      if (connection === "CLOSED") return ["The connection is closed", "bad"];
      return ["Connecting…", "wait"];
    case "FAILED": return [refusalWords(name, status), "bad"];
    case "ENDED": return ["The chat has ended", ""];
    default: return ["", ""];
  }
}

/**
 * @param {string} name
 * @param {{ code?: number, reason?: string }} status
 */
function refusalWords(name, { code, reason }) {
  switch (code) {
    case 403: return `You may not chat with ${name}`;
    case 404: return `There is no ${name} here`;
    case 408: return `${name} did not answer`;
    case 480: return `${name} is offline`;
    case 486:
    case 600: return `${name} is busy`;
    case 488: return `${name} cannot take this kind of chat`;
    case 603: return `${name} declined`;
    default: return `The chat failed${reason ? `: ${reason}` : ""}${code ? ` (${code})` : ""}`;
  }
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
    case 481:
    case 487: return "not delivered: the chat is over";
    default: return `not delivered: ${reason || "failed"} (${status})`;
  }
}
