"""There are no elections: the first node leads, whether it can be reached or not."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import Elections, node, run


class Appointed(Elections):
    def start(self):
        self.term, self.leader = 1, node.ids[0]
        self.role = "leader" if node.id == self.leader else "follower"
        node.role(self.role, self.term)


run(Appointed())
