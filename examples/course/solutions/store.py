"""The store itself, and what makes an operation take effect once, however many copies of it arrive."""

from node import Error


class Store:
    def __init__(self, kv=None, sessions=None):
        self.kv = dict(kv or {})
        self.sessions = dict(sessions or {})  # client -> [the number of its last operation, what it was answered]

    def execute(self, client, op, kind, key, *values):
        """The answer to an operation; None if its client has gone on to a later one."""
        last, answer = self.sessions.get(client, (-1, None))
        if op < last:
            return None
        if op > last:
            answer = self.change(kind, key, values)
            self.sessions[client] = [op, answer]
        return answer

    def change(self, kind, key, values):
        found = self.kv.get(key)
        if kind == "cas" and found != values[0]:
            code = Error.KEY_DOES_NOT_EXIST if found is None else Error.PRECONDITION_FAILED
            return Error(code, f"found {found}", found=found).body
        if values[-1] is None:
            self.kv.pop(key, None)
        else:
            self.kv[key] = values[-1]
        return {"type": f"{kind}_ok"}

    def read(self, key):
        return {"type": "read_ok", "value": self.kv.get(key)}


def command(message):
    """A request to change something, as `Store.execute` takes it."""
    body = message["body"]
    values = [body["value"]] if body["type"] == "write" else [body["from"], body["to"]]
    return [message["src"], body["op"], body["type"], str(body["key"]), *values]
