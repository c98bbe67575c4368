"""transactions.py with a shortcut that is often taken: whoever is asked only to read answers from its own state, which may
lag behind the leader's. Each such transaction still sees one state that all keys had at once, but an old one: that is
serializable, and not strictly so.

    schism nodes "python3 examples/nodes/python/transactions_local_reads.py" --service txn-list-append --seeds 4 --html failure.html
"""

from transactions import node, raft, run, txn


def txn_or_read(message):
    steps = message["body"]["txn"]
    if any(kind != "r" for kind, _, _ in steps):
        return txn(message)
    node.reply(message, **run(raft.kv, steps))


node._handlers["txn"] = txn_or_read
node.run()
