"""Only the vote is saved: a majority that starts again has nothing."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import run
from persistence import Persistent


class VoteOnly(Persistent):
    def save_entry(self, index, entry):
        pass


run(VoteOnly())
