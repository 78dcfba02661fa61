// What the page asks of the trained flows, one thing after the other; while nothing is asked, new samples stream.

import { Layers } from "./layers.js";
import { Levels } from "./levels.js";
import { fetched } from "./runtime.js";

const MOMENT = 250; // milliseconds between two views
const state = { flow: null, streaming: false, asked: Promise.resolve() };

const site = fetched("models.json").then((bytes) => JSON.parse(new TextDecoder().decode(bytes)));
const levels = site.then(({ pictures }) => pictures && Levels.load(pictures));
// Whoever asks for an image is told what went wrong.
levels.catch(() => {});

const DO = {
  async start({ density, flow }) {
    const { models } = await site;
    const model = models.find((each) => each.density === density && each.flow === flow);
    if (!model) throw new Error("no such flow was trained: choose another");
    state.flow = await Layers.load(model.folder);
    postMessage(state.flow.target);
    view();
    stream(true);
  },
  pause: () => stream(false),
  resume: () => stream(true),
  async look({ temperature }) {
    await state.flow.look(temperature);
    view();
  },
  draw: async ({ index }) => postMessage(await (await levels).drawn(index)),
  encode: async ({ pixels }) => postMessage(await (await levels).encoded(pixels)),
  decode: async ({ latents }) => postMessage(await (await levels).decoded(latents)),
};

function view() {
  postMessage(state.flow.view);
}

function stream(on) {
  state.streaming = on;
  postMessage({ type: on ? "training" : "paused" });
}

/** Do one thing after the other; what goes wrong is told, and the next goes on. */
function next(work, about) {
  state.asked = state.asked.then(work).catch((error) => {
    if (state.streaming) stream(false);
    postMessage({ type: "error", message: error.message, about });
  });
}

async function moment() {
  if (!state.streaming) return;
  await state.flow.stream();
  view();
}

setInterval(() => {
  // Where a moment is not enough for one, none pile up.
  if (state.waiting || !state.streaming) return;
  state.waiting = true;
  next(() => moment().finally(() => (state.waiting = false)));
}, MOMENT);

site.then(
  ({ models, pictures }) => postMessage({ type: "hello", trained: models, pictures }),
  (error) => postMessage({ type: "error", message: error.message }),
);
onmessage = ({ data }) => next(() => DO[data.type](data), data.type);
