/** Small helpers for elements. Text from users goes in as text nodes only. */

/**
 * Build an element. Properties starting with `on` are listeners, `class` and `aria-*`/`data-*`/`role` are attributes,
 * others are properties. Children are nodes or texts; null and false are left out.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class" || name === "for" || name.includes("-") || name === "role" || name === "list") {
      element.setAttribute(name, value === true ? "" : String(value));
    } else element[name] = value;
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SHAPES = {
  upload: "M8 11V2.5M4.5 6 8 2.5 11.5 6M2.5 10.5v3h11v-3",
  close: "m3.5 3.5 9 9m0-9-9 9",
  check: "m3 8.5 3.5 3.5L13 4.5",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 11.8v.2",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10m3.6-1.4 3.4 3.4",
  left: "m10 3-5 5 5 5",
  right: "m6 3 5 5-5 5",
  trash: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.5 9h7l.5-9",
  tag: "M2.5 2.5h5l6 6-5 5-6-6zM5.2 5.2v.1",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4",
  retry: "M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3",
  download: "M8 2.5V11M4.5 7.5 8 11l3.5-3.5M2.5 13.5h11",
  target: "M8 12.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M8 1v3m0 8v3M1 8h3m8 0h3",
  copy: "M5.5 5.5h8v8h-8zM2.5 10.5v-8h8",
  plus: "M8 3v10M3 8h10",
  down: "m3.5 6 4.5 4.5L12.5 6",
};

/** Build an icon of 16 px. It is hidden from screen readers: its control has a text or a label. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** Build a button with an icon, whose label is read and shown as a tooltip. */
export function iconButton(name, label, onclick, properties = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...properties }, icon(name));
}

/** Move the focus to the gallery, or to the header if it is empty: where the keyboard goes on when its control is gone. */
export function focusPage() {
  (document.querySelector("#gallery [tabindex='0']") || document.querySelector("#header input, #header button"))?.focus();
}

/** Announce a text to screen readers. Outside of an open dialog nothing is read, so each has a region of its own. */
export function announce(text) {
  const region = [...document.querySelectorAll("dialog[open] .live")].at(-1) || document.getElementById("live");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text));
}
