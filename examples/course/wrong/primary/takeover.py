"""A backup that has heard nothing for a while takes itself for the primary. So do all that are cut off from it."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from primary import Primary, node, run
from store import Store


class Takeover(Primary):
    acting = None

    def start(self):
        self.acting = node.id == node.ids[0]
        node.role("primary" if self.acting else "backup")
        self.tell() if self.acting else self.wait()

    def is_primary(self):
        return self.acting

    def tell(self):
        node.broadcast(type="replicate", kv=self.store.kv, sessions=self.store.sessions)
        node.after(node.timing["heartbeat_ms"], "tell", self.tell)

    def wait(self):
        node.after(node.timing["election_min_ms"] * (1 + node.ids.index(node.id)), "wait", self.take_over)

    def take_over(self):
        self.acting = True
        node.role("primary")
        self.tell()

    def on_replicate(self, message):
        if not self.acting:
            self.store = Store(message["body"]["kv"], message["body"]["sessions"])
            self.wait()


server = Takeover()
node.on("replicate")(server.on_replicate)
run(server)
