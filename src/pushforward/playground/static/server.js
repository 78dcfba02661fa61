// The model, answered by the local server over a websocket. The page knows it as model.js; where no server is, trained.js
// stands in its place, with the same methods.

import { questions } from "./questions.js";
import { unpack } from "./replies.js";

/** A model whose replies go to `told`, one after the other. */
export function connect(told) {
  const address = new URL("socket", location.href);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => told(unpack(event.data));
  // A server that closes says why; one that is gone cannot.
  socket.onclose = ({ reason }) =>
    told({ type: "gone", message: reason || "The server has gone: start pushforward play again, and open its new address." });
  // What is asked before the socket is open waits for it, in its order.
  const open = new Promise((resolve) => (socket.onopen = resolve));
  return questions(async (type, fields = {}) => {
    await open;
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type, ...fields }));
  });
}
