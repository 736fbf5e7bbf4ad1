// Tables as mien writes them: RFC 4180 in UTF-8 with "\n", no line breaks within a cell. Rows are there while the rest still arrives.

/** The rows of a stream of bytes, the header first, in parts as they come: each an array of rows, a row an array of texts. */
export async function* rowsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const text = rest + (value ?? "");
    const end = done ? text.length : text.lastIndexOf("\n") + 1;
    rest = text.slice(end);
    if (end) yield text.slice(0, end).split("\n").filter(Boolean).map(cells);
    if (done) return;
  }
}

function cells(line) {
  if (!line.includes('"')) return line.split(",");
  return Array.from(line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g), ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
}
