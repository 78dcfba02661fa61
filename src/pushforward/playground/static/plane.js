// The picture of the plane: density, grid and samples, at any moment between two layers.

const SHADES = 15;

/** The page's colours, as the style sheet has them for light and dark. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const channels = (name) => of(name).split(" ").map(Number);
  return {
    panel: of("--panel"), ink: of("--ink"), soft: of("--soft"), accent: of("--accent"), grid: of("--grid"),
    target: of("--target"), heat: channels("--heat"),
    shades: shades(channels("--shrink"), channels("--even"), channels("--grow")),
  };
}

function shades(low, middle, high) {
  return Array.from({ length: SHADES }, (_, index) => {
    const place = (2 * index) / (SHADES - 1) - 1;
    const end = place < 0 ? low : high;
    return `rgb(${middle.map((value, k) => Math.round(value + Math.abs(place) * (end[k] - value))).join(" ")})`;
  });
}

/** The density as a picture of its own pixels, denser the more opaque. */
function heatmap(density, colour) {
  const side = Math.sqrt(density.length);
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d");
  const image = context.createImageData(side, side);
  const highest = density.reduce((most, value) => Math.max(most, value), -Infinity);
  density.forEach((value, index) => {
    image.data.set(colour, 4 * index);
    image.data[4 * index + 3] = 200 * Math.sqrt(Math.exp(value - highest));
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The drawing of views on a canvas. */
export class Plane {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.restyle();
  }

  restyle() {
    this.colours = colours();
    if (this.view) this.show(this.view);
    else this.clear();
  }

  clear() {
    this.context.globalAlpha = 1;
    this.context.fillStyle = this.colours.panel;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Take a new view: what can be made ready for all its frames is made here. */
  show(view) {
    this.view = view;
    this.heat = heatmap(view.arrays.density.values, this.colours.heat);
    const { values, shape } = view.arrays.determinants;
    const last = values.subarray((shape[0] - 1) * shape[1]);
    const sizes = Float32Array.from(last, Math.abs).sort();
    this.range = Math.max(0.5, sizes[Math.floor(0.95 * sizes.length)] || 0);
  }

  /** Draw the moment `layer`, 0 for the latent plane, whole numbers for what stands behind a layer. */
  frame(layer, wanted, target) {
    this.clear();
    if (!this.view) return;
    const { arrays, layers } = this.view;
    const before = Math.min(Math.floor(layer), layers.length - 1);
    const share = layer - before;
    if (wanted.density) this.density(share, before === layers.length - 1);
    if (wanted.target && target) this.points(target);
    if (wanted.grid) this.lines(arrays.grid, before, share);
    if (wanted.samples) this.samples(arrays, before, share, wanted.determinant);
  }

  density(share, last) {
    if (!last) return;
    this.context.globalAlpha = share;
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(this.heat, 0, 0, this.canvas.width, this.canvas.height);
    this.context.globalAlpha = 1;
  }

  scale() {
    const [low, high] = this.view.bounds;
    return [this.canvas.width / (high - low), low, high];
  }

  points(target) {
    const [scale, low, high] = this.scale();
    this.context.fillStyle = this.colours.target;
    for (let k = 0; k < target.length; k += 2) {
      this.context.fillRect((target[k] - low) * scale - 1, (high - target[k + 1]) * scale - 1, 2, 2);
    }
  }

  lines(grid, before, share) {
    const [scale, low, high] = this.scale();
    const [, lines, points] = grid.shape;
    const size = 2 * lines * points;
    const from = grid.values.subarray(before * size, (before + 1) * size);
    const to = grid.values.subarray((before + 1) * size, (before + 2) * size);
    const { context } = this;
    context.strokeStyle = this.colours.grid;
    context.lineWidth = 1;
    context.globalAlpha = 0.6;
    context.beginPath();
    for (let k = 0; k < size; k += 2) {
      const x = (from[k] + share * (to[k] - from[k]) - low) * scale;
      const y = (high - from[k + 1] - share * (to[k + 1] - from[k + 1])) * scale;
      if (k % (2 * points)) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  samples({ samples, determinants }, before, share, coloured) {
    const [scale, low, high] = this.scale();
    const count = samples.shape[1];
    const from = samples.values.subarray(2 * before * count);
    const to = samples.values.subarray(2 * (before + 1) * count);
    const first = determinants.values.subarray(before * count);
    const then = determinants.values.subarray((before + 1) * count);
    const { context, range } = this;
    // A colour at a time: what costs in a canvas is to change it.
    const heaps = Array.from({ length: coloured ? SHADES : 1 }, () => []);
    for (let k = 0; k < count; k++) {
      const place = (first[k] + share * (then[k] - first[k])) / range;
      const shade = coloured ? Math.round(((Math.max(-1, Math.min(1, place)) + 1) / 2) * (SHADES - 1)) : 0;
      heaps[shade].push(k);
    }
    heaps.forEach((heap, shade) => {
      context.fillStyle = coloured ? this.colours.shades[shade] : this.colours.ink;
      for (const k of heap) {
        const x = (from[2 * k] + share * (to[2 * k] - from[2 * k]) - low) * scale;
        const y = (high - from[2 * k + 1] - share * (to[2 * k + 1] - from[2 * k + 1])) * scale;
        context.fillRect(x - 1.5, y - 1.5, 3, 3);
      }
    });
  }
}

/** A curve of positive numbers, on a logarithmic scale. */
export function curve(canvas, values, palette) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (values.length < 2) return;
  const logs = values.map((value) => Math.log10(Math.max(value, 1e-3)));
  const low = Math.floor(Math.min(...logs)), high = Math.max(Math.ceil(Math.max(...logs)), low + 1);
  const left = 44, top = 8, bottom = canvas.height - 8;
  const y = (log) => bottom - ((log - low) / (high - low)) * (bottom - top);
  context.font = "12px sans-serif";
  context.textBaseline = "middle";
  for (let log = low; log <= high; log++) {
    context.fillStyle = palette.soft;
    context.fillText(String(+(10 ** log).toPrecision(1)), 2, y(log));
    context.fillRect(left, Math.round(y(log)), canvas.width - left, 0.5);
  }
  context.strokeStyle = palette.accent;
  context.lineWidth = 2;
  context.beginPath();
  logs.forEach((log, index) => context.lineTo(left + (index / (logs.length - 1)) * (canvas.width - left), y(log)));
  context.stroke();
}
