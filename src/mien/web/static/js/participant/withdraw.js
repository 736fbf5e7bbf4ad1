// The page on which a participant sees what is kept, and has it erased.

import { h } from "/static/mien/element.js";
import { Client } from "./client.js";
import { codeForm, forgetCode, save } from "./code.js";
import { GoneLine, actions, ask, button, retitle, show, told, w, wrong } from "./screen.js";
import { wayBack } from "./recruited.js";
import { clock, onLanguage, t, theirs, tongue } from "./texts.js";

const gone = new GoneLine();
const client = new Client("", (so) => gone.set(so, () => client.hurry()));

onLanguage(retitle);

function enter() {
  client.code = null;
  show(
    { title: () => t("withdraw.title") }, w("p", { class: "lead" }, () => t("withdraw.text")),
    codeForm(() => t("withdraw.look"), async (code) => {
      client.code = code;
      kept(await client.me());
    }),
  );
}

function kept(me) {
  const { study } = me;
  const row = (title, ...texts) => [w("dt", {}, title), h("dd", {}, texts.map((text) => w("p", {}, text)))];
  const films = Object.entries(me.positions).map(([id, until_s]) => () => t("withdraw.film_until", { title: study.stimuli.find((stimulus) => stimulus.id === id)?.title ?? id, time: clock(until_s) }));
  const answers = Object.values(me.answers).reduce((sum, part) => sum + Object.keys(part).length, 0);
  show(
    { title: () => t("withdraw.kept") },
    h(
      "dl", { class: "pairs card" },
      row(() => t("withdraw.study"), () => theirs(study.title)), row(() => t("withdraw.contact"), () => study.contact),
      row(() => t("withdraw.agreed"), () => new Date(me.consented_at).toLocaleString(tongue(), { dateStyle: "long", timeStyle: "short" })),
      row(() => t("withdraw.films"), ...(films.length ? films : [() => t("withdraw.nothing")])),
      row(() => t("withdraw.answers"), answers ? () => String(answers) : () => t("withdraw.nothing")),
      row(() => t("withdraw.pictures"), me.pictures ? () => t("withdraw.pictures_yes") : () => t("withdraw.pictures_no")),
    ),
    h("div", { class: "row" }, button(() => t("done.export"), async () => save(await client.export()), "small")),
    actions(button(() => t("withdraw.erase"), () => erase(me), "primary danger"), button(() => t("withdraw.keep"), enter, "plain")),
  );
}

async function erase() {
  if (!(await ask({ title: () => t("withdraw.sure_title"), text: () => t("withdraw.sure_text"), yes: () => t("withdraw.erase"), no: () => t("withdraw.keep"), danger: true }))) return;
  let proof;
  try {
    proof = await client.erase();
  } catch (error) {
    show({ title: () => t("withdraw.left_title") }, w("p", { class: "lead" }, () => t("withdraw.left_text")), wrong(error), actions(button(() => t("page.again"), erase)));
    return;
  }
  const { erased, left } = proof, whole = left.rows + left.files === 0;
  if (whole) forgetCode(client.code);
  const line = (title, found) => [w("dt", {}, title), w("dd", {}, () => t("withdraw.proof", { rows: found.rows, files: found.files }))];
  show(
    { title: whole ? () => t("withdraw.done_title") : () => t("withdraw.left_title") },
    whole ? w("p", { class: "lead" }, () => t("withdraw.done_text")) : told("bad", () => t("withdraw.left_title"), () => t("withdraw.left_text")),
    wayBack(proof.ending),
    h("dl", { class: "pairs card proof" }, line(() => t("withdraw.erased"), erased), line(() => t("withdraw.left"), left)),
    whole ? null : actions(button(() => t("page.again"), erase)),
  );
}

enter();
