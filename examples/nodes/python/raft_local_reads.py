"""raft.py with a mistake that is often made: a leader answers reads from its own state, without asking a majority whether
it still leads. A deposed leader then answers with what has been overwritten elsewhere.

    schism nodes "python3 examples/nodes/python/raft_local_reads.py" --seeds 4 --html failure.html
"""

from raft import Raft, node


def read_locally(raft, message):
    if raft.role != "leader":
        return raft.refuse(message)
    node.reply(message, type="read_ok", value=raft.kv.get(str(message["body"]["key"])))


Raft.on_read = read_locally
node.run()
