// A worker that makes JPEGs, so that the page stays smooth. A canvas of the page itself encodes only when the page is idle.

let canvas;

// One after the other: frames must leave in the order in which they came.
let last = Promise.resolve();
onmessage = (event) => (last = last.then(() => encode(event.data)));

async function encode({ id, bitmap, turned, quality, room }) {
  try {
    const { width, height } = bitmap;
    if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
    const pen = canvas.getContext("2d", { alpha: false });
    pen.setTransform(...(turned ? [-1, 0, 0, -1, width, height] : [1, 0, 0, 1, 0, 0]));
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality });
    const bytes = new Uint8Array(room + blob.size);
    bytes.set(new Uint8Array(await blob.arrayBuffer()), room);
    postMessage({ id, bytes, width, height }, [bytes.buffer]);
  } catch (error) {
    postMessage({ id, problem: String(error) });
  }
}
