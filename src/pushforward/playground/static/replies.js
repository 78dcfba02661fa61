// What the page is told: facts, and arrays of float32 that are read without parsing (see replies.py).

/** A reply: a header in JSON, then arrays of float32. */
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
