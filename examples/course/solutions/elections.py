"""Step 2: leaders are elected by a majority, one in each term (Raft paper, 5.2). A leader says so to whom asks."""

from node import Error, Node

node = Node()


class Elections:
    def __init__(self):
        self.term, self.voted_for = 0, None
        self.role, self.leader, self.votes = "follower", None, set()

    def start(self):
        node.role(self.role, self.term)
        self.wait_for_leader()

    def majority(self):
        return len(node.ids) // 2 + 1

    # What later steps fill in.

    def save_vote(self):
        """Called before anybody is told what the term or the vote is now."""

    def position(self):
        """The term and the index of the log's last entry: who votes for whom depends on it (5.4.1)."""
        return [0, 0]

    def led(self):
        """Called when this node has won."""
        self.heartbeat()

    def deposed(self):
        """Called when it leads no more."""

    def heartbeat(self):
        node.broadcast(type="heartbeat", term=self.term)
        node.after(node.timing["heartbeat_ms"], "heartbeat", self.heartbeat)

    # Candidates.

    def wait_for_leader(self):
        low, high = node.timing["election_min_ms"], node.timing["election_max_ms"]
        node.after(node.random.uniform(low, high), "election", self.campaign)

    def campaign(self):
        self.term, self.voted_for = self.term + 1, node.id
        self.leader, self.votes = None, {node.id}
        self.become("candidate")
        self.save_vote()
        self.wait_for_leader()
        node.broadcast(type="request_vote", term=self.term, position=self.position())

    def on_request_vote_reply(self, src, body):
        self.see(body["term"])
        if self.role == "candidate" and body["term"] == self.term and body["granted"]:
            self.votes.add(src)
            if len(self.votes) >= self.majority():
                self.leader = node.id
                self.become("leader")
                node.stop("election")
                self.led()

    # Everybody.

    def become(self, role):
        if self.role == "leader" and role != "leader":
            node.stop("heartbeat")
            self.deposed()
        self.role = role
        node.role(role, self.term)

    def see(self, term):
        """A term that somebody speaks of: a later one ends what this node was in its own."""
        if term > self.term:
            self.term, self.voted_for, self.leader = term, None, None
            self.save_vote()
            if self.role == "leader":
                self.wait_for_leader()
            self.become("follower")

    def grants(self, src, body):
        is_current = body["position"] >= self.position()
        return body["term"] == self.term and self.voted_for in (None, src) and is_current

    def on_request_vote(self, src, body):
        self.see(body["term"])
        granted = self.grants(src, body)
        if granted:
            self.voted_for = src
            self.save_vote()
            self.wait_for_leader()
        node.send(src, type="request_vote_reply", term=self.term, granted=granted)

    def follows(self, src, term):
        """Whether this comes from the leader of this term, or of a later one."""
        self.see(term)
        if term < self.term:
            return False
        if self.role != "follower":
            self.become("follower")
        self.leader = src
        self.wait_for_leader()
        return True

    def on_heartbeat(self, src, body):
        if not self.follows(src, body["term"]):
            node.send(src, type="heartbeat_reply", term=self.term)

    def on_heartbeat_reply(self, src, body):
        self.see(body["term"])

    # Clients.

    def refuse(self, message):
        hint = {"leader": self.leader} if self.leader not in (None, node.id) else {}
        node.reply(message, **Error(Error.TEMPORARILY_UNAVAILABLE, "not the leader", **hint).body)

    def serve(self, message):
        if self.role == "leader":
            node.reply(message, type="leader_ok", term=self.term)
        else:
            self.refuse(message)


def run(server):
    node.on_init(server.start)
    for name in dir(server):
        if name.startswith("on_"):
            handler = getattr(server, name)
            node.on(name[len("on_") :])(lambda message, handler=handler: handler(message["src"], message["body"]))
    for kind in ("leader", "read", "write", "cas"):
        node.on(kind)(server.serve)
    node.run()


if __name__ == "__main__":
    run(Elections())
