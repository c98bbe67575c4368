// A register for each key on the first node, which writes everything to its disk; the others send clients there. It is
// linearizable, and not available without that node.
//
//   schism nodes "node examples/nodes/javascript/register.mjs" --scenario split-brain --seeds 5

import { Node, NodeError } from "./node.mjs";

const node = new Node();
const isFirst = () => node.id === node.ids[0];

function first(handler) {
  return (message) => {
    if (!isFirst()) throw new NodeError(NodeError.TEMPORARILY_UNAVAILABLE, "not the first node", { leader: node.ids[0] });
    handler(message, String(message.body.key), message.body);
  };
}

// A message may come twice. `op` is the same in every copy: what is done is done once.
function once(handler) {
  return first((message, key, body) => {
    const done = node.disk[`done/${message.src}`] ?? [-1, null];
    if (body.op < done[0]) return;
    if (body.op > done[0]) {
      done.splice(0, 2, body.op, handler(key, body));
      put(`done/${message.src}`, done);
      node.sync();
    }
    node.reply(message, done[1]);
  });
}

function put(key, value) {
  if (value === null) delete node.disk[key];
  else node.disk[key] = value;
  node.save(key, value);
}

node.onInit(() => node.role(isFirst() ? "primary" : "backup"));

node.on("read", first((message, key) => node.reply(message, { type: "read_ok", value: node.disk[key] ?? null })));

node.on("write", once((key, body) => {
  put(key, body.value);
  return { type: "write_ok" };
}));

node.on("cas", once((key, body) => {
  const found = node.disk[key] ?? null;
  if (found !== body.from) return new NodeError(NodeError.PRECONDITION_FAILED, `found ${found}`, { found }).body;
  put(key, body.to);
  return { type: "cas_ok" };
}));

node.run();
