"""The leader answers once the operation is in its own log, before a majority has it."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import node, run
from log import Log
from store import Store


class Early(Log):
    def serve(self, message):
        super().serve(message)
        if self.waiting.pop(self.last(), None):
            ahead = Store(self.store.kv, self.store.sessions)
            for _, operation in self.log[self.applied :]:
                answer = self.carry_out_on(ahead, operation) if operation else None
            if answer:
                node.reply(message, **answer)

    def carry_out_on(self, store, operation):
        return store.read(operation[1]) if operation[0] == "read" else store.execute(*operation)


run(Early())
