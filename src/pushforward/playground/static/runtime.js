// Graphs in ONNX, run by onnxruntime-web in the browser.

import * as ort from "./ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };

/** The bytes of a file beside the page. */
export async function fetched(path) {
  const answer = await fetch(new URL(path, import.meta.url));
  if (!answer.ok) throw new Error(`${path} could not be loaded`);
  return answer.arrayBuffer();
}

/** A graph. */
export class Graph {
  static async load(path) {
    return new Graph(await ort.InferenceSession.create(await fetched(path)));
  }

  constructor(session) {
    this.session = session;
  }

  /** What the graph gives, in turn, of `{ shape, values }` in turn. */
  async run(...inputs) {
    const { inputNames, outputNames } = this.session;
    const tensor = ({ shape, values }) => new ort.Tensor("float32", values, shape);
    const results = await this.session.run(Object.fromEntries(inputs.map((input, k) => [inputNames[k], tensor(input)])));
    return outputNames.map((name) => ({ shape: results[name].dims, values: results[name].data }));
  }
}
