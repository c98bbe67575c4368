"""Raft in one file: elections, a log, persistence, snapshots, and linearizable reads (ReadIndex).

    schism nodes "python3 examples/nodes/python/raft.py" --scenario chaos --seeds 20

The figures and sections are those of Ongaro's paper "In Search of an Understandable Consensus Algorithm (Extended
Version)" and of his dissertation. A client's operation carries `op`, the same in every copy and attempt of it: that is
what makes it take effect once.
"""

from node import Error, Node

SNAPSHOT_AFTER = 500  # entries

node = Node()


class Raft:
    def __init__(self):
        # Figure 2, persistent. Entry i of the log is self.log[i - self.base - 1].
        self.term, self.voted_for = 0, None
        self.base, self.base_term, self.log = 0, 0, []
        # The state machine, as of entry `applied`.
        self.kv, self.sessions = {}, {}
        # Volatile.
        self.role, self.leader, self.votes = "follower", None, set()
        self.commit = self.applied = 0
        self.synced = 0  # how far this node's own log is durable
        self.next, self.match, self.waiting = {}, {}, {}
        # ReadIndex (dissertation, 6.4): a read waits for a round of messages that began after it.
        self.round, self.heard, self.reads, self.term_start = 0, {}, [], 0
        self.is_flushing = False

    # The disk. A write that is lost takes all later ones with it, so every prefix of what is saved must be sound.

    def load(self, disk):
        vote = disk.get("vote", {"term": 0, "for": None})
        self.term, self.voted_for = vote["term"], vote["for"]
        snapshot = disk.get("snapshot")
        if snapshot:
            self.restore(snapshot)
        while f"log/{self.last + 1}" in disk:
            self.log.append(disk[f"log/{self.last + 1}"])
        self.synced = self.last
        node.role("follower", self.term)
        self.wait_for_leader()

    def restore(self, snapshot):
        self.base, self.base_term = snapshot["index"], snapshot["term"]
        self.kv, self.sessions = dict(snapshot["kv"]), dict(snapshot["sessions"])
        self.commit = self.applied = self.base

    def save_vote(self):
        node.save("vote", {"term": self.term, "for": self.voted_for})
        node.sync()

    def append(self, entry):
        self.log.append(entry)
        node.save(f"log/{self.last}", entry)

    def truncate(self, first):
        for index in range(self.last, first - 1, -1):
            node.save(f"log/{index}", None)
        del self.log[first - self.base - 1 :]
        self.synced = min(self.synced, self.last)

    def save_snapshot(self, snapshot):
        node.save("snapshot", snapshot)
        for index in range(self.base + 1, min(snapshot["index"], self.last) + 1):
            node.save(f"log/{index}", None)

    # The log.

    @property
    def last(self):
        return self.base + len(self.log)

    def term_at(self, index):
        """None: it is in no log here, or only in the snapshot."""
        if index == self.base:
            return self.base_term
        at = index - self.base - 1
        return self.log[at][0] if 0 <= at < len(self.log) else None

    @property
    def majority(self):
        return len(node.ids) // 2 + 1

    # Elections (5.2).

    def wait_for_leader(self):
        low, high = node.timing["election_min_ms"], node.timing["election_max_ms"]
        node.after(node.random.uniform(low, high), "election", self.campaign)

    def campaign(self):
        self.term, self.voted_for = self.term + 1, node.id
        self.become("candidate")
        self.leader, self.votes = None, {node.id}
        self.save_vote()
        self.wait_for_leader()
        node.broadcast(
            type="request_vote", term=self.term, last_index=self.last, last_term=self.term_at(self.last)
        )
        if self.majority == 1:
            self.lead()

    def become(self, role):
        if role != "leader":
            node.stop("heartbeat")
            # What waits for an entry may yet be committed by another leader: no answer is the right one. A read may
            # be asked again.
            for message, _, _ in self.reads:
                self.refuse(message)
            self.reads, self.waiting = [], {}
        self.role = role
        node.role(role, self.term)

    def step_down(self, term):
        self.term, self.voted_for = term, None
        self.save_vote()
        self.leader = None
        if self.role == "follower":
            node.role("follower", term)
        else:
            self.become("follower")
            self.wait_for_leader()

    def on_request_vote(self, src, body):
        if body["term"] > self.term:
            self.step_down(body["term"])
        # 5.4.1: only a log that is at least as up to date.
        is_current = (body["last_term"], body["last_index"]) >= (self.term_at(self.last), self.last)
        granted = body["term"] == self.term and self.voted_for in (None, src) and is_current
        if granted:
            if self.voted_for is None:
                self.voted_for = src
                self.save_vote()
            self.wait_for_leader()
        node.send(src, type="request_vote_reply", term=self.term, granted=granted)

    def on_request_vote_reply(self, src, body):
        if body["term"] > self.term:
            self.step_down(body["term"])
        elif body["term"] == self.term and self.role == "candidate" and body["granted"]:
            self.votes.add(src)
            if len(self.votes) >= self.majority:
                self.lead()

    def lead(self):
        node.stop("election")
        self.become("leader")
        self.leader = node.id
        self.next = {peer: self.last + 1 for peer in node.peers}
        self.match = {peer: 0 for peer in node.peers}
        self.round, self.heard = 0, {peer: 0 for peer in node.peers}
        # 5.4.2 and 8: what earlier terms left is committed with an entry of this one.
        self.append([self.term, None])
        self.term_start = self.last
        self.flush()

    # Replication (5.3).

    def heartbeat(self):
        self.flush()

    def soon(self):
        """Several operations of one instant go out together."""
        if not self.is_flushing:
            self.is_flushing = True
            node.after(0, "flush", self.flush)

    def flush(self):
        self.is_flushing = False
        if self.role != "leader":
            return
        if self.synced < self.last:
            node.sync()
            self.synced = self.last
        self.round += 1
        for peer in node.peers:
            self.replicate(peer)
        node.after(node.timing["heartbeat_ms"], "heartbeat", self.heartbeat)
        self.advance()

    def replicate(self, peer):
        first = self.next[peer]
        if first <= self.base:
            snapshot = snapshot_of(self)
            node.send(peer, type="install_snapshot", term=self.term, round=self.round, snapshot=snapshot)
            self.next[peer] = self.applied + 1
            return
        entries = self.log[first - self.base - 1 :]
        # Sent on without waiting: if it is lost, the next one does not fit, and the peer says what it lacks.
        self.next[peer] = self.last + 1
        node.send(
            peer, type="append_entries", term=self.term, round=self.round, prev_index=first - 1,
            prev_term=self.term_at(first - 1), entries=entries, commit=self.commit,
        )

    def follow(self, src, term):
        if term > self.term:
            self.step_down(term)
        if self.role != "follower":
            self.become("follower")
        self.leader = src
        self.wait_for_leader()

    def on_append_entries(self, src, body):
        if body["term"] < self.term:
            return node.send(src, type="append_entries_reply", term=self.term, ok=False, round=0, hint=0)
        self.follow(src, body["term"])
        prev, entries = body["prev_index"], body["entries"]
        match = prev + len(entries)
        if prev < self.base:
            # The snapshot has the rest, which is committed.
            entries, prev = entries[self.base - prev :], self.base
        elif self.term_at(prev) != body["prev_term"]:
            hint = min(self.last + 1, max(prev, self.commit + 1))
            while hint > self.commit + 1 and prev <= self.last and self.term_at(hint - 1) == self.term_at(prev):
                hint -= 1
            reply = {"ok": False, "round": body["round"], "hint": hint}
            return node.send(src, type="append_entries_reply", term=self.term, **reply)
        for index, entry in enumerate(entries, prev + 1):
            if index <= self.last and self.term_at(index) == entry[0]:
                continue
            if index <= self.last:
                self.truncate(index)
            self.append(entry)
        if self.synced < self.last:
            node.sync()
            self.synced = self.last
        self.commit = max(self.commit, min(body["commit"], match))
        self.apply()
        node.send(
            src, type="append_entries_reply", term=self.term, ok=True, round=body["round"], match=match
        )

    def on_append_entries_reply(self, src, body):
        if body["term"] > self.term:
            return self.step_down(body["term"])
        if body["term"] < self.term or self.role != "leader":
            return
        self.heard[src] = max(self.heard[src], body["round"])
        if body["ok"]:
            self.match[src] = max(self.match[src], body["match"])
            self.next[src] = max(self.next[src], self.match[src] + 1)
        elif self.match[src] < body["hint"] < self.next[src]:
            self.next[src] = body["hint"]
            self.replicate(src)
        self.advance()

    def on_install_snapshot(self, src, body):
        snapshot = body["snapshot"]
        if body["term"] < self.term:
            return node.send(src, type="append_entries_reply", term=self.term, ok=False, round=0, hint=0)
        self.follow(src, body["term"])
        if snapshot["index"] > self.commit:
            # Section 7: what follows an entry that the snapshot contradicts goes, before the snapshot is there.
            if self.term_at(snapshot["index"]) != snapshot["term"]:
                self.truncate(snapshot["index"] + 1)
            kept = self.log[snapshot["index"] - self.base :]
            self.save_snapshot(snapshot)
            node.sync()
            self.log = kept
            self.restore(snapshot)
            self.synced = self.last
        node.send(
            src, type="append_entries_reply", term=self.term, ok=True, round=body["round"], match=snapshot["index"]
        )

    def advance(self):
        """Figure 2, last rule of leaders."""
        known = sorted([self.synced, *self.match.values()], reverse=True)
        index = known[self.majority - 1]
        if index > self.commit and self.term_at(index) == self.term:
            self.commit = index
            self.apply()
        self.answer_reads()

    # The state machine.

    def apply(self):
        while self.applied < self.commit:
            self.applied += 1
            command = self.log[self.applied - self.base - 1][1]
            result = self.execute(command) if command else None
            message = self.waiting.pop(self.applied, None)
            if message and result:
                node.reply(message, **result)
        if self.applied - self.base >= SNAPSHOT_AFTER:
            snapshot = snapshot_of(self)
            self.save_snapshot(snapshot)
            node.sync()
            del self.log[: self.applied - self.base]
            self.base, self.base_term = snapshot["index"], snapshot["term"]

    def execute(self, command):
        """Carries out a command once, however often it is in the log (dissertation, 6.3)."""
        client, op, kind, key, *values = command
        last, result = self.sessions.get(client, (-1, None))
        if op < last:
            return None
        if op > last:
            result = self.write(kind, key, values)
            self.sessions[client] = (op, result)
        return result

    def write(self, kind, key, values):
        found = self.kv.get(key)
        if kind == "cas" and found != values[0]:
            code = Error.KEY_DOES_NOT_EXIST if found is None else Error.PRECONDITION_FAILED
            return Error(code, f"found {found}", found=found).body
        if values[-1] is None:
            self.kv.pop(key, None)
        else:
            self.kv[key] = values[-1]
        return {"type": f"{kind}_ok"}

    # Clients.

    def refuse(self, message):
        hint = {"leader": self.leader} if self.leader and self.leader != node.id else {}
        node.reply(message, **Error(Error.TEMPORARILY_UNAVAILABLE, "not the leader", **hint).body)

    def on_write(self, message, kind, values):
        if self.role != "leader":
            return self.refuse(message)
        body = message["body"]
        self.append([self.term, [message["src"], body["op"], kind, str(body["key"]), *values]])
        self.waiting[self.last] = message
        self.soon()

    def on_read(self, message):
        # Until an entry of its own term is committed, a leader does not know what is.
        if self.role != "leader" or self.commit < self.term_start:
            return self.refuse(message)
        self.reads.append((message, self.commit, self.round + 1))
        self.soon()

    def answer_reads(self):
        heard = sorted([self.round, *self.heard.values()], reverse=True)[self.majority - 1]
        ready = [read for read in self.reads if read[2] <= heard and read[1] <= self.applied]
        if ready:
            self.reads = [read for read in self.reads if read not in ready]
            for message, _, _ in ready:
                node.reply(message, type="read_ok", value=self.kv.get(str(message["body"]["key"])))


def snapshot_of(raft):
    term = raft.term_at(raft.applied)
    return {"index": raft.applied, "term": term, "kv": raft.kv, "sessions": raft.sessions}


raft = Raft()


@node.on_init
def start():
    raft.load(node.disk)


for kind in ("request_vote", "request_vote_reply", "append_entries", "append_entries_reply", "install_snapshot"):
    handler = getattr(raft, f"on_{kind}")
    node.on(kind)(lambda message, handler=handler: handler(message["src"], message["body"]))


@node.on("read")
def read(message):
    raft.on_read(message)


@node.on("write")
def write(message):
    raft.on_write(message, "write", [message["body"]["value"]])


@node.on("cas")
def cas(message):
    raft.on_write(message, "cas", [message["body"]["from"], message["body"]["to"]])


if __name__ == "__main__":
    node.run()
