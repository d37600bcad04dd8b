//! Calls the application's callbacks, and keeps them out of the library's own steps.
//!
//! A callback is a property that is looked up when its event comes. What it throws is logged and
//! goes no further. Events queue up: those that a socket or a timer causes are delivered at the end
//! of that turn, those that the application's own call causes in the next task, so that callbacks
//! may be assigned after that call. Order is kept, and no callback ever runs inside a library step.

import { environment } from "./environment.js";
import { log } from "./log.js";

/** @type {(() => void)[]} */
const waiting = [];
let scheduled = false;
/** Whether somebody will deliver what waits without being told. */
let attended = false;

/**
 * Calls `target[name](...args)` soon.
 * @param {object} target
 * @param {string} name
 * @param {...any} args
 */
export function fire(target, name, ...args) {
  later(() => {
    const callback = /** @type {any} */ (target)[name];
    if (typeof callback === "function") guarded(name, () => callback.apply(target, args));
  });
}

/**
 * Calls the first of these callbacks that is set: pages in use know some under several names.
 * @param {object} target
 * @param {string[]} names
 * @param {...any} args
 */
export function fireFirst(target, names, ...args) {
  later(() => {
    const known = /** @type {any} */ (target);
    const name = names.find((one) => typeof known[one] === "function");
    if (name) guarded(name, () => known[name].apply(target, args));
  });
}

/**
 * Runs `work` soon, in order with the events.
 * @param {() => void} work
 */
export function later(work) {
  waiting.push(work);
  if (!attended) schedule();
}

/**
 * Runs a step that a socket or a timer asks for, then delivers its events.
 * @param {() => void} step
 */
export function turn(step) {
  if (attended) {
    step();
    return;
  }
  attended = true;
  guarded("a step", step);
  // What callbacks cause in their turn waits for the next task.
  for (const work of waiting.splice(0)) guarded("an event", work);
  attended = false;
  if (waiting.length > 0) schedule();
}

/**
 * @param {() => void} step run as a {@link turn}
 * @param {number} ms
 * @returns {any} what {@link stopTimer} takes
 */
export function startTimer(step, ms) {
  return environment.startTimer(() => turn(step), ms);
}

/** @param {any} timer */
export function stopTimer(timer) {
  environment.stopTimer(timer);
}

/**
 * Runs `work`, logs what it throws.
 * @template T
 * @param {string} what it is, for the log
 * @param {() => T} work
 * @returns {T | undefined}
 */
export function guarded(what, work) {
  try {
    return work();
  } catch (error) {
    log("error", `${what} threw`, error);
    return undefined;
  }
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  environment.startTimer(() => {
    scheduled = false;
    turn(() => {});
  }, 0);
}
