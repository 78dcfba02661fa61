// A trained flow of images: from an image to the latents of its levels, and back.

import { unpack } from "./replies.js";
import { Graph, fetched } from "./runtime.js";

const MIDDLE = { normal: 0, uniform: 0.5 };

export class Levels {
  static async load(facts) {
    const [images, encode, decode] = await Promise.all([
      fetched("pictures/images.bin").then(unpack),
      Graph.load("pictures/encode.onnx"),
      Graph.load("pictures/decode.onnx"),
    ]);
    return new Levels(facts, images.arrays.images, encode, decode);
  }

  constructor(facts, images, encode, decode) {
    Object.assign(this, { facts, images, encode, decode });
  }

  /** An image of the data, with its latents. */
  drawn(index) {
    const size = this.images.values.length / this.facts.images;
    return this.latents(this.images.values.slice(index * size, (index + 1) * size));
  }

  /** An image of the page, rounded to the brightnesses that the flow knows, with its latents. */
  encoded(pixels) {
    return this.latents(Float32Array.from(pixels, (value) => Math.round(value * this.facts.top)));
  }

  async latents(values) {
    const { sides, numbers, top } = this.facts;
    // Where dequantization draws, an image should have the same latents each time that it comes back: those of the middle.
    const drawn = numbers.map(({ shape, kind }) => tensor(shape, new Float32Array(size(shape)).fill(MIDDLE[kind])));
    const latents = await this.encode.run(tensor([1, ...sides], values), ...drawn);
    const named = latents.map((latent, k) => [`level ${k + 1}`, latent]);
    const image = { shape: sides, values: values.map((value) => value / top) };
    return { type: "encoded", arrays: { image, ...Object.fromEntries(named) } };
  }

  /** The image of the latents of all levels. */
  async decoded(latents) {
    const { sides, levels, top } = this.facts;
    const [image] = await this.decode.run(...latents.map((values, k) => tensor(levels[k], Float32Array.from(values))));
    const values = image.values.map((value) => Math.max(0, Math.min(1, value / top || 0)));
    return { type: "decoded", arrays: { image: { shape: sides, values } } };
  }
}

const size = (shape) => shape.reduce((product, count) => product * count, 1);
const tensor = (shape, values) => ({ shape: [1, ...shape], values });
