// A part of the picture is marked: by dragging, by keys, or by numbers.

const LEAST = 0.05; // of the picture's width and height
const STEP = 0.02;
const FIELDS = ["x", "y", "width", "height"];

const bound = (value, low, high) => Math.min(Math.max(value, low), high);

/** The nearest region that lies within the picture. All are shares of the upright picture. */
export function tidy({ x, y, width, height }) {
  const w = bound(width, LEAST, 1), h = bound(height, LEAST, 1);
  return { x: bound(x, 0, 1 - w), y: bound(y, 0, 1 - h), width: w, height: h };
}

export class Region {
  #stage; #box; #fields; #changed; #region = null; #marking = false; #from = null;
  mirror = false; // of the shown picture

  /** stage: the picture's element; box: the frame that shows the region; fields: {x, y, width, height} inputs in percent;
   *  `changed(region)` gets {x, y, width, height} as shares of the upright picture, or null for all of it. */
  constructor(stage, box, fields, changed) {
    this.#stage = stage;
    this.#box = box;
    this.#fields = fields;
    this.#changed = changed;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", () => (this.#from = null));
    box.addEventListener("keydown", (event) => this.#key(event));
    for (const name of FIELDS) fields[name].addEventListener("change", () => this.#read(name));
  }

  get region() {
    return this.#region;
  }

  set region(region) {
    this.#region = region && tidy(region);
    this.show();
  }

  get marking() {
    return this.#marking;
  }

  /** While it is on, dragging on the picture marks a region. */
  set marking(on) {
    this.#marking = on;
    this.#from = null;
    this.show();
  }

  show() {
    const part = this.#region ?? { x: 0, y: 0, width: 1, height: 1 };
    const left = this.mirror ? 1 - part.x - part.width : part.x;
    this.#box.hidden = !this.#region && !this.#marking;
    this.#box.classList.toggle("whole", !this.#region);
    this.#box.tabIndex = this.#marking ? 0 : -1;
    this.#stage.classList.toggle("marking", this.#marking);
    Object.assign(this.#box.style, {
      left: `${left * 100}%`, top: `${part.y * 100}%`, width: `${part.width * 100}%`, height: `${part.height * 100}%`,
    });
    for (const name of FIELDS) this.#fields[name].value = String(Math.round(part[name] * 100));
  }

  #set(region) {
    this.region = region;
    this.#changed(this.#region);
  }

  #at(event) {
    const area = this.#stage.getBoundingClientRect();
    const x = bound((event.clientX - area.left) / area.width, 0, 1), y = bound((event.clientY - area.top) / area.height, 0, 1);
    return { x: this.mirror ? 1 - x : x, y };
  }

  #between(a, b) {
    return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
  }

  #down(event) {
    if (!this.#marking || event.button !== 0) return;
    event.preventDefault();
    this.#stage.setPointerCapture(event.pointerId);
    this.#from = this.#at(event);
  }

  #move(event) {
    if (!this.#from) return;
    const drawn = this.#between(this.#from, this.#at(event));
    if (drawn.width > LEAST / 2 && drawn.height > LEAST / 2) this.region = drawn;
  }

  #up(event) {
    if (!this.#from) return;
    const drawn = this.#between(this.#from, this.#at(event));
    this.#from = null;
    if (drawn.width > LEAST / 2 && drawn.height > LEAST / 2) this.#set(drawn); // less is a click that slipped
  }

  #key(event) {
    const [across, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!this.#marking || !(across || down)) return;
    event.preventDefault();
    const part = this.#region ?? { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
    const right = this.mirror ? -across : across;
    this.#set(
      event.shiftKey
        ? { ...part, width: part.width + across * STEP, height: part.height + down * STEP }
        : { ...part, x: part.x + right * STEP, y: part.y + down * STEP },
    );
  }

  /** The number that was just given stays; what does not go with it gives way. */
  #read(given) {
    const part = Object.fromEntries(FIELDS.map((name) => [name, Number(this.#fields[name].value) / 100]));
    if (!Object.values(part).every(Number.isFinite)) return this.show();
    if (given === "x") part.width = Math.min(part.width, 1 - part.x);
    if (given === "y") part.height = Math.min(part.height, 1 - part.y);
    this.#set(part);
  }
}
