// The tab of invitations: links and QR codes with which people come.

import { api } from "../shared/api.js";
import { confirm, toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { several, when } from "/static/mien/format.js";

const camera = () => window.isSecureContext;
const HELP = "/phones";

/** The panel. `path` is the study's address in the API, `page` that of its pages; `told()` gives the server's study. */
export function invitationsPanel(study, { path, page, told, announce }) {
  const element = h("div", { class: "stack loose" });
  const list = h("ul", { class: "invitations" });
  const problem = h("p", { class: "problem break", role: "alert", hidden: true });
  const qrs = new Set(); // ids whose code is shown large
  let all = null;

  const variables = () => study.now.variables.filter((variable) => variable.by === "link" && variable.values.length);

  async function attempt(call) {
    problem.hidden = true;
    try {
      await call();
      return true;
    } catch (error) {
      say(problem, error.message);
      problem.hidden = false;
      return false;
    }
  }

  async function read() {
    await attempt(async () => {
      const found = await api("GET", `${path}/invitations`);
      all = found.items;
    });
    draw();
  }

  // --- a new one

  function form() {
    const label = h("input", { type: "text", maxlength: 200, autocomplete: "off", placeholder: "Friends of the cinema" });
    const once = h("select", {}, h("option", { value: "open" }, "one link for many"), h("option", { value: "once" }, "one person, once"));
    const limit = h("input", { type: "number", min: 1, max: 100000, step: 1, inputmode: "numeric", placeholder: "no limit" });
    const ends = h("input", { type: "datetime-local" });
    const groups = variables().map((variable) => [variable, h("select", {}, ...variable.values.map((value) => h("option", { value: value.id }, value.title || "without a name")))]);
    const limits = h("label", { class: "field" }, "At most", h("span", { class: "unit" }, limit, h("span", { class: "soft" }, "people")));
    once.addEventListener("change", () => (limits.hidden = once.value === "once"));
    return h(
      "form",
      { class: "card stack new-invitation", onsubmit: async (event) => {
        event.preventDefault();
        const body = {
          label: label.value.trim(), one_time: once.value === "once", limit: once.value === "once" || !limit.value ? null : Number(limit.value),
          ends_at: ends.value ? new Date(ends.value).toISOString() : null, groups: Object.fromEntries(groups.map(([variable, select]) => [variable.id, select.value])),
        };
        if (await attempt(async () => { await study.flush(); await api("POST", `${path}/invitations`, body); })) {
          event.target.reset();
          limits.hidden = false;
          await read();
          announce("The invitation is made.");
          list.querySelector("[data-copy]")?.focus();
        }
      } },
      h("h2", {}, "New invitation"),
      h("div", { class: "fields" },
        h("label", { class: "field" }, "For whom (a note)", label),
        h("label", { class: "field" }, "Works for", once), limits,
        h("label", { class: "field" }, "Ends", ends),
        ...groups.map(([variable, select]) => h("label", { class: "field" }, variable.title || "Group", select))),
      h("div", { class: "row" }, h("button", { class: "primary" }, "Make the invitation")),
    );
  }

  /** Who sits in one room needs no link. */
  function room() {
    return h("section", { class: "card stack tight", "aria-labelledby": "in-a-room" },
      h("h2", { id: "in-a-room" }, "Many people in one room"),
      h("p", { class: "soft" }, "One camera sees the audience while the film plays on another screen, or reads a film of the audience. They need no link, but have to be told first: hang up the notice."),
      h("div", { class: "row" }, h("a", { class: "button", href: `${page}/room` }, "Go to the room"), h("a", { class: "button", href: `${page}/notice` }, "Notice to print")));
  }

  // --- one

  const STATE = { open: ["Open", "good"], full: ["Full", "warn"], used: ["Used", "warn"], ended: ["Ended", "warn"], closed: ["Closed", "warn"] };

  function card(invitation) {
    const url = invitation.link, name = invitation.label || "Invitation";
    const { state } = invitation;
    const [word, kind] = STATE[state] ?? [state, ""];
    const here = `/take-part/${encodeURIComponent(invitation.id)}`; // on this machine, whether or not others reach it
    const field = h("input", { type: "text", readonly: true, value: url ?? "", "aria-label": `Link: ${name}`, class: "link-field", onfocus: () => field.select() });
    const copy = h("button", { type: "button", "data-copy": true, "aria-label": `Copy the link: ${name}`, onclick: async () => {
      try {
        await navigator.clipboard.writeText(url);
      } catch {
        field.select(); // an address without https has no clipboard of its own
        document.execCommand("copy");
      }
      toast("The link is copied.");
    } }, "Copy the link");
    const facts = [
      invitation.one_time ? "for one person" : invitation.limit ? `at most ${several(invitation.limit, "person", "people")}` : "for many",
      invitation.used ? `${several(invitation.used, "person", "people")} agreed` : "nobody yet",
      invitation.ends_at ? `${state === "ended" ? "ended" : "until"} ${when(invitation.ends_at)}` : null,
      ...study.now.variables.filter((variable) => invitation.groups?.[variable.id]).map((variable) => `${variable.title}: ${variable.values.find((value) => value.id === invitation.groups[variable.id])?.title ?? invitation.groups[variable.id]}`),
    ].filter(Boolean);
    const code = `${path}/invitations/${encodeURIComponent(invitation.id)}/qr.svg`;
    const big = qrs.has(invitation.id);
    return h(
      "li",
      { class: "card invitation", "data-invitation": invitation.id },
      url && h("button", { type: "button", class: `qr${big ? " big" : ""}`, "aria-pressed": String(big), "aria-label": `${big ? "Smaller" : "Larger"} QR code: ${name}`, onclick: () => {
        if (big) qrs.delete(invitation.id);
        else qrs.add(invitation.id);
        draw();
        list.querySelector(`[data-invitation="${invitation.id}"] .qr`).focus();
      } }, h("img", { src: code, alt: "", width: 100, height: 100 })),
      h("div", { class: "stack tight invitation-main" },
        h("div", { class: "row" }, h("h3", { class: "break" }, name), h("span", { class: `state ${kind}` }, word)),
        h("p", { class: "small soft tabular" }, facts.join(" · ")),
        url
          ? h("div", { class: "row link-row" }, field, copy)
          : h("p", {}, "No link yet: nobody else can open this computer’s address. ", h("a", { href: HELP }, "Let phones and other computers in"), "."),
        h("div", { class: "row" },
          h("a", { class: "button small", href: here, target: "_blank", rel: "noopener", "aria-label": `Open here: ${name}` }, "Open here"),
          !invitation.one_time && h("a", { class: "button small", href: `${here}?kiosk`, target: "_blank", rel: "noopener", title: "For a tablet at the door: it clears itself for the next guest" }, "Kiosk"),
          url && h("a", { class: "button small", href: `${page}/poster/${encodeURIComponent(invitation.id)}` }, "Poster to print"),
          url && h("a", { class: "button small", href: code, download: `${(invitation.label || "invitation").replace(/[^\p{L}\p{N}]+/gu, "-")}.svg` }, "QR code as a file"),
          h("button", { type: "button", class: "small", "aria-label": `${invitation.closed ? "Open again" : "Close"}: ${name}`, onclick: async () => {
            if (await attempt(() => api("PATCH", `${path}/invitations/${invitation.id}`, { closed: !invitation.closed }))) await read();
            list.querySelector(`[data-invitation="${invitation.id}"] [data-copy]`)?.focus();
          } }, invitation.closed ? "Open again" : "Close"),
          !invitation.used && h("button", { type: "button", class: "small plain danger", "aria-label": `Delete: ${name}`, onclick: async () => {
            if (!(await confirm({ title: "Delete this invitation?", text: "Who has its link cannot take part with it any more.", action: "Delete" }))) return;
            if (await attempt(() => api("DELETE", `${path}/invitations/${invitation.id}`))) await read();
            element.querySelector("form input").focus();
          } }, "Delete"))),
    );
  }

  function draw() {
    list.replaceChildren(...(all ?? []).map(card));
    if (element.querySelector("form") && element.dataset.groups === JSON.stringify(variables())) return tellState();
    element.dataset.groups = JSON.stringify(variables());
    element.replaceChildren(
      h("div", { class: "stack tight notices" }), problem, list, form(), room(),
    );
    return tellState();
  }

  function tellState() {
    const state = told().state;
    element.querySelector(".notices").replaceChildren(
      ...[
        state === "draft" && h("p", { class: "notice" }, "The study is a draft: its links say so until you open it."),
        state === "closed" && h("p", { class: "notice warn" }, "The study is closed: nobody can start with these links."),
        all?.some((one) => !one.link) && h("p", { class: "notice warn" }, `${location.host} is this computer, and nobody else reaches it. Who sits here can take part; for phones and other computers, `, h("a", { href: HELP }, "start mien so that they come in"), "."),
        !camera() && h("p", { class: "notice bad" }, "This page’s address does not begin with https. Browsers give no camera to such a page, so nobody could take part: ", h("a", { href: HELP }, "what to do"), "."),
      ].filter(Boolean),
    );
  }
  return { element, draw, enter: read };
}
