// A trained flow of the plane: its samples behind each layer, and how much each stretched space.

import { unpack } from "./replies.js";
import { Graph, fetched } from "./runtime.js";

const NEW = 200; // samples that are new in each view

/** The logarithm of the standard normal density at a point of the plane. */
const normal = (x, y) => -0.5 * (x * x + y * y) - Math.log(2 * Math.PI);

/** Standard normal numbers, by Box and Muller. */
function randn(count) {
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    return radius * Math.cos(2 * Math.PI * Math.random());
  });
}

export class Layers {
  /** The flow whose files are in a folder; until its graphs are there, `view` is as it was when training ended. */
  static async load(folder) {
    const [view, target] = (await Promise.all(["view", "target"].map((name) => fetched(`${folder}/${name}.bin`)))).map(unpack);
    const graphs = view.layers.map((_, k) => Promise.all(["decode", "log_prob"].map((name) => Graph.load(`${folder}/${name}-${k}.onnx`))));
    return new Layers(view, target, Promise.all(graphs));
  }

  constructor(view, target, graphs) {
    Object.assign(this, { view, target, graphs, temperature: 1 });
    this.latents = view.arrays.samples.values.slice(0, 2 * this.count);
  }

  get count() {
    return this.view.arrays.samples.shape[1];
  }

  /** Replace the oldest samples by new ones. */
  async stream() {
    const latents = randn(2 * NEW);
    this.keep(await this.bend(latents), 2 * NEW);
    this.latents.copyWithin(0, 2 * NEW);
    this.latents.set(latents, 2 * (this.count - NEW));
  }

  /** Take all samples through the flow anew, at another temperature. */
  async look(temperature) {
    this.temperature = temperature;
    this.keep(await this.bend(this.latents), 2 * this.count);
  }

  /** Take latents to the data: the points behind each layer, and log |det dx/dz| up to there. */
  async bend(latents) {
    const count = latents.length / 2;
    let point = { shape: [count, 2], values: latents.map((value) => value * this.temperature) };
    const behind = [{ places: point.values, logDets: new Float32Array(count) }];
    for (const [decode, logProb] of await this.graphs) {
      const [next] = await decode.run(point);
      // A layer alone is a flow onto the normal distribution, log p(x) = log N(z) - log |det dx/dz|.
      const [{ values }] = await logProb.run(next);
      const before = behind.at(-1);
      const logDets = before.logDets.map((sum, k) => sum + normal(point.values[2 * k], point.values[2 * k + 1]) - values[k]);
      behind.push({ places: next.values, logDets });
      point = next;
    }
    return behind;
  }

  /** Put new samples, as many as `numbers` says, behind those that stay. */
  keep(behind, numbers) {
    const { samples, determinants } = this.view.arrays;
    behind.forEach(({ places, logDets }, layer) => {
      shift(samples.values, 2 * this.count, layer, numbers, places);
      shift(determinants.values, this.count, layer, numbers / 2, logDets);
    });
  }
}

function shift(values, size, row, count, fresh) {
  const there = values.subarray(row * size, (row + 1) * size);
  there.copyWithin(0, count);
  there.set(fresh, size - count);
}
