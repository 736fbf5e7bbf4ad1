// Logs in without leaving the page when the password is wrong. Without this script the form does it by itself.

import { errorOf } from "../shared/api.js";
import { say } from "/static/mien/element.js";

const form = document.getElementById("login"), field = document.getElementById("password"), state = document.getElementById("state");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  say(state, "");
  try {
    const answer = await fetch("/api/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ password: field.value }),
    });
    if (!answer.ok) throw errorOf(answer.status, await answer.text());
    location.assign(form.dataset.next);
  } catch (error) {
    say(state, error.status === undefined ? "The server cannot be reached. Is mien still running?" : error.message);
    field.setAttribute("aria-invalid", "true");
    button.disabled = false;
    field.select();
    field.focus();
  }
});
