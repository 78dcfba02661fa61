// The page: what its controls ask of the model, and what it shows of the replies.

import { Images } from "./images.js";
import { connect } from "./model.js";
import { Plane, curve } from "./plane.js";
import { Sheet } from "./sheet.js";

const byId = (id) => document.getElementById(id);
const HISTORY = 600;
const FRAMES = 240;
const BEND = 6000; // milliseconds from the latent plane to the data

const plane = new Plane(byId("stage"));
const sheet = new Sheet(byId("sheet"));
const state = { training: false, started: false, atEnd: true, bending: null, excess: [], frames: [], target: null };
// Where no server is, the flows that were trained: what is learned on the page, and what it says, is not for them.
let trained = null;
let images = null;

const model = connect((reply) => REPLIES[reply.type]?.(reply));

function say(text, wrong = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("wrong", wrong);
}

const REPLIES = {
  hello({ pictures, steps, trained: models }) {
    if (models) offer(models);
    else byId("progress").max = steps;
    if (pictures) images = new Images(model, pictures, say);
  },
  target({ arrays }) {
    Object.assign(state, { target: arrays.points.values, excess: [], started: true, atEnd: true, bending: null });
  },
  training() {
    setTraining(true);
    say(trained ? "This flow has learned; new samples stream through it." : "The flow is learning.");
  },
  paused() {
    setTraining(false);
    if (!byId("status").classList.contains("wrong")) say(trained ? "Paused." : "Paused: what was learned stays.");
  },
  view: show,
  encoded: (reply) => images.encoded(reply),
  decoded: (reply) => images.decoded(reply),
  error({ message, about }) {
    say(message, true);
    images?.refused(about);
  },
  gone({ message }) {
    setTraining(false);
    state.started = false;
    byId("pause").disabled = true;
    say(message, true);
  },
};

/** Offer the flows that were trained, and show the first. */
function offer(models) {
  trained = models;
  document.body.classList.add("trained");
  byId("train").textContent = "Show";
  for (const name of ["density", "flow"]) {
    for (const option of [...byId(name).options]) if (!models.some((model) => model[name] === option.value)) option.remove();
  }
  [byId("density").value, byId("flow").value] = [models[0].density, models[0].flow];
  choose();
  byId("form").requestSubmit();
}

function setTraining(on) {
  state.training = on;
  byId("pause").disabled = !state.started;
  byId("pause").textContent = on || !state.started ? "Pause" : "Go on";
}

function show(view) {
  plane.show(view);
  byId("step").textContent = view.step.toLocaleString("en");
  byId("excess").textContent = view.excess.toFixed(3);
  byId("progress").value = view.step;
  byId("range").textContent = `log |det| beyond ±${plane.range.toFixed(1)} is cut`;
  state.excess.push(view.excess);
  // A long training keeps its whole curve, more coarsely.
  if (state.excess.length > HISTORY) state.excess = state.excess.filter((_, index) => index % 2);
  curve(byId("curve"), state.excess, plane.colours);
  const layer = byId("layer");
  layer.max = view.layers.length;
  if (state.atEnd) layer.value = view.layers.length;
  nameLayer();
  draw();
}

function nameLayer() {
  const place = Number(byId("layer").value);
  const { layers, step, excess } = plane.view;
  const name = place === 0 ? "the latent plane" : `${Math.ceil(place)} of ${layers.length} (${layers[Math.ceil(place) - 1]})`;
  byId("layer-value").textContent = name;
  byId("stage").setAttribute(
    "aria-label",
    `2,000 samples and a grid at layer ${name}, after ${step} steps of training; the flow is ${excess.toFixed(2)} nats ` +
      "short of the density. Left and right arrow keys go from layer to layer.",
  );
}

/** Draw a frame, and note how long the script took. */
function draw() {
  const began = performance.now();
  const wanted = {};
  for (const name of ["density", "grid", "samples", "determinant", "target"]) wanted[name] = byId(`show-${name}`).checked;
  plane.frame(Number(byId("layer").value), wanted, state.target);
  state.frames.push(performance.now() - began);
  if (state.frames.length > FRAMES) state.frames.shift();
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

setInterval(() => {
  if (state.frames.length) byId("frame").textContent = median(state.frames).toFixed(1);
}, 1000);

function bend(now) {
  if (!state.bending) return;
  state.bending.began ??= now;
  const layer = byId("layer");
  const share = Math.min(1, (now - state.bending.began) / BEND);
  layer.value = share * layer.max;
  state.atEnd = share === 1;
  nameLayer();
  draw();
  if (share < 1) requestAnimationFrame(bend);
  else stopBending();
}

function stopBending() {
  state.bending = null;
  byId("play").textContent = "Bend";
}

function goTo(layer) {
  const slider = byId("layer");
  slider.value = layer;
  state.atEnd = Number(slider.value) === Number(slider.max);
  if (!plane.view) return;
  nameLayer();
  draw();
}

function choose() {
  byId("sheet-box").hidden = byId("density").value !== "drawn";
  const splines = byId("flow").value.startsWith("nsf");
  byId("bins").disabled = !splines;
  for (const option of byId("flow").options) option.disabled = trained !== null && !isTrained(byId("density").value, option.value);
  if (byId("flow").selectedOptions[0].disabled) byId("flow").value = trained.find((model) => isTrained(byId("density").value, model.flow)).flow;
  for (const name of ["depth", "bins"]) byId(`${name}-value`).textContent = byId(name).value;
}

const isTrained = (density, flow) => trained.some((model) => model.density === density && model.flow === flow);

byId("form").addEventListener("input", choose);
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const choice = {
    density: byId("density").value,
    flow: byId("flow").value,
    depth: Number(byId("depth").value),
    bins: Number(byId("bins").value),
  };
  if (choice.density === "drawn") choice.sheet = Array.from(sheet.cells);
  byId("temperature").value = 1;
  byId("temperature-value").textContent = "1.00";
  say(trained ? "The flow is being loaded." : "The flow is being made.");
  model.start(choice);
});
byId("clear").addEventListener("click", () => sheet.clear());
byId("pause").addEventListener("click", () => (state.training ? model.pause() : model.resume()));
byId("temperature").addEventListener("input", (event) => {
  byId("temperature-value").textContent = Number(event.target.value).toFixed(2);
  if (state.started) model.look(Number(event.target.value));
});
byId("layer").addEventListener("input", (event) => {
  stopBending();
  goTo(event.target.value);
});
byId("play").addEventListener("click", () => {
  if (state.bending) return stopBending();
  if (!plane.view) return say("There is no flow yet.");
  state.bending = {};
  byId("play").textContent = "Stop";
  requestAnimationFrame(bend);
});
byId("stage").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  stopBending();
  goTo(Math.round(Number(byId("layer").value)) + step);
});
for (const box of document.querySelectorAll("fieldset input[type=checkbox]")) box.addEventListener("change", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  plane.restyle();
  sheet.paint();
  curve(byId("curve"), state.excess, plane.colours);
  draw();
});
choose();
// A press before this would have gone to nobody.
byId("train").disabled = false;
