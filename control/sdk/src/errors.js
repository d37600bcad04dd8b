//! Errors as the application sees them: a code and a reason.

/** Codes of {@link ErrorInfo}. Above 1000: local to the client, never on the wire. */
export const ERRORCODE = Object.freeze({
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  RESOURCE_UNAVAILABLE: 404,
  PROXYAUTH_REQUIRED: 407,
  TEMPORARILY_UNAVAILABLE: 480,
  BUSY_HERE: 486,
  REQUEST_TERMINATED: 487,
  SYSTEM_ERROR: 500,
  BUSY_EVERYWHERE: 600,
  DECLINED: 603,
  WEBSOCKET_ERROR: 1001,
  PEERCONNECTION_ERROR: 1101,
  MEDIA_ERROR: 1201,
  RESTORE_FAILED: 1301,
  SAVE_FAILED: 1302,
});

/** Why something failed. */
export class ErrorInfo {
  /**
   * @param {number} code one of {@link ERRORCODE}, or another SIP-like code
   * @param {string} [reason] for people
   */
  constructor(code, reason = "") {
    /** One of {@link ERRORCODE}, or another SIP-like code. */
    this.code = code;
    /** In words. */
    this.reason = reason;
  }
}
