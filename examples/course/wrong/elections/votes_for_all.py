"""A node votes for whoever asks, also for two in one term."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import Elections, run


class Generous(Elections):
    def grants(self, src, body):
        return body["term"] == self.term


run(Generous())
