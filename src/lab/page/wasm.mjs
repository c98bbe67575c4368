// The engine in WebAssembly: one instance a question, so that no run can leave anything behind for the next.
import { ConsoleStdout, File, OpenFile, WASI } from "./wasi.mjs";

/** Answers a question (JSON text) with a compiled engine. */
export async function answer(module, question) {
  const input = new OpenFile(new File(new TextEncoder().encode(question)));
  const output = new File([]);
  const said = [];
  const errors = ConsoleStdout.lineBuffered((line) => said.push(line));
  const wasi = new WASI([], [], [input, new OpenFile(output), errors], { debug: false });
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
  try {
    const code = wasi.start(instance);
    if (code !== 0) throw new Error(`the engine ended with ${code}`);
  } catch (error) {
    // Its output before it died says more than the fact that it died.
    throw new Error([error.message, ...said].join("\n"));
  }
  return new TextDecoder().decode(output.data);
}
