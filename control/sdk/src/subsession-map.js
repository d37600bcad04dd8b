//! The `Map` of the API: older than the language's own, and with other names.

/**
 * Keys and values in the order they were put.
 * @template V
 */
export class WscMap {
  constructor() {
    /** The entries themselves. @type {Record<string, V>} */
    this.entry = Object.create(null);
  }

  /**
   * @param {string} key
   * @param {V} value
   */
  put(key, value) {
    this.entry[key] = value;
  }

  /**
   * @param {string} key
   * @returns {V | undefined}
   */
  get(key) {
    return this.entry[key];
  }

  /** @param {string} key */
  remove(key) {
    delete this.entry[key];
  }

  /** @returns {string[]} */
  keys() {
    return Object.keys(this.entry);
  }

  /** @returns {V[]} */
  values() {
    return Object.values(this.entry);
  }

  /** @returns {number} */
  size() {
    return Object.keys(this.entry).length;
  }
}
