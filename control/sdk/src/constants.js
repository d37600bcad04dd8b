//! The constant objects of the API. Values are the words themselves unless a number is given.

/** States of a {@link Session}. */
export const SESSIONSTATE = Object.freeze({
  /** Created, not yet connected. */
  NONE: "NONE",
  /** The session is up. */
  CONNECTED: "CONNECTED",
  /** The socket was lost; the library is trying to resume. */
  RECONNECTING: "RECONNECTING",
  /** Being restored after a page reload. */
  RELOADING: "RELOADING",
  /** Socket closed on purpose, session parked on the server. */
  HIBERNATED: "HIBERNATED",
  /** The session went on elsewhere; this client must not reconnect. */
  SUSPENDED: "SUSPENDED",
  /** Ended abnormally. */
  FAILED: "FAILED",
  /** Ended orderly. */
  CLOSED: "CLOSED",
});

/** States of a chat's signalling, as {@link CallState} reports them. */
export const CALLSTATE = Object.freeze({
  NONE: "NONE",
  STARTED: "STARTED",
  RESPONDED: "RESPONDED",
  ESTABLISHED: "ESTABLISHED",
  UPDATING: "UPDATING",
  UPDATE_FAILED: "UPDATE_FAILED",
  UPDATED: "UPDATED",
  FAILED: "FAILED",
  ERROR: "ERROR",
  ENDED: "ENDED",
});

/** States of the MSRP connection of a chat. */
export const ConnectionStateEnum = Object.freeze({
  NONE: "NONE",
  CONNECTING: "CONNECTING",
  OPEN: "OPEN",
  CLOSED: "CLOSED",
  ERROR: "ERROR",
});

/** Directions of a call's media, as seen from one end. */
export const MEDIADIRECTION = Object.freeze({
  SENDONLY: "SENDONLY",
  RECVONLY: "RECVONLY",
  SENDRECV: "SENDRECV",
  NONE: "NONE",
});

/** What a call tells of its streams. */
export const MEDIASTREAMEVENT = Object.freeze({
  LOCAL_STREAM_ADDED: "LOCAL_STREAM_ADDED",
  LOCAL_STREAM_REMOVED: "LOCAL_STREAM_REMOVED",
  LOCAL_STREAM_ERROR: "LOCAL_STREAM_ERROR",
  REMOTE_STREAM_ADDED: "REMOTE_STREAM_ADDED",
  REMOTE_STREAM_REMOVED: "REMOTE_STREAM_REMOVED",
  REMOTE_STREAM_ERROR: "REMOTE_STREAM_ERROR",
});

/** What an {@link AuthHandler} is asked for. */
export const AUTHTYPE = Object.freeze({ SERVICE: "SERVICE", TURN: "TURN" });

/** Verbs of frames, `header.action`. */
export const ACTION = Object.freeze({
  CONNECT: "connect",
  START: "start",
  SHUTDOWN: "shutdown",
  REBIND: "rebind",
  COMPLETE: "complete",
  NOTIFY: "notify",
  TRICKLE: "trickle",
  PRACK: "prack",
  SEND: "send",
  ENQUIRY: "enquiry",
  ROSTER: "roster",
  REPORT: "report",
  COPY: "copy",
  HIBERNATE: "hibernate",
  ICE_ENQUIRY: "iceEnquiry",
});

/** Kinds of frames, `control.type`. */
export const MESSAGETYPE = Object.freeze({
  REQUEST: "request",
  RESPONSE: "response",
  MESSAGE: "message",
  ERROR: "error",
  ACK: "acknowledgement",
});

/** Whether a response ends its transaction, `control.message_state`. */
export const MESSAGESTATE = Object.freeze({
  INITIAL: "initial",
  SUBSEQUENT: "subsequent",
  FINAL: "final",
});

/** Where groups are made, wherever the network has that. */
export const FACTORY = "conference-factory";
