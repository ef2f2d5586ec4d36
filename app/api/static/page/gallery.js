/** The gallery: days of justified rows. Only rows near the viewport have elements, so 10,000 images stay light. */

import { announce, h, icon } from "./dom.js";
import { day, dayKey, daysUntil } from "./format.js";
import { GUTTER, firstRowBelow, justify, ratioOf, rowHeight } from "./layout.js";
import { placeholder } from "./thumbhash.js";

const HEADING = 36;
const GAP = 16;
/** Rows within this many viewports above and below are kept. */
const NEAR = 1.5;
/** The next page is loaded this many viewports before the end. */
const AHEAD = 3;

export class Gallery {
  /** `actions` has `open(image)`, `retry(image)`. `root` is empty and is the scrolled element's only large child. */
  constructor(root, library, actions) {
    this.root = root;
    this.library = library;
    this.actions = actions;
    this.days = [];
    this.order = [];
    this.focused = null;
    this.tiles = new Map();
    root.setAttribute("role", "grid");
    root.setAttribute("aria-label", "Images");
    root.setAttribute("aria-multiselectable", "true");
    root.addEventListener("keydown", (event) => this.onKey(event));
    library.addEventListener("change", () => this.schedule());
    library.addEventListener("selection", () => this.showSelection());
    addEventListener("scroll", () => this.scheduleMount(), { passive: true });
    new ResizeObserver(() => this.schedule()).observe(root);
  }

  schedule() {
    this.layoutDue ??= requestAnimationFrame(() => {
      this.layoutDue = null;
      this.layout();
    });
  }

  scheduleMount() {
    this.mountDue ??= requestAnimationFrame(() => {
      this.mountDue = null;
      this.mount();
    });
  }

  /** Compute all rows anew. The boxes of the days have their final height before any image is loaded. */
  layout() {
    const width = this.root.clientWidth;
    if (!width) return;
    this.order = this.library.shown;
    this.index = new Map(this.order.map((image, at) => [image.id, at]));
    const wanted = rowHeight(innerWidth);
    const kept = new Map(this.days.map((each) => [each.key, each]));
    const days = [];
    let top = 0;
    for (let start = 0; start < this.order.length; ) {
      const key = dayKey(this.order[start].uploaded_at);
      let end = start;
      while (end < this.order.length && dayKey(this.order[end].uploaded_at) === key) end += 1;
      const each = kept.get(key) || this.buildDay(key, this.order[start].uploaded_at);
      kept.delete(key);
      const { rows, height } = justify(this.order.slice(start, end).map(ratioOf), width, wanted);
      Object.assign(each, { rows, start, top: top + HEADING, height });
      each.body.style.height = `${height}px`;
      top += HEADING + height + GAP;
      days.push(each);
      start = end;
    }
    for (const each of kept.values()) each.element.remove();
    for (const [at, each] of days.entries()) {
      if (this.root.children[at] !== each.element) this.root.insertBefore(each.element, this.root.children[at] || null);
    }
    this.days = days;
    this.root.setAttribute("aria-rowcount", String(days.reduce((sum, each) => sum + each.rows.length, 0)));
    if (this.focused === null || !this.index.has(this.focused)) this.focused = this.order[0]?.id ?? null;
    this.mount();
  }

  buildDay(key, time) {
    const body = h("div", { class: "day-rows", role: "rowgroup" });
    const element = h("section", { class: "day" }, h("h2", { class: "day-heading" }, day(time)), body);
    return { key, element, body, rows: [], mounted: new Map() };
  }

  /** Create the rows near the viewport and remove the others. */
  mount() {
    const offset = this.root.getBoundingClientRect().top;
    const from = -offset - innerHeight * NEAR;
    const until = -offset + innerHeight * (1 + NEAR);
    const alive = new Set();
    for (const each of this.days) {
      const wanted = new Map();
      if (each.top + each.height >= from && each.top <= until) {
        for (let at = firstRowBelow(each.rows, from - each.top); at < each.rows.length && each.rows[at].top + each.top <= until; at += 1) {
          const row = each.rows[at];
          wanted.set(at, row);
        }
      }
      for (const [at, element] of each.mounted) {
        if (!wanted.has(at)) {
          element.remove();
          each.mounted.delete(at);
        }
      }
      for (const [at, row] of wanted) this.mountRow(each, at, row, alive);
    }
    for (const [id, tile] of this.tiles) {
      if (!alive.has(id)) {
        tile.image.removeAttribute("src"); // frees the decoded picture
        this.tiles.delete(id);
      }
    }
    if (!this.library.isComplete && this.root.getBoundingClientRect().bottom < innerHeight * (1 + AHEAD)) this.library.more();
  }

