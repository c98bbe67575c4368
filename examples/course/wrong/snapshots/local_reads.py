"""The leader answers reads from its own store, without asking whether it still leads."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import node, run
from snapshots import Snapshots


class Local(Snapshots):
    def serve(self, message):
        if self.role == "leader" and message["body"]["type"] == "read":
            return node.reply(message, **self.store.read(str(message["body"]["key"])))
        super().serve(message)


run(Local())
