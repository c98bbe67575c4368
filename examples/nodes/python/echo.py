"""The smallest node: it answers every `echo`."""

from node import Node

node = Node()


@node.on("echo")
def echo(message):
    node.reply(message, type="echo_ok", echo=message["body"]["echo"])


node.run()
