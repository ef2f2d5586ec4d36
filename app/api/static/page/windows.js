/** Small windows: toasts, questions, help. */

import { announce, focusPage, h, iconButton } from "./dom.js";
import { count } from "./format.js";

const SECONDS = 8;

/** Show a sentence for a few seconds; longer while the pointer or the focus is on it. `undo` is `{label, action}`. */
export function toast(text, { undo = null, short = false } = {}) {
  const place = [...document.querySelectorAll("dialog[open] .toasts")].at(-1) || document.getElementById("toasts");
  const element = h("div", { class: "toast" }, h("span", { dir: "auto" }, text));
  const close = () => {
    const hadFocus = element.contains(document.activeElement);
    element.remove();
    const dialog = place.closest("dialog");
    if (hadFocus) dialog ? dialog.querySelector("[autofocus]").focus() : focusPage();
  };
  if (undo) element.append(h("button", { type: "button", class: "link", onclick: () => { close(); undo.action(); } }, undo.label));
  element.append(iconButton("close", "Dismiss", close));
  let timer = null;
  const wait = () => (timer = setTimeout(close, short ? 2000 : SECONDS * 1000));
  const stop = () => clearTimeout(timer);
  for (const name of ["pointerenter", "focusin"]) element.addEventListener(name, stop);
  for (const name of ["pointerleave", "focusout"]) element.addEventListener(name, () => { stop(); wait(); });
  const isSame = (other) => !undo && !other.querySelector(".link") && other.firstChild.textContent === text;
  for (const other of [...place.children].filter(isSame)) other.remove();
  while (place.childElementCount > 2) place.firstElementChild.remove();
  place.append(element);
  announce(text);
  wait();
}

/** Open a dialog with this content. Returns its `returnValue` when it is closed; empty if it was canceled. */
export function ask(title, content, buttons) {
  const id = `title-${Math.random().toString(36).slice(2)}`;
  const form = h("form", { method: "dialog" }, h("h2", { id }, title), content, h("div", { class: "buttons end" }, buttons));
  const dialog = h("dialog", { class: "small-window", "aria-labelledby": id }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Build a button that closes its dialog. Without a value it cancels, and Enter in a field does not press it. */
export function answer(value, label, kind = "") {
  const cancels = kind.includes("cancel");
  const close = (event) => event.currentTarget.closest("dialog").close();
  return h("button", { class: `button ${kind}`, value, type: cancels ? "button" : "submit", onclick: cancels ? close : null }, label);
}

export async function confirmDelete(number) {
  const what = number === 1 ? "this image" : `${count(number)} images`;
  const words = number === 1 ? "Its URLs stop working." : "Their URLs stop working.";
  const given = await ask(`Delete ${what} for good?`, h("p", { class: "note" }, words), [answer("", "Cancel", "cancel"), answer("yes", number === 1 ? "Delete image" : `Delete ${count(number)} images`, "danger-filled")]);
  return given === "yes";
}

export async function askForKey(wrong) {
  const input = h("input", { type: "password", class: "field", id: "key", name: "key", autocomplete: "off", required: true, spellcheck: false, "aria-invalid": String(wrong) });
  const words = wrong ? "The key is not valid. Enter another one." : "This service asks for an API key. It is kept until you close this tab.";
  const given = await ask("API key", h("div", { class: "field-line" }, h("label", { for: "key", class: wrong ? "warning" : "" }, words), input), [answer("", "Cancel", "cancel"), answer("yes", "Continue", "primary")]);
  return given === "yes" ? input.value.trim() : null;
}

/** Ask for a text, such as tags. Returns null if canceled. */
export async function askForText(title, label, { value = "", placeholder = "", list = [] } = {}) {
  const input = h("input", { class: "field", id: "text", value, placeholder, dir: "auto", required: true, list: list.length ? "choices" : null });
  const choices = list.length ? h("datalist", { id: "choices" }, list.map((each) => h("option", { value: each }))) : null;
  const given = await ask(title, h("div", { class: "field-line" }, h("label", { for: "text" }, label), input, choices), [answer("", "Cancel", "cancel"), answer("yes", title, "primary")]);
  return given === "yes" ? input.value : null;
}

/** Show a text to copy by hand. */
export function showText(text) {
  const area = h("textarea", { class: "field", rows: 5, readOnly: true, value: text, id: "copied" });
  ask("Copy this", h("div", { class: "field-line" }, h("label", { for: "copied" }, "The browser does not let pages write to the clipboard here."), area), [answer("", "Close")]);
  area.select();
}

const KEYS = [
  ["← → ↑ ↓", "Move in the gallery, or to the next image"],
  ["Enter", "Open the image"],
  ["Space", "Select the image"],
  ["Shift + arrows", "Select a range"],
  ["Ctrl + A", "Select all that are loaded"],
  ["Delete", "Delete the image, or those that are selected"],
  ["f", "Set the focal point"],
  ["e", "Edit the title"],
  ["+ − 0", "Zoom"],
  ["Esc", "Close, or end the selection"],
  ["?", "Show these keys"],
];

export function showHelp() {
  ask("Keyboard shortcuts", h("dl", { class: "facts keys" }, KEYS.map(([name, what]) => [h("dt", {}, h("kbd", {}, name)), h("dd", {}, what)])), [answer("", "Close")]);
}
