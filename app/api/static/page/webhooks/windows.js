/** Questions about endpoints, and the window that shows a secret once. */

import { h, icon } from "../dom.js";
import { answer, ask } from "../windows.js";

const EVENTS = ["image.uploaded", "image.ready", "image.failed", "image.updated", "image.deleted"];

const line = (id, label, input, note = null) => h("div", { class: "field-line" }, h("label", { for: id }, label), input, note ? h("span", {}, note) : null);

/** Ask for the fields of an endpoint. `problem` is why the service refused them. Returns null if canceled. */
export async function askForEndpoint({ url, description, owner, events }, problem) {
  const refused = problem?.document?.field;
  const input = (name, value, more = {}) => h("input", { class: "field", id: `endpoint-${name}`, value, dir: "auto", "aria-invalid": refused === name ? "true" : null, ...more });
  const address = input("url", url, { type: "url", required: true, placeholder: "https://hooks.example.com/darkroom", spellcheck: false, autocomplete: "off" });
  const about = input("description", description, { maxLength: 200 });
  const whose = input("owner", owner, { spellcheck: false, autocomplete: "off", placeholder: "All owners" });
  const boxes = EVENTS.map((name) => h("input", { type: "checkbox", value: name, checked: !events || events.includes(name) }));
  const content = h(
    "div",
    { class: "panel-fields" },
    problem ? h("p", { class: "warning", role: "alert" }, icon("warning"), problem.message) : null,
    line("endpoint-url", "URL", address),
    h("fieldset", { class: "panel-events" }, h("legend", {}, "Events"), EVENTS.map((name, at) => h("label", {}, boxes[at], name))),
    line("endpoint-owner", "Owner of the images", whose),
    line("endpoint-description", "Description", about),
  );
  const given = await ask("Create endpoint", content, [answer("", "Cancel", "cancel"), answer("yes", "Create endpoint", "primary")]);
  if (given !== "yes") return null;
  const chosen = boxes.filter((each) => each.checked).map((each) => each.value);
  return { url: address.value.trim(), description: about.value, owner: whose.value.trim(), events: chosen.length && chosen.length < EVENTS.length ? chosen : null };
}

/** Show the secret of an endpoint, which the service returns only once. */
export function showSecret({ url, secret }) {
  const shown = h("input", { class: "field secret", id: "secret", readOnly: true, value: secret, onfocus: () => shown.setSelectionRange(0, secret.length, "backward") });
  const said = h("span", { role: "status", class: "note" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      said.textContent = "Copied.";
    } catch {
      shown.focus();
      said.textContent = "The browser does not let pages write to the clipboard here. The secret is selected: press Ctrl + C.";
    }
  };
  const content = h(
    "div",
    { class: "panel-fields" },
    h("p", { class: "note" }, "Your server checks signatures with it. It is shown only now: store it before you close this window. To get another one, rotate it."),
    line("secret", `Secret of ${url}`, h("div", { class: "panel-secret" }, shown, h("button", { type: "button", class: "button", onclick: copy }, icon("copy"), "Copy"))),
    said,
  );
  return ask("Signing secret", content, [answer("", "Close", "primary")]);
}

export const confirmDeletion = async ({ url }) =>
  (await ask("Delete this endpoint?", h("p", { class: "note", dir: "auto" }, `${url} gets no more requests. Its pending deliveries are dropped.`), [answer("", "Cancel", "cancel"), answer("yes", "Delete endpoint", "danger-filled")])) === "yes";

export const confirmRotation = async ({ url }) =>
  (await ask("Rotate the secret?", h("p", { class: "note", dir: "auto" }, `${url} gets a new secret. Requests are signed with both for 24 hours.`), [answer("", "Cancel", "cancel"), answer("yes", "Rotate secret", "primary")])) === "yes";
