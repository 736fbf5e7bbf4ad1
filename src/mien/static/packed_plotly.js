// Plotly lies in a page's file compressed, so that the page opens without a network.

/** Starts the script that `<script type="text/plain" id="plotly">` holds, gzipped and in base64. */
export async function startPlotly() {
  const packed = document.getElementById("plotly");
  const binary = atob(packed.textContent), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i); // Uint8Array.from takes fifteen times as long
  const script = document.createElement("script");
  script.textContent = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(script);
  packed.remove();
}
