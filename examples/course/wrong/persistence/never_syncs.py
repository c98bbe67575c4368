"""What is saved is never synced, so that it survives a kill, but no loss of power."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from elections import node, run
from persistence import Persistent

node.sync = lambda: None
run(Persistent())
