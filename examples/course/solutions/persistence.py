"""Step 4: what was promised survives a kill and a loss of power (Raft paper, figure 2: persistent state)."""

from elections import node, run
from log import Log


class Persistent(Log):
    def start(self):
        vote = node.disk.get("vote", {"term": 0, "for": None})
        self.term, self.voted_for = vote["term"], vote["for"]
        self.load()
        super().start()

    def load(self):
        while f"log/{self.last() + 1}" in node.disk:
            self.log.append(node.disk[f"log/{self.last() + 1}"])

    def save_vote(self):
        node.save("vote", {"term": self.term, "for": self.voted_for})
        node.sync()

    def save_entry(self, index, entry):
        self.is_unsynced = True
        node.save(f"log/{index}", entry)

    is_unsynced = False

    def sync(self):
        if self.is_unsynced:
            self.is_unsynced = False
            node.sync()


if __name__ == "__main__":
    run(Persistent())
