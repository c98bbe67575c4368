// The two engines behind one function: a server on this machine, or WebAssembly in a worker of this tab.

/** Asks the server that served the page. */
export function native() {
  const asking = new Set();
  return {
    async ask(question) {
      const cancel = new AbortController();
      asking.add(cancel);
      try {
        const headers = { "content-type": "application/json" };
        const body = JSON.stringify(question);
        return await (await fetch("ask", { method: "POST", headers, body, signal: cancel.signal })).json();
      } finally {
        asking.delete(cancel);
      }
    },
    stop: () => asking.forEach((cancel) => cancel.abort()),
  };
}

/** Asks a worker, one question after the other; a worker that is stopped in the middle is replaced by a fresh one. */
export function wasm(start = () => new Worker("worker.mjs", { type: "module" })) {
  let worker;
  let waiting = [];
  const end = (error) => {
    worker?.terminate();
    worker = undefined;
    const left = waiting;
    waiting = [];
    left.forEach(({ reject }) => reject(error));
  };
  const begin = () => {
    worker = start();
    // It answers in the order of the questions.
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = waiting.shift();
      if (data.error) reject(new Error(data.error));
      else resolve(JSON.parse(data.answer));
    };
    worker.onerror = (event) => end(new Error(event.message || "the engine could not be started"));
  };
  return {
    ask(question) {
      if (!worker) begin();
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        worker.postMessage(JSON.stringify(question));
      });
    },
    stop: () => end(new DOMException("stopped", "AbortError")),
  };
}
