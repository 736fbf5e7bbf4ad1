// The bytes before each frame on the sockets of cameras, as mien.web.capture.wire reads them.

export const HEADER_BYTES = 16;
export const FILM_HEADER_BYTES = 24; // with the film's time behind
const LATE = 1, RECORDED = 2;

/** Writes the header into the first bytes of `bytes`. `captured_s`: seconds of the page's own clock, rising; `film_s`: of a film that is watched. */
export function head(bytes, { sequence, captured_s, film_s, late, recorded }) {
  const film = film_s !== undefined, view = new DataView(bytes.buffer, bytes.byteOffset, film ? FILM_HEADER_BYTES : HEADER_BYTES);
  view.setUint8(0, film ? 2 : 1);
  view.setUint8(1, (late ? LATE : 0) | (recorded ? RECORDED : 0));
  view.setUint16(2, 0, true);
  view.setUint32(4, sequence, true);
  view.setFloat64(8, captured_s, true);
  if (film) view.setFloat64(16, film_s, true);
  return bytes;
}
