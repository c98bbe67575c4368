"""A copy of a message is taken for another message, and carried out again."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from primary import Primary, run
from store import Store


class Forgetful(Store):
    def execute(self, client, op, *operation):
        self.sessions.clear()
        return super().execute(client, op, *operation)


server = Primary()
server.store = Forgetful()
run(server)
