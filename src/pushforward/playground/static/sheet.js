// The sheet to draw a density on: 32 x 32 cells, by pointer or by keyboard.

import { colours } from "./plane.js";

export const SIDE = 32;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Sheet {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = [SIDE / 2, SIDE / 2];
    this.clear();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.follow(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && this.follow(event));
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("focus", () => this.paint());
    canvas.addEventListener("blur", () => this.paint());
  }

  clear() {
    this.cells = new Float32Array(SIDE * SIDE);
    this.paint();
  }

  follow(event) {
    const box = this.canvas.getBoundingClientRect();
    this.pen = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((share) =>
      Math.max(0, Math.min(SIDE - 1, Math.floor(share * SIDE))),
    );
    this.ink();
  }

  press(event) {
    if (event.key in STEPS) {
      this.pen = this.pen.map((place, k) => Math.max(0, Math.min(SIDE - 1, place + STEPS[event.key][k])));
      if (event.shiftKey) this.ink();
    } else if (event.key === " ") this.ink();
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else return;
    event.preventDefault();
    this.paint();
  }

  /** Ink under the pen, less around it. */
  ink() {
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const [x, y] = [this.pen[0] + dx, this.pen[1] + dy];
        if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) continue;
        const cell = y * SIDE + x;
        this.cells[cell] = Math.max(this.cells[cell], 1 / (1 + dx * dx + dy * dy));
      }
    }
    this.paint();
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const { heat, accent } = colours();
    const cell = this.canvas.width / SIDE;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.cells.forEach((value, index) => {
      if (!value) return;
      context.fillStyle = `rgb(${heat.join(" ")} / ${value})`;
      context.fillRect((index % SIDE) * cell, Math.floor(index / SIDE) * cell, cell, cell);
    });
    if (document.activeElement !== this.canvas) return;
    context.strokeStyle = accent;
    context.lineWidth = 2;
    context.strokeRect(this.pen[0] * cell, this.pen[1] * cell, cell, cell);
  }
}
