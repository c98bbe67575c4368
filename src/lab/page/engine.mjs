// The two engines behind one function: a server on this machine, or WebAssembly in a worker of this tab.

/** Asks the server that served the page. */
export function native() {
  let asking;
  return {
    async ask(question) {
      asking = new AbortController();
      const body = JSON.stringify(question);
      const headers = { "content-type": "application/json" };
      const answer = await fetch("ask", { method: "POST", headers, body, signal: asking.signal });
      return answer.json();
    },
    stop: () => asking?.abort(),
  };
}

/** Asks a worker; a worker that is stopped in the middle of a run is replaced by a fresh one. */
export function wasm(start = () => new Worker("worker.mjs", { type: "module" })) {
  let worker;
  let waiting = null;
  const end = (error) => {
    worker?.terminate();
    worker = undefined;
    waiting?.reject(error);
    waiting = null;
  };
  const begin = () => {
    worker = start();
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = waiting ?? {};
      waiting = null;
      if (data.error) {
        reject?.(new Error(data.error));
      } else {
        resolve?.(JSON.parse(data.answer));
      }
    };
    worker.onerror = (event) => end(new Error(event.message || "the engine could not be started"));
  };
  return {
    ask(question) {
      if (waiting) return Promise.reject(new Error("the engine is busy"));
      if (!worker) begin();
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        worker.postMessage(JSON.stringify(question));
      });
    },
    stop: () => end(new DOMException("stopped", "AbortError")),
  };
}
