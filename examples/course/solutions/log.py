"""Step 3: operations go into a log, which a majority has before anybody is answered (Raft paper, 5.3 and 5.4)."""

from elections import Elections, node, run
from store import Store, command


class Log(Elections):
    def __init__(self):
        super().__init__()
        # Entry i is log[i - base - 1]. Nothing is ever cut off at the front before step 5, so base is 0 until then.
        self.base, self.base_term, self.log = 0, 0, []
        self.store = Store()
        self.commit = self.applied = 0
        self.next, self.match, self.waiting = {}, {}, {}
        self.is_flushing = False

    # What later steps fill in.

    def save_entry(self, index, entry):
        """An entry was appended, or with None removed."""

    def sync(self):
        """Called before anybody is told that entries are in the log."""

    # The log.

    def last(self):
        return self.base + len(self.log)

    def term_at(self, index):
        """None: there is no such entry here, or it was cut off."""
        if index == self.base:
            return self.base_term
        at = index - self.base - 1
        return self.log[at][0] if 0 <= at < len(self.log) else None

    def position(self):
        return [self.term_at(self.last()), self.last()]

    def append(self, entry):
        self.log.append(entry)
        self.save_entry(self.last(), entry)

    def truncate(self, first):
        for index in range(self.last(), first - 1, -1):
            self.save_entry(index, None)
        del self.log[first - self.base - 1 :]

    # Leaders.

    def led(self):
        self.next = {peer: self.last() + 1 for peer in node.peers}
        self.match = {peer: 0 for peer in node.peers}
        # What earlier terms left is committed with an entry of this one (5.4.2).
        self.append([self.term, None])
        self.heartbeat()

    def deposed(self):
        # What waits may yet be committed by another leader: no answer is the right one.
        self.waiting = {}

    def soon(self):
        """Several operations of one instant go out together."""
        if not self.is_flushing:
            self.is_flushing = True
            node.after(0, "flush", self.heartbeat)

    def heartbeat(self):
        self.is_flushing = False
        if self.role != "leader":
            return
        self.sync()
        for peer in node.peers:
            self.replicate(peer)
        node.after(node.timing["heartbeat_ms"], "heartbeat", self.heartbeat)

    def replicate(self, peer):
        before = self.next[peer] - 1
        node.send(
            peer, type="append_entries", term=self.term, before=before, before_term=self.term_at(before),
            entries=self.log[before - self.base :], commit=self.commit,
        )
        # Sent on without waiting: if this is lost, the next does not fit, and the peer says what it lacks.
        self.next[peer] = self.last() + 1

    def on_append_entries_reply(self, src, body):
        self.see(body["term"])
        if self.role != "leader" or body["term"] != self.term:
            return
        if body["has"] is not None:
            self.match[src] = max(self.match[src], body["has"])
            self.next[src] = max(self.next[src], self.match[src] + 1)
            self.advance()
        elif self.match[src] < body["lacks"] < self.next[src]:
            self.next[src] = body["lacks"]
            self.replicate(src)

    def advance(self):
        """What a majority has is committed, if it is of this term (5.4.2)."""
        index = sorted([self.last(), *self.match.values()], reverse=True)[self.majority() - 1]
        if index > self.commit and self.term_at(index) == self.term:
            self.commit = index
            self.apply()

    # Followers.

    def on_append_entries(self, src, body):
        before, entries = body["before"], body["entries"]
        if not self.follows(src, body["term"]):
            return node.send(src, type="append_entries_reply", term=self.term, has=None, lacks=0)
        if not self.fits(before, body["before_term"]):
            return node.send(
                src, type="append_entries_reply", term=self.term, has=None, lacks=min(before, self.last() + 1)
            )
        for index, entry in enumerate(entries, before + 1):
            if index > self.base and self.term_at(index) != entry[0]:
                if index <= self.last():
                    self.truncate(index)
                self.append(entry)
        self.sync()
        has = before + len(entries)
        self.commit = max(self.commit, min(body["commit"], has))
        self.apply()
        node.send(src, type="append_entries_reply", term=self.term, has=has, lacks=0)

    def fits(self, before, term):
        # What was cut off is committed, and so the same everywhere.
        return before < self.base or self.term_at(before) == term

    # The store.

    def apply(self):
        while self.applied < self.commit:
            self.applied += 1
            operation = self.log[self.applied - self.base - 1][1]
            message = self.waiting.pop(self.applied, None)
            answer = self.carry_out(operation) if operation else None
            if message and answer:
                node.reply(message, **answer)

    def carry_out(self, operation):
        if operation[0] == "read":
            return self.store.read(operation[1])
        return self.store.execute(*operation)

    def serve(self, message):
        if self.role != "leader":
            return self.refuse(message)
        is_read = message["body"]["type"] == "read"
        operation = ["read", str(message["body"]["key"])] if is_read else command(message)
        self.append([self.term, operation])
        self.waiting[self.last()] = message
        self.soon()


if __name__ == "__main__":
    run(Log())
