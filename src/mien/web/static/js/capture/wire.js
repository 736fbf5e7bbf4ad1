// The bytes before each frame on the live socket, as mien.web.capture.wire reads them.

export const HEADER_BYTES = 16;
const VERSION = 1, LATE = 1, RECORDED = 2;

/** Writes the header into the first bytes of `bytes`. `captured_s`: seconds of the page's own clock, rising. */
export function head(bytes, { sequence, captured_s, late, recorded }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  view.setUint8(0, VERSION);
  view.setUint8(1, (late ? LATE : 0) | (recorded ? RECORDED : 0));
  view.setUint16(2, 0, true);
  view.setUint32(4, sequence, true);
  view.setFloat64(8, captured_s, true);
  return bytes;
}
