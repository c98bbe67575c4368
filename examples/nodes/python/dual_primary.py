"""What a well-meaning team builds without consensus: two primaries, each for its own clients, that tell each other.

The lower half of the nodes sends its clients to n1, the upper half to the last node. Each of the two answers at once and
replicates afterwards; of two values of a key, the one with the higher version wins. `schism nodes` shows what that loses:

    schism nodes "python3 examples/nodes/python/dual_primary.py" --scenario split-brain --seeds 5
"""

from node import Error, Node

node = Node()
kv = {}  # key -> [value, version]
version = 0


@node.on_init
def start():
    for key, value in node.disk.items():
        kv[key] = value
    primaries = [node.ids[0], node.ids[-1]]
    is_primary = node.id in primaries
    node.role("primary" if is_primary else "backup", 0)
    if is_primary:
        gossip()


def home():
    half = node.ids.index(node.id) < (len(node.ids) + 1) // 2
    return node.ids[0] if half else node.ids[-1]


def gossip():
    node.broadcast(type="replicate", kv=kv)
    node.after(node.timing["heartbeat_ms"], "gossip", gossip)


@node.on("replicate")
def replicate(message):
    for key, (value, at) in message["body"]["kv"].items():
        # The last writer wins.
        if at > kv.get(key, [None, [0, ""]])[1]:
            put(key, value, at)
    node.sync()


def put(key, value, at):
    global version
    version = max(version, at[0])
    kv[key] = [value, at]
    node.save(key, kv[key])


def serve(message, act):
    if node.id != home():
        raise Error(Error.TEMPORARILY_UNAVAILABLE, "not a primary", leader=home())
    act(str(message["body"]["key"]), message["body"])


def current(key):
    return kv.get(key, [None])[0]


@node.on("read")
def read(message):
    serve(message, lambda key, body: node.reply(message, type="read_ok", value=current(key)))


@node.on("write")
def write(message):
    def act(key, body):
        put(key, body["value"], [version + 1, node.id])
        node.sync()
        node.reply(message, type="write_ok")
        node.broadcast(type="replicate", kv={key: kv[key]})

    serve(message, act)


@node.on("cas")
def cas(message):
    def act(key, body):
        found = current(key)
        if found != body["from"]:
            raise Error(Error.PRECONDITION_FAILED, f"found {found}", found=found)
        put(key, body["to"], [version + 1, node.id])
        node.sync()
        node.reply(message, type="cas_ok")
        node.broadcast(type="replicate", kv={key: kv[key]})

    serve(message, act)


node.run()
