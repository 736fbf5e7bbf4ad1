// A question as a participant sees it, for the preview. Nothing that is chosen here is kept.

import { h } from "./element.js";
import { told } from "./study-text.js";

export function questionPreview(question, language, languages) {
  return h("p", {}, told(question.title, language, languages));
}
