// Files on their way to the server: one after the other, each with its progress, each can be stopped. A file that the server refuses
// stays in the list with the reason; a server that is gone or full is waited for.

import { upload } from "../shared/api.js";
import { h, say } from "/static/mien/element.js";
import { size } from "/static/mien/format.js";
import { bar, setBar } from "../shared/progress.js";

const AGAIN_MS = 4000;

/**
 * `list` gets a row per file that is not yet with the server; `sent(job)` is called when the server has one; `changed(n)` with how many
 * are still to be sent.
 */
export function uploads(list, { sent, changed }) {
  const waiting = [];
  let going = false;

  function add(file, fields) {
    const progress = bar(`Sending ${file.name}`);
    const text = h("p", { class: "soft small tabular break" }, "Waiting to be sent");
    const reason = h("p", { class: "problem break", role: "alert", hidden: true });
    const stop = h("button", { type: "button", class: "small", "aria-label": `Stop: ${file.name}`, onclick: () => item.stop() }, "Stop");
    const again = h("button", { type: "button", class: "small", hidden: true, "aria-label": `Try again: ${file.name}`, onclick: () => item.again() }, "Try again");
    const remove = h(
      "button",
      { type: "button", class: "small plain", hidden: true, "aria-label": `Remove: ${file.name}`, onclick: () => element.remove() },
      "Remove from the list",
    );
    const element = h(
      "li",
      { class: "job" },
      h("div", { class: "job-head" }, h("span", { class: "job-name break" }, file.name)),
      progress,
      h("div", { class: "job-foot" }, h("div", {}, text, reason), h("div", { class: "row job-acts" }, stop, again, remove)),
    );
    setBar(progress, 0, "waiting");

    const item = {
      file, fields, element, request: null, stopped: false,
      tell(words, share) {
        say(text, words);
        setBar(progress, share, words);
      },
      refuse(words) {
        reason.textContent = words;
        reason.hidden = again.hidden = remove.hidden = false;
        stop.hidden = progress.hidden = text.hidden = true;
      },
      stop() {
        item.stopped = true;
        item.request?.stop();
        element.remove();
        const at = waiting.indexOf(item);
        if (at >= 0) waiting.splice(at, 1);
        count();
      },
      again() {
        reason.hidden = again.hidden = remove.hidden = true;
        stop.hidden = progress.hidden = text.hidden = false;
        item.tell("Waiting to be sent", 0);
        waiting.push(item);
        count();
        go();
      },
    };
    waiting.push(item);
    list.append(element);
    count();
    go();
  }

  const count = () => changed(waiting.length + (going ? 1 : 0));

  async function go() {
    if (going) return;
    while (waiting.length) {
      const item = waiting.shift();
      going = true;
      await send(item);
      going = false;
      count();
    }
  }

  async function send(item) {
    for (;;) {
      const form = new FormData();
      for (const [name, value] of Object.entries(item.fields)) form.append(name, value);
      form.append("file", item.file, item.file.name);
      item.tell("Sending", 0);
      item.request = upload("/api/jobs", form, (bytes, total) => {
        const share = total ? bytes / total : null;
        item.tell(share === 1 ? "Sent; the server is taking it in" : `Sending: ${size(bytes)} of ${size(item.file.size)}`, share);
      });
      try {
        const job = await item.request.done;
        item.element.remove();
        sent(job);
        return;
      } catch (error) {
        if (item.stopped) return;
        if (error.status === 0 && !(await readable(item.file))) {
          item.refuse(`${item.file.name} cannot be read any more: it was moved or changed. Choose it again.`);
          return;
        }
        if (error.status !== 0 && error.status !== 429) {
          item.refuse(error.message);
          return;
        }
        item.tell(`${error.message} Trying again in a moment.`, null);
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        if (item.stopped) return;
      }
    }
  }

  return { add, get busy() { return going || waiting.length > 0; } };
}

/** Whether the file is still there: a browser says no more than "failed" about one that is gone. */
const readable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);
