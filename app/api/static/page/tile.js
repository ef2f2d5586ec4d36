/**
 * Tile of one image in the gallery: its picture over a placeholder, a mark to select it, and its state.
 *
 * The gallery shows other images in the tiles that are out of view: new elements for each would keep the garbage
 * collector busy while the page is scrolled.
 */

import { h, icon } from "./dom.js";
import { daysUntil } from "./format.js";
import { placeholder } from "./thumbhash.js";

const DAY_MILLISECONDS = 86400000;
/** Time for which a finger rests on a tile to select it. */
const PRESS_MILLISECONDS = 450;
/** Distance in pixels by which a finger may move meanwhile. */
const PRESS_DISTANCE = 10;

export class Tile {
  /** `on` has `open(event, id)`, `select(id, {range, on})`, `focus(id)`, `retry(id)`, `broken(id)`, `may(scope)`, `trashDays`. */
  constructor(on) {
    this.on = on;
    this.id = null;
    this.shown = null;
    this.url = null;
    this.hash = null;
    this.picture = h("img", { alt: "", decoding: "async", draggable: false });
    this.name = h("span", { class: "tile-name", dir: "auto" });
    this.state = h("span", { class: "tile-state" });
    this.open = h("a", { class: "tile-open", tabIndex: -1, draggable: false, onclick: (event) => this.onClick(event) }, this.picture, this.state, this.name);
    this.check = h("input", { type: "checkbox", class: "tile-check", tabIndex: -1, onclick: (event) => on.select(this.id, { range: event.shiftKey, on: event.target.checked }) });
    this.element = h("div", { class: "tile", role: "gridcell" }, this.open, h("label", { class: "tile-mark" }, this.check));
    this.open.addEventListener("focus", () => on.focus(this.id));
    // An event may be that of the image shown before: the state of the picture decides.
    this.picture.addEventListener("load", () => this.isLoaded && this.element.classList.add("loaded", ...(wasCached(this.picture.src) ? ["cached"] : [])));
    this.picture.addEventListener("error", () => this.url && this.picture.complete && !this.isLoaded && on.broken(this.id));
    this.watchPress();
  }

  get isLoaded() {
    return this.picture.complete && this.picture.naturalWidth > 0;
  }

  show(image, { width, left, source, isTabStop, isSelected }) {
    this.id = image.id;
    this.element.style.left = `${left}px`;
    this.element.style.width = `${width}px`;
    this.setTabStop(isTabStop);
    this.setSelected(isSelected);
    if (source !== this.url) {
      this.url = source;
      if (source) this.picture.src = source;
      else this.picture.removeAttribute("src");
    }
    const shown = `${image.id} ${image.version} ${image.status} ${this.on.may("edit")}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const title = titleOf(image);
    this.open.href = `?image=${image.id}`;
    this.open.setAttribute("aria-label", labelOf(image, title, this.on.trashDays));
    this.check.setAttribute("aria-label", `Select ${title}`);
    this.name.textContent = title;
    this.element.className = `tile ${image.trashed_at ? "trashed" : image.status}${this.isLoaded ? " loaded" : ""}`;
    this.showPlaceholder(image.thumbhash);
    this.state.replaceChildren(...stateOf(image, this.on.trashDays));
    this.retry?.remove();
    this.retry = null;
    if (image.status === "failed" && !image.trashed_at && this.on.may("edit")) {
      this.retry = h("button", { type: "button", class: "tile-retry", tabIndex: this.open.tabIndex, "aria-label": `Try again: ${title}`, onclick: () => this.on.retry(this.id) }, icon("retry"), "Try again");
      this.element.append(this.retry);
    }
  }

  setTabStop(isTabStop) {
    this.open.tabIndex = isTabStop ? 0 : -1;
    if (this.retry) this.retry.tabIndex = this.open.tabIndex;
  }

  setSelected(isSelected) {
    this.check.checked = isSelected;
    this.element.setAttribute("aria-selected", String(isSelected));
  }

  showPlaceholder(hash) {
    if (hash === this.hash) return;
    this.hash = hash;
    const blurred = hash ? placeholder(hash, 16, this.blurred) : null;
    if (blurred) this.open.prepend((this.blurred = blurred));
    else this.blurred?.remove();
  }

  /** Leave the page, and end the load of the picture, until another image is shown. */
  release() {
    this.element.remove();
    clearTimeout(this.pressed);
    this.shown = null;
    this.url = null;
    this.picture.src = ""; // without the attribute, Chromium would show the old picture until the next one is loaded
  }

  onClick(event) {
    if (this.wasPressed) event.preventDefault();
    else this.on.open(event, this.id);
    this.wasPressed = false;
  }

  /** Select by a long press of a finger. Keys and the mark do the same. */
  watchPress() {
    let start = null;
    const stop = () => clearTimeout(this.pressed);
    this.open.addEventListener("pointerdown", (event) => {
      stop();
      this.wasPressed = false;
      if (event.pointerType !== "touch") return;
      start = event;
      this.pressed = setTimeout(() => {
        this.wasPressed = true;
        this.on.select(this.id);
      }, PRESS_MILLISECONDS);
    });
    this.open.addEventListener("pointermove", (event) => {
      if (start && Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > PRESS_DISTANCE) stop();
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) this.open.addEventListener(name, stop);
    this.open.addEventListener("contextmenu", (event) => event.pointerType === "touch" && event.preventDefault());
  }
}

performance.onresourcetimingbufferfull = () => performance.clearResourceTimings();

/** Return true if the browser had the image already: it does not fade in then. Images of other sites have no such timing. */
function wasCached(address) {
  const timing = performance.getEntriesByName(address).at(-1);
  return Boolean(timing?.encodedBodySize) && timing.transferSize === 0;
}

const titleOf = (image) => image.title || image.filename || "Untitled image";

/** Name of a tile: it contains the texts that the tile shows. */
function labelOf(image, title, trashDays) {
  const words = [image.status === "failed" ? `Failed: ${title}: ${image.error?.detail || "no reason given"}` : image.alt || title];
  if (image.status === "pending") words.push("processing");
  if (image.trashed_at) words.push(stateOf(image, trashDays)[0].textContent);
  if (image.visibility === "private") words.push("private");
  return words.join(", ");
}

function stateOf(image, trashDays) {
  const word = (text) => h("span", { class: "tile-word" }, text);
  if (image.trashed_at) {
    const days = trashDays ? daysUntil(new Date(image.trashed_at).getTime() + trashDays * DAY_MILLISECONDS) : 0;
    return [word(days === 1 ? "1 day left" : `${days} days left`)];
  }
  if (image.status === "pending") return [h("span", { class: "tile-bar" }), word("Processing")];
  if (image.status === "failed") {
    const reason = image.error?.detail || "Failed";
    return [icon("warning"), h("span", { class: "tile-failure" }, h("strong", { dir: "auto" }, titleOf(image)), " ", h("span", { class: "tile-reason", title: reason, dir: "auto" }, reason))];
  }
  return image.visibility === "private" ? [h("span", { class: "tile-lock", title: "Private" }, icon("lock"))] : [];
}
