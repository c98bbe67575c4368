"""Step 5: snapshots keep the log short (Raft paper, 7), and reads need no entry of their own (dissertation, 6.4)."""

from elections import node, run
from persistence import Persistent
from store import Store

SNAPSHOT_AFTER = 100  # entries


class Snapshots(Persistent):
    def __init__(self):
        super().__init__()
        # A read waits until a majority has answered a message that was sent after it came.
        self.round, self.heard, self.reads, self.first_of_term = 0, {}, [], 0

    # Snapshots.

    def load(self):
        if "snapshot" in node.disk:
            self.restore(node.disk["snapshot"])
        super().load()

    def snapshot(self):
        return {
            "index": self.applied, "term": self.term_at(self.applied),
            "kv": self.store.kv, "sessions": self.store.sessions,
        }

    def restore(self, snapshot):
        self.base, self.base_term = snapshot["index"], snapshot["term"]
        self.commit = self.applied = self.base
        self.store = Store(snapshot["kv"], snapshot["sessions"])

    def save_snapshot(self, snapshot):
        """In this order: if only the beginning of it survives, that is sound too."""
        node.save("snapshot", snapshot)
        for index in range(self.base + 1, min(snapshot["index"], self.last()) + 1):
            node.save(f"log/{index}", None)
        node.sync()

    def apply(self):
        super().apply()
        if self.applied - self.base >= SNAPSHOT_AFTER:
            snapshot = self.snapshot()
            self.save_snapshot(snapshot)
            del self.log[: self.applied - self.base]
            self.base, self.base_term = snapshot["index"], snapshot["term"]

    def replicate(self, peer):
        if self.next[peer] > self.base:
            return super().replicate(peer)
        node.send(peer, type="install_snapshot", term=self.term, snapshot=self.snapshot())
        self.next[peer] = self.applied + 1

    def on_install_snapshot(self, src, body):
        snapshot = body["snapshot"]
        if not self.follows(src, body["term"]):
            return node.send(src, type="append_entries_reply", term=self.term, has=None, lacks=0)
        if snapshot["index"] > self.commit:
            # What follows an entry that the snapshot contradicts goes before the snapshot is there.
            if self.term_at(snapshot["index"]) != snapshot["term"]:
                self.truncate(snapshot["index"] + 1)
            kept = self.log[snapshot["index"] - self.base :]
            self.save_snapshot(snapshot)
            self.log = kept
            self.restore(snapshot)
        node.send(src, type="append_entries_reply", term=self.term, has=snapshot["index"], lacks=0)

    # Reads.

    def led(self):
        self.round, self.heard = 0, {peer: 0 for peer in node.peers}
        self.first_of_term = self.last() + 1
        super().led()

    def deposed(self):
        super().deposed()
        for message, _, _ in self.reads:
            self.refuse(message)
        self.reads = []

    def heartbeat(self):
        super().heartbeat()
        if self.role == "leader":
            self.round += 1
            node.broadcast(type="still_leader", term=self.term, round=self.round)

    def on_still_leader(self, src, body):
        self.follows(src, body["term"])
        node.send(src, type="still_leader_reply", term=self.term, round=body["round"])

    def on_still_leader_reply(self, src, body):
        self.see(body["term"])
        if self.role == "leader" and body["term"] == self.term:
            self.heard[src] = max(self.heard[src], body["round"])
            self.answer_reads()

    def serve(self, message):
        if self.role == "leader" and message["body"]["type"] == "read":
            # Until an entry of its own term is committed, a leader does not know what is.
            if self.commit < self.first_of_term:
                return self.refuse(message)
            self.reads.append((message, self.commit, self.round + 1))
            return self.soon()
        super().serve(message)

    def answer_reads(self):
        heard = sorted([self.round, *self.heard.values()], reverse=True)[self.majority() - 1]
        ready = [read for read in self.reads if read[1] <= self.applied and read[2] <= heard]
        self.reads = [read for read in self.reads if read not in ready]
        for message, _, _ in ready:
            node.reply(message, **self.store.read(str(message["body"]["key"])))


if __name__ == "__main__":
    run(Snapshots())
