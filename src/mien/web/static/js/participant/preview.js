// An operator's preview of a participant's pages: nothing is asked of the camera, nothing is sent, nothing is kept.

import { api } from "../shared/api.js";
import { h } from "/static/mien/element.js";
import { actions, button, notice, show, w } from "./screen.js";
import { t } from "./texts.js";
import { NoCamera, NoSocket } from "./without-camera.js";

/** Stands for Client. Built from the study's definition, which only the operator may read. */
export class Preview {
  code = null;
  preview = true;
  camera = new NoCamera();
  #study; #id; #order = []; #positions = {}; #answers = {}; #step = "agreed";

  /** `id`: the study's. */
  constructor(id) {
    this.#id = id;
    const back = w("a", { href: `/studies/${encodeURIComponent(id)}` }, () => t("page.preview_back"));
    document.getElementById("main").before(h("div", { class: "column preview-note" }, notice("warn", h("p", {}, w("span", {}, () => t("page.preview")), " ", back))));
  }

  hurry() {}

  connect = () => new NoSocket();

  /** In place of the camera check and the quiet seconds. */
  cameraPage(next) {
    show(
      { title: () => t("camera.title") }, w("p", { class: "lead" }, () => t("camera.intro")), h("div", { class: "mirror", "data-state": "off" }),
      actions(button(() => t("page.next"), next)),
    );
  }

  async invitation() {
    const { definition } = await api("GET", `/api/studies/${encodeURIComponent(this.#id)}`);
    // Of two cuts of which each person watches one, it shows the first.
    const shown = definition.stimuli.filter(({ id }) => definition.cuts_shown !== "one" || id !== definition.cuts[1]);
    this.#study = { ...definition, stimuli: shown };
    this.#order = shown.map(({ id }) => id);
    return { study: this.#study, state: "open" };
  }

  async consent() {
    this.code = "0000-0000-0000";
    return this.code;
  }

  me = async () => ({
    study: this.#study, step: this.#step, order: this.#order, positions: this.#positions, answers: this.#answers, language: this.#study.languages[0], invitation: "", name: "0",
  });
  answers = async (part, answers, through = false) => {
    const kept = (this.#answers[part] = Object.fromEntries(Object.entries({ ...this.#answers[part], ...answers }).filter(([, one]) => one !== null)));
    const out = ({ id, screen_out = [] }) => [kept[id]].flat().some((one) => screen_out.includes(one));
    if (through && part === "before" && this.#study.before.some(out)) this.#step = "screened";
    return { answers: kept, step: this.#step };
  };
  step = async (step) => ({ step: (this.#step = step) });
  event = async () => null;
  opening = async () => null;
  curve = async () => ({ films: [] });
  leave = async () => null;
  export = async () => ({ blob: new Blob(["{}"], { type: "application/json" }), name: "preview.json" });
  films = async () => Object.fromEntries(this.#order.map((id) => [id, `/api/studies/${encodeURIComponent(this.#id)}/films/${encodeURIComponent(id)}`]));
}
