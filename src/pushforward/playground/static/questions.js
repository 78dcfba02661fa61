// What the page may ask of a model, whoever answers.

/** The model's methods, where `ask` takes the kind of a question and its fields. */
export const questions = (ask) => ({
  start: (choice) => ask("start", choice),
  pause: () => ask("pause"),
  resume: () => ask("resume"),
  look: (temperature) => ask("look", { temperature }),
  draw: (index) => ask("draw", { index }),
  encode: (pixels) => ask("encode", { pixels }),
  decode: (latents) => ask("decode", { latents }),
});
