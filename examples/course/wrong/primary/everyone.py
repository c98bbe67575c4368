"""Every node serves for itself, so there are as many stores as nodes."""

import sys

sys.path.append(f"{sys.path[0]}/../../solutions")

from primary import Primary, run


class Everyone(Primary):
    def is_primary(self):
        return True


run(Everyone())
