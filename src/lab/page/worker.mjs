// The engine in a worker of its own: a long run does not freeze the page, and can be stopped with it.
import { answer } from "./wasm.mjs";

const compiled = fetch("schism-engine.wasm").then(async (response) => {
  if (!response.ok) throw new Error(`schism-engine.wasm: ${response.status} ${response.statusText}`);
  // Not compileStreaming: a file share or a plain server may send another type than application/wasm.
  return WebAssembly.compile(await response.arrayBuffer());
});
// The error is reported to the next question; until then it must not count as unhandled.
compiled.catch(() => {});

// One question at a time, in the order in which they come, since answers do not say which question they are for.
let last = Promise.resolve();
onmessage = ({ data }) => {
  last = last.then(async () => {
    try {
      postMessage({ answer: await answer(await compiled, data) });
    } catch (error) {
      postMessage({ error: String(error.message ?? error) });
    }
  });
};