  mountRow(each, at, row, alive) {
    let element = each.mounted.get(at);
    if (!element) {
      element = h("div", { class: "row", role: "row" });
      each.mounted.set(at, element);
      each.body.append(element);
    }
    element.style.transform = `translateY(${row.top}px)`;
    element.style.height = `${row.height}px`;
    const tiles = row.tiles.map(({ index, left, width }) => {
      const image = this.order[each.start + index];
      const tile = this.tiles.get(image.id) || this.buildTile(image);
      alive.add(image.id);
      this.showTile(tile, image, width, row.height);
      tile.element.style.left = `${left}px`;
      tile.element.style.width = `${width}px`;
      return tile.element;
    });
    if (tiles.length !== element.children.length || tiles.some((tile, number) => element.children[number] !== tile)) element.replaceChildren(...tiles);
  }

  buildTile(image) {
    const id = image.id;
    const picture = h("img", { alt: "", decoding: "async", loading: "lazy", draggable: false });
    const check = h("input", { type: "checkbox", class: "tile-check", tabIndex: -1, onclick: (event) => this.toggle(event, id) });
    const name = h("span", { class: "tile-name", dir: "auto" });
    const state = h("span", { class: "tile-state" });
    const open = h("a", { class: "tile-open", tabIndex: -1, onclick: (event) => this.onOpen(event, id) }, picture, state, name);
    const element = h("div", { class: "tile", role: "gridcell" }, open, check);
    open.addEventListener("focus", () => this.focus(id, false));
    const tile = { element, open, image: picture, check, name, state, version: null, shownUrl: null };
    picture.addEventListener("load", () => element.classList.add("loaded"));
    picture.addEventListener("error", () => element.classList.add("broken"));
    this.tiles.set(id, tile);
    return tile;
  }

  showTile(tile, image, width, height) {
    tile.open.tabIndex = image.id === this.focused ? 0 : -1;
    tile.check.checked = this.library.selected.has(image.id);
    tile.element.setAttribute("aria-selected", String(tile.check.checked));
    const source = sourceFor(image, width, height);
    if (source !== tile.shownUrl) {
      tile.shownUrl = source;
      if (source) tile.image.src = source;
      else tile.image.removeAttribute("src");
    }
    const version = `${image.version} ${image.status}`;
    if (tile.version === version) return;
    tile.version = version;
    const title = image.title || image.filename || "Untitled image";
    tile.open.href = `?image=${image.id}`;
    tile.open.setAttribute("aria-label", labelOf(image, title));
    tile.check.setAttribute("aria-label", `Select ${title}`);
    tile.name.textContent = title;
    tile.element.className = `tile ${image.trashed_at ? "trashed" : image.status} ${tile.image.complete && tile.image.naturalWidth ? "loaded" : ""}`;
    tile.element.style.setProperty("--dominant", image.dominant_color || "transparent");
    const old = tile.element.querySelector("canvas");
    const blurred = image.thumbhash && !old ? placeholder(image.thumbhash) : null;
    if (blurred) tile.open.prepend(blurred);
    tile.state.replaceChildren(...stateOf(image, this.actions));
  }

  onOpen(event, id) {
    if (event.ctrlKey || event.metaKey || event.button === 1) return; // a new tab
    event.preventDefault();
    if (event.shiftKey || this.library.selected.size) this.library.select(id, { range: event.shiftKey });
    else this.actions.open(this.library.byId.get(id));
  }

  toggle(event, id) {
    event.stopPropagation();
    this.library.select(id, { range: event.shiftKey, on: event.target.checked });
  }

  showSelection() {
    for (const [id, tile] of this.tiles) {
      tile.check.checked = this.library.selected.has(id);
      tile.element.setAttribute("aria-selected", String(tile.check.checked));
    }
    this.root.classList.toggle("selecting", this.library.selected.size > 0);
  }

  /** Make the tile the only tab stop of the grid, and focus it. */
  focus(id, move = true) {
    const before = this.tiles.get(this.focused);
    if (before) before.open.tabIndex = -1;
    this.focused = id;
    if (move) this.reveal(id);
    const tile = this.tiles.get(id);
    if (!tile) return;
    tile.open.tabIndex = 0;
    if (move) tile.open.focus({ preventScroll: true });
  }

