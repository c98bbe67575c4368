"""The log only ever grows, until the disk is full."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import run
from persistence import Persistent

run(Persistent())
