"""transactions.py with a shortcut that is often taken: whoever is asked only to read answers from its own state, which may
lag behind the leader's. Each such transaction still sees one state that all keys had at once, but an old one: that is
serializable, and not strictly so.

    schism nodes "python3 examples/nodes/python/transactions_local_reads.py" --service txn-list-append --seeds 4 --html failure.html
"""

from transactions import Raft, node, on_txn, run


def on_txn_or_read(raft, message):
    steps = message["body"]["txn"]
    if all(kind == "r" for kind, _, _ in steps):
        node.reply(message, **run(raft.kv, steps))
    else:
        on_txn(raft, message)


Raft.on_txn = on_txn_or_read
node.run()
