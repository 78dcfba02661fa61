// The model, answered by flows that were trained beforehand. The page knows it as model.js; where a server is, server.js
// stands in its place, with the same methods. A worker computes, so that the page never waits for it.

import { questions } from "./questions.js";

/** A model whose replies go to `told`, one after the other. */
export function connect(told) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onmessage = (event) => told(event.data);
  worker.onerror = () => told({ type: "error", message: "This browser cannot run the trained flows." });
  return questions((type, fields = {}) => worker.postMessage({ type, ...fields }));
}
