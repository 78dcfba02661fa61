// Images and their latents: between two of them, level by level.

const byId = (id) => document.getElementById(id);

function paint(canvas, { shape, values }) {
  const [height, width] = shape;
  const small = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  values.forEach((value, index) => image.data.set([255 * value, 255 * value, 255 * value, 255], 4 * index));
  small.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** The brightness of a picture file, scaled to so many pixels. */
async function brightness(file, height, width) {
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const grey = (k) => ((0.299 * data[k] + 0.587 * data[k + 1] + 0.114 * data[k + 2]) * data[k + 3]) / 255 / 255;
  return Array.from({ length: width * height }, (_, pixel) => Math.min(1, grey(4 * pixel)));
}

/** Write beside each slider what it is at. A label names the first that can be named in it: that must be the slider, so
 * the number is plain text. */
function tell(box) {
  for (const value of box.querySelectorAll(".value")) value.textContent = value.parentElement.querySelector("input").value;
}

const SLIDERS = (level, count) => `
  <legend>Level ${level} (${count} numbers)</legend>
  <label>From the first to the second <input type="range" min="0" max="1" step="0.02" value="0" data-role="share"></label>
  <label>Times <span class="value">1</span><input type="range" min="0" max="2" step="0.05" value="1" data-role="scale"></label>
  <label>Latent number <input type="number" min="1" max="${count}" value="1" data-role="which"></label>
  <label>moved by <span class="value">0</span><input type="range" min="-4" max="4" step="0.1" value="0" data-role="move"></label>`;

export class Images {
  /** `facts`: the image's sides, the levels' shapes, and how many images there are to begin with. */
  constructor(model, facts, say) {
    Object.assign(this, { model, facts, say, ends: {}, asked: [], waiting: false });
    this.levels = facts.levels.map((shape, index) => this.level(index + 1, shape));
    for (const end of ["first", "second"]) this.prepare(end);
    byId("all-levels").addEventListener("input", (event) => {
      for (const level of this.levels) level.share.value = event.target.value;
      this.mix();
    });
    byId("reset").addEventListener("click", () => this.reset());
    byId("no-pictures").hidden = true;
    byId("pictures").hidden = false;
  }

  level(number, shape) {
    const box = document.createElement("fieldset");
    const count = shape.reduce((product, size) => product * size, 1);
    box.innerHTML = SLIDERS(number, count);
    byId("levels").append(box);
    box.addEventListener("input", () => {
      tell(box);
      this.mix();
    });
    return Object.fromEntries([...box.querySelectorAll("input")].map((input) => [input.dataset.role, input]));
  }

  prepare(end) {
    const canvas = byId(end);
    const another = () => this.ask(end, () => this.model.draw(Math.floor(Math.random() * this.facts.images)));
    byId(`another-${end}`).addEventListener("click", another);
    byId(`open-${end}`).addEventListener("change", (event) => this.open(end, event.target.files[0]));
    canvas.addEventListener("dragover", (event) => {
      event.preventDefault();
      canvas.classList.add("dropping");
    });
    canvas.addEventListener("dragleave", () => canvas.classList.remove("dropping"));
    canvas.addEventListener("drop", (event) => {
      event.preventDefault();
      canvas.classList.remove("dropping");
      this.open(end, event.dataTransfer.files[0]);
    });
    another();
  }

  async open(end, file) {
    if (!file) return;
    try {
      const pixels = await brightness(file, ...this.facts.sides);
      this.ask(end, () => this.model.encode(pixels));
    } catch {
      this.say("That file is no picture that this browser can read.", true);
    }
  }

  ask(end, question) {
    this.asked.push(end);
    question();
  }

  /** An image that was asked for: replies come in the order of the questions. */
  encoded({ arrays }) {
    const end = this.asked.shift();
    paint(byId(end), arrays.image);
    this.ends[end] = this.levels.map((_, index) => arrays[`level ${index + 1}`].values);
    this.mix();
  }

  decoded({ arrays }) {
    paint(byId("between"), arrays.image);
    this.waiting = false;
    if (this.again) this.mix();
  }

  /** What was asked could not be done: what waits for its answer waits no longer. */
  refused(about) {
    if (about === "draw" || about === "encode") this.asked.shift();
    if (about !== "decode") return;
    this.waiting = false;
    if (this.again) this.mix();
  }

  /** Ask for the image of the mixed latents; while one is under way, the newest wish waits. */
  mix() {
    if (!this.ends.first || !this.ends.second) return;
    this.again = this.waiting;
    if (this.waiting) return;
    this.waiting = true;
    this.model.decode(this.levels.map((level, index) => this.mixed(level, index)));
  }

  mixed(level, index) {
    const [from, to] = [this.ends.first[index], this.ends.second[index]];
    const [share, scale, move] = [level.share, level.scale, level.move].map((input) => Number(input.value));
    const latents = Array.from(from, (value, k) => scale * (value + share * (to[k] - value)));
    const which = Math.max(1, Math.min(latents.length, Math.round(level.which.valueAsNumber) || 1)) - 1;
    latents[which] += move;
    return latents.map((value) => Math.max(-50, Math.min(50, value || 0)));
  }

  reset() {
    for (const { share, scale, move } of this.levels) [share.value, scale.value, move.value] = [0, 1, 0];
    tell(byId("levels"));
    byId("all-levels").value = 0;
    this.mix();
  }
}
