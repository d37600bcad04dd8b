// A wire between a page and the servers that tests can cut.

import { createServer, connect } from 'node:net';

/** Between the page's WebSockets and the servers: a wire that can be cut. */
export class Wire {
  /** @type {Map<import('node:net').Socket, { port: number, far: import('node:net').Socket }>} */
  #open = new Map();
  #server = createServer((near) => this.#accept(near));
  /** Whether nobody gets through. */
  down = false;
  /** Octets that have gone over connections of which `counts` wants to know, either way. */
  #octets = 0;
  /** What happens once so many have: in order. @type {{ octets: number, act: () => void }[]} */
  #events = [];
  /** @param {number} _port */
  counts = (_port) => false;

  async listen() {
    await new Promise((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    return this.#server.address().port;
  }

  close() {
    this.cut(() => true);
    this.#server.close();
  }

  /** Cuts the connections to ports that `which` wants cut. @returns {number} how many there were */
  cut(which) {
    const cut = [...this.#open].filter(([, { port }]) => which(port));
    for (const [near, { far }] of cut) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    return cut.length;
  }

  /** Does these things, one at a time, once so many octets, counted from now, have gone over connections to ports that `counts` counts. */
  plan(events, counts) {
    this.#octets = 0;
    this.#events = events;
    this.counts = counts;
  }

  /** How many of those things are still to be done. */
  get planned() {
    return this.#events.length;
  }

  #count(octets) {
    this.#octets += octets;
    if (this.#events[0]?.octets <= this.#octets) this.#events.shift().act();
  }

  #accept(near) {
    near.on('error', () => {});
    if (this.down) {
      near.resetAndDestroy();
      return;
    }
    let head = '';
    const read = (bytes) => {
      head += bytes.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      near.off('data', read);
      const [, port, rest] = /^GET \/(\d+)(\/.*)$/s.exec(head);
      const far = connect(Number(port), '127.0.0.1');
      this.#open.set(near, { port: Number(port), far });
      far.on('error', () => {});
      far.on('close', () => near.destroy());
      near.on('close', () => {
        this.#open.delete(near);
        far.destroy();
      });
      far.write(`GET ${rest}`, 'latin1');
      for (const side of [near, far]) {
        side.on('data', (data) => {
          if (this.counts(Number(port))) this.#count(data.length);
        });
      }
      near.pipe(far);
      far.pipe(near);
    };
    near.on('data', read);
  }
}

/**
 * Cuts for {@link Wire.plan}: so many, by chance within so many octets, the same for a seed; `sides` take turns.
 * @param {number} seed
 * @param {(() => void)[]} sides
 */
export function cuts(count, octets, seed, sides) {
  let state = seed;
  const chance = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
  const places = Array.from({ length: count }, () => Math.trunc(chance() * octets)).sort((a, b) => a - b);
  return places.map((place, turn) => ({ octets: place, act: sides[turn % sides.length] }));
}

/** In the page: WebSockets go through the wire, which finds their port in front of their path. */
export function throughTheWire(wire) {
  const Real = window.WebSocket;
  window.WebSocket = class extends Real {
    constructor(url, protocols) {
      const { port, pathname, search } = new URL(url, location.href.replace('http', 'ws'));
      super(`ws://127.0.0.1:${wire}/${port}${pathname}${search}`, protocols);
    }
  };
}
