//! Logging: a threshold and a console-like logger that the application may replace.

/** Thresholds for {@link setLogLevel}. */
export const LOGLEVEL = Object.freeze({ DEBUG: 2, INFO: 4, WARN: 6, ERROR: 8, OFF: 10 });

/**
 * What {@link setLogger} takes; `console` is one.
 * @typedef {{ [method in "debug"|"info"|"warn"|"error"|"log"]: (...what: any[]) => void }} Logger
 */

/** @type {Logger} */
let logger = console;
/** @type {number} */
let threshold = LOGLEVEL.WARN;

/**
 * Sets how much is logged; {@link LOGLEVEL}.WARN at first.
 * @param {number} level
 */
export function setLogLevel(level) {
  threshold = level;
}

/**
 * Replaces the logger, the console at first.
 * @param {Logger} replacement
 */
export function setLogger(replacement) {
  logger = replacement;
}

/** @returns {Logger} the logger in use */
export function getLogger() {
  return logger;
}

/**
 * Logs if the threshold allows. Contents of messages and secret paths are never given to it.
 * @param {"debug"|"info"|"warn"|"error"} method
 * @param {...any} what
 */
export function log(method, ...what) {
  const level = { debug: 2, info: 4, warn: 6, error: 8 }[method];
  if (level >= threshold) logger[method]("wsc:", ...what);
}
