// Starts the report in its offline page: Plotly lies there compressed, the review as JSON.

import { paint } from "/static/mien/emotions.js";
import { show } from "/static/mien/study_report/report.js";

const packed = document.getElementById("plotly");
const binary = atob(packed.textContent);
const bytes = new Uint8Array(binary.length);
for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i); // Uint8Array.from takes fifteen times as long
const script = document.createElement("script");
script.textContent = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
document.head.append(script);
packed.remove();

const review = JSON.parse(document.getElementById("review").textContent);
paint(review.colours);
show(document.getElementById("main"), review);
