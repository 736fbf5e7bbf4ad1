// Emotions: their names in plain words, their colours, their dashes. The colours stand in mien.css, as mien.labels.COLOURS has them.

const APPEARS = {
  neutral: "neutral", happiness: "happy", surprise: "surprised", sadness: "sad", anger: "angry", disgust: "disgusted", fear: "afraid",
  contempt: "contemptuous",
};

// Besides its colour each line has its own dash, so that nobody needs to tell the colours apart. Lengths in pixels; "": whole.
const DASHES = {
  neutral: "2 4", happiness: "", surprise: "12 4", sadness: "7 4", anger: "12 4 2 4", disgust: "7 3 2 3 2 3", fear: "3 3", contempt: "16 3 5 3",
};

const SPARE = ["#2b6cb0", "#c43a31", "#4c8c2b", "#e6a700", "#6a4fb3", "#00897b", "#d35fb7", "#8a8f98"];

/** How a face with this expression appears: "happy". */
export const appears = (label) => APPEARS[label] ?? label;

/** The CSS class that sets --c. A label that mien.css does not know gets its colour by `paint`. */
export const className = (label) => `e-${label}`;

/** The dash of a label's line as SVG's stroke-dasharray has it ("" is a whole line). */
export const dash = (label) => DASHES[label] ?? "";

/** The colour of a label now (light or dark page), as "#rrggbb". */
export function colour(label, position = 0) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--e-${label}`).trim() || SPARE[position % SPARE.length];
}

/** Near-black or white, whichever reads better on `code` ("#rrggbb"); as the boxes of the annotated film have it. */
export function inkOn(code) {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(code.slice(i, i + 2), 16));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 145 ? "#101216" : "#ffffff";
}

/** Colours for labels that mien.css does not know (another model's), from the server's {label: {light, dark}}. */
export function paint(colours) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    for (const [label, code] of Object.entries(colours ?? {})) {
      if (label in APPEARS) continue;
      document.documentElement.style.setProperty(`--e-${label}`, dark.matches ? code.dark : code.light);
    }
  };
  apply();
  dark.addEventListener("change", apply);
}

/** Marks an element with the emotion's colour. */
export function tint(element, label) {
  element.classList.add(className(label));
  if (!(label in APPEARS)) element.style.setProperty("--c", `var(--e-${label})`);
  return element;
}

/** A round spot in the emotion's colour. */
export function dot(label) {
  const spot = document.createElement("i");
  spot.className = "dot";
  spot.setAttribute("aria-hidden", "true");
  return tint(spot, label);
}

/** What is said instead of an expression that cannot be relied on. */
export function unclear(face) {
  const why = { small: "too small", blurred: "blurred", dark: "too dark", flat: "too flat", covered: "covered" };
  return (face.flags ?? []).map((flag) => why[flag]).find((word) => word) ?? "unclear";
}

/** A short piece of the emotion's line, with its dash. */
export function stroke(label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "stroke");
  svg.setAttribute("viewBox", "0 0 26 10");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [key, value] of [["x1", 0], ["x2", 26], ["y1", 5], ["y2", 5]]) line.setAttribute(key, value);
  if (dash(label)) line.setAttribute("stroke-dasharray", dash(label));
  svg.append(line);
  tint(svg, label);
  return svg;
}

/** Buttons that show and hide emotions: {element, shown: {label: bool}, read(values)}. `changed(shown)` is called at each press;
 *  a double click shows one alone, or all again. `read({label: share|null} | null)` writes values behind the names. */
export function chips(labels, changed) {
  const element = document.createElement("div");
  element.className = "chips";
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", "Expressions shown");
  const shown = Object.fromEntries(labels.map((label) => [label, true]));
  const outputs = {};
  const buttons = labels.map((label) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.setAttribute("aria-pressed", "true");
    button.append(stroke(label), label, (outputs[label] = document.createElement("span")));
    outputs[label].className = "value tabular";
    button.addEventListener("click", () => {
      shown[label] = !shown[label];
      tell();
    });
    button.addEventListener("dblclick", () => {
      const alone = labels.every((other) => shown[other] === (other === label));
      for (const other of labels) shown[other] = alone || other === label;
      tell();
    });
    element.append(button);
    return button;
  });
  function tell() {
    labels.forEach((label, k) => buttons[k].setAttribute("aria-pressed", String(shown[label])));
    changed(shown);
  }
  return {
    element,
    shown,
    read(values) {
      for (const label of labels) {
        const value = values?.[label];
        outputs[label].textContent = !values ? "" : value === null || value === undefined ? "–" : `${Math.round(value * 100)}%`;
      }
    },
  };
}
