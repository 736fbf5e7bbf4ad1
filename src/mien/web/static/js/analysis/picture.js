// The result of one picture: the picture with its boxes, and what each face shows.

import { h } from "/static/mien/element.js";
import { dot, unclear } from "/static/mien/emotions.js";

export function picture(place, result) {
  const size = { width: result.media.width, height: result.media.height };
  const shown = result.picture
    ? h("figure", { class: "stack tight" }, h("img", { class: "picture", src: result.picture, alt: `The picture ${result.job.name} with a box around each face`, ...size }), h("a", { class: "button", href: result.picture, download: "" }, "Download the picture (PNG)"))
    : h("p", { class: "notice" }, "The picture with boxes was not kept.");
  const head = h("tr", {}, h("th", {}, "Face"), h("th", {}, "Appears"), ...result.labels.map((label) => h("th", { class: "num" }, label)));
  const rows = result.faces.map((face, i) => {
    const values = Array.isArray(face.emotions) ? face.emotions : result.labels.map((label) => face.emotions[label]);
    const track = result.tracks.find((other) => other.id === (face.track ?? i + 1));
    return h(
      "tr",
      {},
      h("th", { scope: "row", class: "nowrap" }, h("span", { class: "row one-line" }, track?.still && h("img", { class: "tiny", src: track.still, alt: "", width: 40, height: 40 }), face.name ?? track?.name ?? `Face ${i + 1}`)),
      h("td", { class: "nowrap" }, face.expression ? [dot(face.expression), ` ${face.expression}`] : unclear(face)),
      ...values.map((value, k) => h("td", { class: `num${result.labels[k] === face.expression ? " most" : ""}` }, `${Math.round(value * 100)}%`)),
    );
  });
  place.replaceChildren(
    shown,
    rows.length
      ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Each face" }, h("table", { class: "picture-faces" }, h("caption", {}, "How probable each expression is, for each face"), h("thead", {}, head), h("tbody", {}, ...rows)))
      : h("p", { class: "soft" }, "No face was found in this picture. Faces under about 20 pixels, profiles and covered faces are often missed."),
  );
}
