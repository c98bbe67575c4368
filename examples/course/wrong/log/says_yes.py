"""A follower confirms entries that it could not take, because the one before them is missing (5.3)."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import node, run
from log import Log


class Agreeable(Log):
    def on_append_entries(self, src, body):
        if body["term"] >= self.term and not self.fits(body["before"], body["before_term"]):
            self.follows(src, body["term"])
            has = body["before"] + len(body["entries"])
            return node.send(src, type="append_entries_reply", term=self.term, has=has, lacks=0)
        super().on_append_entries(src, body)


run(Agreeable())