  /** Scroll so that the image's row is visible, and create it. */
  reveal(id) {
    const place = this.placeOf(id);
    if (!place) return;
    const top = this.root.getBoundingClientRect().top + place.top;
    const header = 112;
    if (top < header) scrollBy(0, top - header);
    else if (top + place.height > innerHeight - GUTTER) scrollBy(0, top + place.height - innerHeight + GUTTER);
    this.mount();
  }

  placeOf(id) {
    const at = this.index.get(id);
    const each = this.days.findLast((one) => one.start <= at);
    const row = each?.rows.find((one) => one.tiles.some((tile) => tile.index === at - each.start));
    return row && { top: each.top + row.top, height: row.height, each, row, tile: row.tiles.find((tile) => tile.index === at - each.start) };
  }

  onKey(event) {
    const at = this.index?.get(this.focused);
    if (at === undefined || event.altKey || event.target.tagName === "INPUT") return;
    const rowsPerPage = Math.max(1, Math.floor((innerHeight - 112) / rowHeight(innerWidth)));
    const moves = {
      ArrowLeft: () => at - 1,
      ArrowRight: () => at + 1,
      ArrowUp: () => this.above(at, -1),
      ArrowDown: () => this.above(at, 1),
      PageUp: () => this.above(at, -rowsPerPage),
      PageDown: () => this.above(at, rowsPerPage),
      Home: () => 0,
      End: () => this.order.length - 1,
    };
    if (moves[event.key]) {
      event.preventDefault();
      const next = this.order[Math.max(0, Math.min(this.order.length - 1, moves[event.key]()))];
      if (event.shiftKey) {
        this.library.anchor ??= this.focused;
        const anchor = this.library.anchor;
        this.library.select(next.id, { range: true });
        this.library.anchor = anchor;
      }
      this.focus(next.id);
    } else if (event.key === " ") {
      event.preventDefault();
      this.library.select(this.focused, { range: event.shiftKey });
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.library.selectAll();
      announce(`${this.library.selected.size} selected`);
    } else if (event.key === "Escape" && this.library.selected.size) this.library.clearSelection();
    else if (event.key === "Delete") this.actions.delete(this.library.selected.size ? [...this.library.selected] : [this.focused]);
    else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.actions.open(this.library.byId.get(this.focused));
    }
  }

  /** Index of the image nearest to the middle of this one, some rows below, or above if negative. */
  above(at, rows) {
    const place = this.placeOf(this.order[at].id);
    const all = this.days.flatMap((each) => each.rows.map((row) => ({ row, start: each.start })));
    const now = all.findIndex((one) => one.row === place.row);
    const next = all[Math.max(0, Math.min(all.length - 1, now + rows))];
    const middle = place.tile.left + place.tile.width / 2;
    const distance = (tile) => Math.abs(tile.left + tile.width / 2 - middle);
    const nearest = next.row.tiles.reduce((best, tile) => (distance(tile) < distance(best) ? tile : best));
    return next.start + nearest.index;
  }
}

/** Url of the smallest variant of the whole image that fills a box on this screen. */
export function sourceFor(image, width, height) {
  const whole = image.variants.filter((each) => Math.abs(each.width * image.height - each.height * image.width) <= Math.max(image.width, image.height));
  const wanted = Math.min(devicePixelRatio, 2);
  const fits = whole.filter((each) => each.width >= width * wanted * 0.9 || each.height >= height * wanted * 0.9);
  const sorted = (fits.length ? fits : whole).toSorted((one, other) => (fits.length ? 1 : -1) * (one.width - other.width) || one.bytes - other.bytes);
  return sorted[0]?.url || null;
}

function labelOf(image, title) {
  const words = [image.alt || title];
  if (image.status !== "ready") words.push(image.status === "pending" ? "processing" : "failed");
  if (image.visibility === "private") words.push("private");
  return words.join(", ");
}

function stateOf(image, actions) {
  if (image.trashed_at) {
    const days = actions.trashDays ? daysUntil(new Date(image.trashed_at).getTime() + actions.trashDays * 86400000) : 0;
    return [h("span", { class: "tile-word" }, days === 1 ? "1 day left" : `${days} days left`)];
  }
  if (image.status === "pending") return [h("span", { class: "tile-bar" }), h("span", { class: "tile-word" }, "Processing")];
  if (image.status === "failed") return [icon("warning"), h("span", { class: "tile-reason" }, image.error?.detail || "Failed")];
  return image.visibility === "private" ? [h("span", { class: "tile-lock", title: "Private" }, icon("lock"))] : [];
}
