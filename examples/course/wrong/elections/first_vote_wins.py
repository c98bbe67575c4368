"""A candidate leads as soon as anybody else votes for it, without counting: of five nodes, two pairs would do."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import Elections, node, run


class Hasty(Elections):
    def majority(self):
        return 1

    def campaign(self):
        super().campaign()
        # Nobody has objected: that is taken for consent.
        node.after(node.timing["heartbeat_ms"], "lead", self.lead)

    def lead(self):
        if self.role == "candidate":
            self.on_request_vote_reply(node.id, {"term": self.term, "granted": True})


run(Hasty())
