"""Votes go by the term alone, so that a node may lead whose log lacks what is committed (5.4.1)."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import run
from log import Log


class AnyLog(Log):
    def grants(self, src, body):
        return super().grants(src, {**body, "position": self.position()})


run(AnyLog())
