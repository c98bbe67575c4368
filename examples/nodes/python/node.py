"""A node in lockstep with schism's simulator: copy this file beside yours. docs/NODES.md has the protocol.

    from node import Node

    node = Node()

    @node.on("echo")
    def echo(message):
        node.reply(message, type="echo_ok", echo=message["body"]["echo"])

    node.run()

Between two events a node does nothing: no threads, no clock of its own, no random numbers but `node.random`.
"""

import json
import random
import sys


class Error(Exception):
    """Raised by a handler: the client gets it as its answer. The codes are Maelstrom's."""

    TIMEOUT, NOT_SUPPORTED, TEMPORARILY_UNAVAILABLE, MALFORMED_REQUEST = 0, 10, 11, 12
    CRASH, ABORT, KEY_DOES_NOT_EXIST, PRECONDITION_FAILED, TXN_CONFLICT = 13, 14, 20, 22, 30

    def __init__(self, code, text="", **extra):
        super().__init__(text)
        self.body = {"type": "error", "code": code, "text": text, **extra}


class Node:
    def __init__(self):
        self.id = None
        self.ids = []  # all nodes, this one included
        self.peers = []  # all others
        self.now = 0.0  # what this node's clock reads, in milliseconds; it may be wrong
        self.disk = {}  # at the start: what was saved
        self.timing = {}  # heartbeat_ms, election_min_ms, election_max_ms of the scenario
        self.random = random.Random()
        self._handlers = {}
        self._timers = {}
        self._init = None
        self._out = []
        self._next_id = 0
        self._callbacks = {}

    # What a program registers.

    def on(self, kind):
        """Decorates the handler of messages of this type."""
        return lambda handler: self._handlers.setdefault(kind, handler)

    def on_init(self, handler):
        """Decorates what is called at the start, once `id`, `peers`, `disk` and `timing` are known."""
        self._init = handler
        return handler

    # What a node does.

    def send(self, dest, **body):
        self._out.append({"dest": dest, "body": body})

    def call(self, dest, callback, **body):
        """Sends a message whose answer, if one comes, is passed to `callback`."""
        self._next_id += 1
        self._callbacks[self._next_id] = callback
        self.send(dest, msg_id=self._next_id, **body)

    def broadcast(self, **body):
        for peer in self.peers:
            self.send(peer, **body)

    def reply(self, message, **body):
        self.send(message["src"], in_reply_to=message["body"].get("msg_id"), **body)

    def after(self, ms, name, handler):
        """Sets the timer of this name; it replaces one of the same name."""
        self._timers[name] = handler
        self._out.append({"timer": name, "after": ms})

    def stop(self, name):
        if self._timers.pop(name, None):
            self._out.append({"timer": name})

    def save(self, key, value):
        """Writes to the disk; `None` removes. Without `sync` a loss of power may undo it."""
        self._out.append({"save": key, "value": value})

    def sync(self):
        """Makes durable what was saved. What this event sends later leaves only after that."""
        self._out.append({"sync": True})

    def role(self, word, term=0):
        """Tells the page and the faults what this node is: "leader", "candidate", "follower" or a word of yours."""
        self._out.append({"role": word, "term": term})

    def log(self, *words):
        self._out.append({"log": " ".join(map(str, words))})

    # The loop.

    def run(self):
        write, flush, dumps = sys.stdout.write, sys.stdout.flush, json.JSONEncoder(separators=(",", ":")).encode
        for line in sys.stdin:
            self._handle(json.loads(line))
            out, self._out = self._out, []
            write("\n".join([dumps(action) for action in out] + ['{"done":true}\n']))
            flush()

    def _handle(self, event):
        self.now = event["now_ms"]
        self.random.seed(event["random"])
        kind = event["event"]
        if kind == "message":
            self._message(event)
        elif kind == "timer":
            handler = self._timers.pop(event["timer"], None)
            if handler:
                handler()
        elif kind == "init":
            body = event["body"]
            self.id, self.ids = body["node_id"], body["node_ids"]
            self.peers = [other for other in self.ids if other != self.id]
            self.disk, self.timing = event["disk"], event["timing"]
            if self._init:
                self._init()

    def _message(self, message):
        body = message["body"]
        callback = self._callbacks.pop(body.get("in_reply_to"), None)
        if callback:
            return callback(message)
        handler = self._handlers.get(body["type"])
        try:
            if handler:
                handler(message)
            elif "in_reply_to" not in body:
                raise Error(Error.NOT_SUPPORTED, f"this node knows no {body['type']}")
        except Error as error:
            self.reply(message, **error.body)
