"""Nothing is on the disk: a node that starts again has forgotten its vote and its log."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import run
from log import Log

run(Log())
