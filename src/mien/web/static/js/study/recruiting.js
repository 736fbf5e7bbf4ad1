// The tab of recruiting: how people come from a panel or a survey, and what they are given to go back with.

import { h, say } from "/static/mien/element.js";
import { several } from "/static/mien/format.js";

/** Where people are recruited → the parameters that it puts into the address, and how an invitation's link asks for them. */
const FROM = {
  Prolific: [["PROLIFIC_PID", "STUDY_ID", "SESSION_ID"], (name) => `{{%${name}%}}`],
  Qualtrics: [["ResponseID", "SurveyID"], (name) => `\${e://Field/${name}}`],
};
const PARAMETER = /^[A-Za-z_][A-Za-z0-9_.-]{0,39}$/;
const ENDS = {
  finished: ["Who came to the end", "In Prolific the address of “completed”: https://app.prolific.com/submissions/complete?cc=…"],
  screened_out: ["Who was screened out, or whose group was full", ""],
  withdrawn: ["Who left or withdrew", "Also offered to who does not agree, and where the study is full or over."],
};

/** What stands in braces in an address and cannot be filled in. */
const unfilled = (address, names) => [...address.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name).filter((name) => name !== "code" && !names.includes(name));

function leadsSomewhere(address) {
  try {
    const { protocol, hostname } = new URL(address.replace(/\{[^{}]*\}/g, "x"));
    return ["http:", "https:"].includes(protocol) && Boolean(hostname) && /^https?:\/\/[^/?#{]+(?:[/?#]|$)/i.test(address) && !/[\s\x00-\x1f"<>\\]/.test(address);
  } catch {
    return false;
  }
}

/** The panel. `path` is the study's address in the API. */
export function recruitingPanel(study, { path, changed }) {
  const element = h("div", { class: "stack loose" });
  const now = () => study.now.recruiting;
  const put = (fields) => {
    study.set("recruiting", { ...now(), ...fields });
    changed();
  };

  function parameters() {
    const problem = h("span", { class: "problem", hidden: true });
    const input = h("input", { type: "text", value: now().identifiers.join(", "), autocomplete: "off", spellcheck: "false", maxlength: 500, placeholder: "none", name: "identifiers", oninput: () => {
      const names = [...new Set(input.value.split(/[\s,]+/).filter(Boolean))];
      const wrong = names.filter((name) => !PARAMETER.test(name) || name === "code");
      const used = Object.keys(ENDS).flatMap((one) => unfilled(now()[one].address, names));
      say(problem, used.length ? `An address below is filled in with ${used.join(", ")}; change that first.` : wrong.length ? `Not the name of a parameter: ${wrong.join(", ")}` : names.length > 10 ? "Ten at most." : "");
      problem.hidden = !problem.textContent;
      if (problem.hidden) {
        put({ identifiers: names });
        links();
      }
    } });
    const quick = Object.entries(FROM).map(([from, [names]]) => h("button", { type: "button", class: "small", onclick: () => {
      const used = Object.keys(ENDS).flatMap((one) => unfilled(now()[one].address, names));
      put({ identifiers: [...new Set([...names, ...used])] });
      draw();
      element.querySelector("[name=identifiers]").focus();
    } }, from));
    const linked = h("ul", { class: "hint plain-lines" });
    function links() {
      const asks = Object.entries(FROM).filter(([, [names]]) => names.every((name) => now().identifiers.includes(name)));
      linked.replaceChildren(...asks.map(([from, [names, ask]]) => h("li", {}, `In ${from} put behind an invitation’s link: `, h("code", { class: "break" }, `?${names.map((name) => `${name}=${ask(name)}`).join("&")}`))));
    }
    links();
    return h("section", { class: "card stack" }, h("h2", {}, "From elsewhere"),
      h("p", { class: "soft" }, "Panels and surveys say in the address who comes. What is named here is kept of those who agree, apart from what is measured and answered: it is in no report, goes into one table, and is erased with the person. The consent text has to name it; the ready-made text does so by itself."),
      h("label", { class: "field" }, "Parameters of the address that are kept", input, problem),
      h("div", { class: "row" }, h("span", { class: "small soft" }, "As sent by:"), ...quick), linked,
      h("div", {}, h("a", { class: "button small", href: `${path}/identifiers.csv`, download: "" }, "Who came and how it ended, as a table")));
  }

  function end(name) {
    const [title, hint] = ENDS[name];
    const field = (of, label, most, more = {}) => {
      const problem = h("span", { class: "problem", hidden: true });
      const input = h("input", { type: "text", value: now()[name][of], maxlength: most, autocomplete: "off", spellcheck: "false", name: `${name}-${of}`, ...more, oninput: () => {
        const value = input.value.trim();
        const open = of === "address" ? unfilled(value, now().identifiers) : [];
        const wrong = open.length ? `Not kept, so it cannot be filled in: ${open.join(", ")}` : of === "address" && value && !leadsSomewhere(value) ? "An address that begins with https:// and a server’s name, please; only what comes behind that is filled in." : "";
        say(problem, wrong);
        problem.hidden = !wrong;
        input.setAttribute("aria-invalid", String(Boolean(wrong)));
        if (!wrong) put({ [name]: { ...now()[name], [of]: value } });
      } });
      return h("label", { class: "field" }, label, input, problem);
    };
    return h("fieldset", { class: "stack tight" }, h("legend", {}, title),
      h("div", { class: "fields" }, field("code", "Code", 100), field("address", "Address to go back to", 2000, { inputmode: "url", placeholder: "https://" })),
      hint && h("p", { class: "hint" }, hint));
  }

  function draw() {
    const screens = study.now.before.filter((question) => question.screen_out?.length).length, full = study.now.variables.flatMap((variable) => variable.values).filter((value) => value.most).length;
    element.replaceChildren(parameters(),
      h("section", { class: "card stack" }, h("h2", {}, "And back"),
        h("p", { class: "soft" }, "At each end people are shown a code to hand in and a button that leads back. In an address ", h("code", {}, "{code}"), " and kept parameters in braces, as ", h("code", {}, "{PROLIFIC_PID}"), ", are filled in."),
        ...Object.keys(ENDS).map(end)),
      h("section", { class: "card stack tight" }, h("h2", {}, "Who is looked for"),
        h("p", {}, "Who is screened out, ", h("a", { href: "#questions" }, "by answers before the film"), `: ${screens ? several(screens, "question") : "nobody"}.`),
        h("p", {}, "Quotas, ", h("a", { href: "#groups" }, "at most so many of a group"), `: ${full ? several(full, "group") : "none"}.`)));
  }
  return { element, draw };
}
