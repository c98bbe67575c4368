"""Step 1: the first node serves everybody, and the others say so."""

from node import Error, Node
from store import Store, command

node = Node()


class Primary:
    def __init__(self):
        self.store = Store()

    def start(self):
        node.role("primary" if self.is_primary() else "backup")

    def is_primary(self):
        return node.id == node.ids[0]

    def serve(self, message):
        if not self.is_primary():
            raise Error(Error.TEMPORARILY_UNAVAILABLE, "not the primary", leader=node.ids[0])
        if message["body"]["type"] == "read":
            answer = self.store.read(str(message["body"]["key"]))
        else:
            answer = self.store.execute(*command(message))
        if answer:
            node.reply(message, **answer)


def run(server):
    node.on_init(server.start)
    for kind in ("read", "write", "cas"):
        node.on(kind)(server.serve)
    node.run()


if __name__ == "__main__":
    run(Primary())
