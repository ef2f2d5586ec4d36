/** Parts that lists of endpoints and of deliveries share. */

import { fill, h } from "../dom.js";

/** Build a section with a heading and what stands beside it. */
export function panelSection(title, beside, ...content) {
  return h("section", { class: "panel-section" }, h("div", { class: "panel-line" }, h("h3", {}, title), beside), content);
}

/** Build a small button. `action` tells the buttons of a row apart; `label` begins with the visible words. */
export const button = (action, words, label, onclick, kind = "") =>
  h("button", { type: "button", class: `button ${kind}`, "data-action": action, "aria-label": label, onclick }, words);

/** Build the word of a state. Its color adds nothing that the word does not say. */
export const stateWord = (state) => h("span", { class: "state", "data-state": state }, state[0].toUpperCase() + state.slice(1));

/** Replace the rows of a list. The focus stays on its control, or goes to `otherwise` if that is gone. */
export function refill(list, rows, otherwise) {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const id = focused?.closest("[data-id]")?.dataset.id;
  const action = focused?.dataset.action;
  fill(list, rows);
  if (!focused) return;
  const row = [...list.children].find((each) => each.dataset.id === id);
  const again = row && [...row.querySelectorAll("[data-action]")].find((each) => each.dataset.action === action);
  (again || row?.querySelector("[data-action]") || otherwise).focus();
}

/** Show why a list is empty, or could not be loaded. */
export const message = (words, again = null) =>
  h("li", { class: "note panel-empty" }, h("span", {}, words), again ? h("button", { type: "button", class: "link", onclick: again }, "Try again") : null);

/** Return the host of a url, for lines that are short. */
export function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/** Say what came of an attempt: `503 after 87 ms`. */
export const outcome = ({ status, error, ms }) => `${status ?? `No answer (${error})`} after ${ms.toLocaleString("en")} ms`;
