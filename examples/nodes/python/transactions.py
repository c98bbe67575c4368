"""Transactions on lists (`txn-list-append`), replicated by raft.py: a whole transaction is one entry of the log, and takes
effect when that is applied. So transactions happen one after the other, in the order of the log: strict serializability.

    schism nodes "python3 examples/nodes/python/transactions.py" --service txn-list-append --seeds 20
"""

from raft import Raft, node, raft


def run(lists, steps):
    """Carries out the steps, and answers them with what was read."""
    answered = []
    for kind, key, value in steps:
        if kind == "r":
            value = list(lists.get(str(key), []))
        else:
            lists.setdefault(str(key), []).append(value)
        answered.append([kind, key, value])
    return {"type": "txn_ok", "txn": answered}


def on_txn(raft, message):
    # raft.py has one key for a command, and a transaction has several.
    body = {**message["body"], "key": None}
    raft.on_write({**message, "body": body}, "txn", [body["txn"]])


Raft.on_txn = on_txn
Raft.write = lambda raft, kind, key, values: run(raft.kv, values[0])
node.on("txn")(lambda message: raft.on_txn(message))

if __name__ == "__main__":
    node.run()
