// Starts the report in its offline page: Plotly lies there compressed, the review as JSON.

import { paint } from "/static/mien/emotions.js";
import { startPlotly } from "/static/mien/packed_plotly.js";
import { show } from "/static/mien/study_report/report.js";

await startPlotly();
const review = JSON.parse(document.getElementById("review").textContent);
paint(review.colours);
show(document.getElementById("main"), review);
