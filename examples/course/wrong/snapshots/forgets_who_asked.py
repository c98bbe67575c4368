"""The snapshot lacks what was answered to whom, so that a late copy is carried out again after it."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import run
from snapshots import Snapshots


class NoSessions(Snapshots):
    def snapshot(self):
        return {**super().snapshot(), "sessions": {}}

    def apply(self):
        base = self.base
        super().apply()
        if self.base > base:
            self.store.sessions = {}


run(NoSessions())
