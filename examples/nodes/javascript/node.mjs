// A node in lockstep with schism's simulator: copy this file beside yours. docs/NODES.md has the protocol.
//
//   import { Node } from "./node.mjs";
//
//   const node = new Node();
//   node.on("echo", (message) => node.reply(message, { type: "echo_ok", echo: message.body.echo }));
//   node.run();
//
// Between two events a node does nothing: no promises that outlive a handler, no timers, clock or random numbers but
// those of the node.

import { readSync, writeSync } from "node:fs";

/** Thrown by a handler: the client gets it as its answer. The codes are Maelstrom's. */
export class NodeError extends Error {
  static NOT_SUPPORTED = 10;
  static TEMPORARILY_UNAVAILABLE = 11;
  static KEY_DOES_NOT_EXIST = 20;
  static PRECONDITION_FAILED = 22;
  static TXN_CONFLICT = 30;

  constructor(code, text = "", extra = {}) {
    super(text);
    this.body = { type: "error", code, text, ...extra };
  }
}

export class Node {
  id = null;
  /** All nodes, and all but this one. */
  ids = [];
  peers = [];
  /** What this node's clock reads, in milliseconds; it may be wrong. */
  now = 0;
  /** At the start: what was saved. */
  disk = {};
  /** heartbeat_ms, election_min_ms and election_max_ms of the scenario. */
  timing = {};
  #handlers = new Map();
  #timers = new Map();
  #init = () => {};
  #out = [];
  #random = 0n;

  /** Registers the handler of messages of a type. */
  on = (type, handler) => this.#handlers.set(type, handler);

  /** Registers what is called at the start, once `id`, `peers`, `disk` and `timing` are known. */
  onInit = (handler) => (this.#init = handler);

  send(dest, body) {
    this.#out.push(JSON.stringify({ dest, body }));
  }

  broadcast(body) {
    for (const peer of this.peers) this.send(peer, body);
  }

  reply(message, body) {
    this.send(message.src, { ...body, in_reply_to: message.body.msg_id });
  }

  /** Sets the timer of this name; it replaces one of the same name. */
  after(ms, timer, handler) {
    this.#timers.set(timer, handler);
    this.#out.push(JSON.stringify({ timer, after: ms }));
  }

  stop(timer) {
    if (this.#timers.delete(timer)) this.#out.push(JSON.stringify({ timer }));
  }

  /** Writes to the disk; `null` removes. Without `sync` a loss of power may undo it. */
  save(key, value) {
    this.#out.push(JSON.stringify({ save: key, value }));
  }

  /** Makes durable what was saved. What this event sends later leaves only after that. */
  sync() {
    this.#out.push('{"sync":true}');
  }

  /** Tells the page and the faults what this node is: "leader", "candidate", "follower" or a word of yours. */
  role(role, term = 0) {
    this.#out.push(JSON.stringify({ role, term }));
  }

  log(...words) {
    this.#out.push(JSON.stringify({ log: words.map(String).join(" ") }));
  }

  /** A random number from 0 to below 1, from the event (SplitMix64). */
  random() {
    this.#random = BigInt.asUintN(64, this.#random + 0x9e3779b97f4a7c15n);
    let z = this.#random;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
  }

  run() {
    const chunk = Buffer.alloc(1 << 16);
    let rest = Buffer.alloc(0);
    for (;;) {
      const end = rest.indexOf(10);
      if (end < 0) {
        const length = readSync(0, chunk);
        if (length === 0) return;
        rest = Buffer.concat([rest, chunk.subarray(0, length)]);
        continue;
      }
      this.#handle(JSON.parse(rest.subarray(0, end).toString()));
      rest = rest.subarray(end + 1);
      this.#out.push('{"done":true}\n');
      let out = Buffer.from(this.#out.join("\n"));
      this.#out = [];
      while (out.length) out = out.subarray(writeSync(1, out));
    }
  }

  #handle(event) {
    this.now = event.now_ms;
    this.#random = BigInt(event.random);
    if (event.event === "message") this.#message(event);
    else if (event.event === "timer") {
      const handler = this.#timers.get(event.timer);
      this.#timers.delete(event.timer);
      handler?.();
    } else if (event.event === "init") {
      ({ node_id: this.id, node_ids: this.ids } = event.body);
      this.peers = this.ids.filter((id) => id !== this.id);
      ({ disk: this.disk, timing: this.timing } = event);
      this.#init();
    }
  }

  #message(message) {
    const handler = this.#handlers.get(message.body.type);
    try {
      if (handler) handler(message);
      else if (message.body.in_reply_to === undefined) throw new NodeError(NodeError.NOT_SUPPORTED, `this node knows no ${message.body.type}`);
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      this.reply(message, error.body);
    }
  }
}
