// The model, behind one interface: what the page asks of a flow, and what it is told. Here the local server answers, by
// a websocket; a page without a server would answer from trained models with an object of the same methods.

/** A reply: a header in JSON, then arrays of float32 (see replies.py). */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  let start = 4 + length;
  for (const [name, shape] of Object.entries(header.arrays)) {
    const count = shape.reduce((product, size) => product * size, 1);
    arrays[name] = { shape, values: new Float32Array(buffer, start, count) };
    start += 4 * count;
  }
  return { ...header, arrays };
}

/** A model whose replies go to `told`, one after the other. */
export function connect(told) {
  const address = new URL("socket", location.href);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => told(unpack(event.data));
  socket.onclose = () => told({ type: "gone" });
  // What is asked before the socket is open waits for it, in its order.
  const open = new Promise((resolve) => (socket.onopen = resolve));
  const ask = async (type, fields = {}) => {
    await open;
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type, ...fields }));
  };
  return {
    start: (choice) => ask("start", choice),
    pause: () => ask("pause"),
    resume: () => ask("resume"),
    look: (temperature) => ask("look", { temperature }),
    draw: (index) => ask("draw", { index }),
    encode: (pixels) => ask("encode", { pixels }),
    decode: (latents) => ask("decode", { latents }),
  };
}
