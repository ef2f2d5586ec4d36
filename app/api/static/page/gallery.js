/** The gallery: days of justified rows. Only rows near the viewport have elements, so 10,000 images stay light. */

import { h } from "./dom.js";
import { day, dayKey } from "./format.js";
import { onGridKey, remaining } from "./grid_keys.js";
import { GUTTER, firstRowBelow, justify, ratioOf, rowHeight } from "./layout.js";
import { Tile } from "./tile.js";

const HEADING = 36;
const GAP = 16;
/** Rows within this many viewports above and below are kept. */
const NEAR = 1.5;
/** The next page is loaded this many viewports before the end. */
const AHEAD = 3;
/** Time for elements in one frame. Rows in the viewport are built regardless, others in later frames. */
const FRAME_MILLISECONDS = 8;

export class Gallery {
  /** `actions` has `open(image)`, `retry(id)`, `refresh(id)`, `delete(ids)`, `may(scope)`, `help()`. `root` is empty. */
  constructor(root, library, actions) {
    this.root = root;
    this.library = library;
    this.actions = actions;
    this.days = [];
    this.order = [];
    this.index = new Map();
    this.dayKeys = new WeakMap();
    this.revision = 0;
    this.focused = null;
    this.tiles = new Map();
    this.spare = []; // tiles out of view, for the next images
    this.handlers = {
      open: (event, id) => this.onOpen(event, id),
      select: (id, how) => this.library.select(id, how),
      focus: (id) => this.focus(id, false),
      retry: (id) => this.retry(id),
      broken: (id) => actions.refresh(id),
      may: (scope) => actions.may(scope),
      trashDays: actions.trashDays,
    };
    root.setAttribute("role", "grid");
    root.setAttribute("aria-label", "Images");
    root.setAttribute("aria-multiselectable", "true");
    root.addEventListener("keydown", (event) => onGridKey(this, event));
    // Keys that are expected to work without a focus too: Ctrl + A would select the words of the page.
    document.addEventListener("keydown", (event) => {
      const isExpected = event.key === "?" || (event.key === "a" && (event.ctrlKey || event.metaKey));
      if (isExpected && event.target === document.body && !document.querySelector("dialog[open]")) onGridKey(this, event);
    });
    library.addEventListener("change", () => this.schedule());
    library.addEventListener("selection", () => this.showSelection());
    library.addEventListener("filter", () => (this.focused = null));
    addEventListener("scroll", () => this.onScroll(), { passive: true });
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

  onScroll() {
    this.library.hasFailed = false;
    this.scheduleMount();
  }

  /** Compute the rows. The boxes of the days have their final height before any image is loaded. */
  layout() {
    const width = this.root.clientWidth;
    if (!width) return;
    const anchor = this.firstVisible();
    const before = this.order;
    const at = this.index.get(this.focused);
    const hadFocus = this.root.contains(document.activeElement);
    this.order = [...this.library.shown];
    this.index = new Map(this.order.map((image, at) => [image.id, at]));
    this.revision += 1;
    const wanted = rowHeight(innerWidth);
    const kept = new Map(this.days.map((each) => [each.key, each]));
    const days = [];
    let top = 0;
    let firstRow = 1; // of the grid; the heading of each day is a row
    for (let start = 0; start < this.order.length; ) {
      const key = this.dayOf(this.order[start]);
      let end = start;
      while (end < this.order.length && this.dayOf(this.order[end]) === key) end += 1;
      const each = kept.get(key) || this.buildDay(key, this.order[start].uploaded_at);
      kept.delete(key);
      const hasMore = end === this.order.length && !this.library.isComplete && !this.library.search;
      this.layDay(each, this.order.slice(start, end).map(ratioOf), width, wanted, hasMore);
      Object.assign(each, { start, firstRow, top: top + HEADING });
      each.heading.setAttribute("aria-rowindex", String(firstRow));
      top += HEADING + each.height + GAP;
      firstRow += 1 + each.rows.length;
      days.push(each);
      start = end;
    }
    for (const each of kept.values()) each.element.remove();
    for (const [at, each] of days.entries()) {
      if (this.root.children[at] !== each.element) this.root.insertBefore(each.element, this.root.children[at] || null);
    }
    this.days = days;
    this.root.setAttribute("aria-rowcount", String(this.library.isComplete ? firstRow - 1 : -1));
    this.focused = ((at === undefined ? null : remaining(before, at, this.index)) || this.order[0])?.id ?? null;
    this.keepInView(anchor, before);
    this.mount();
    if (hadFocus && !this.root.contains(document.activeElement)) this.tiles.get(this.focused)?.open.focus({ preventScroll: true });
  }

  dayOf(image) {
    let key = this.dayKeys.get(image);
    if (!key) this.dayKeys.set(image, (key = dayKey(image.uploaded_at)));
    return key;
  }

  /** Compute the rows of a day, unless nothing that they depend on has changed. */
  layDay(each, ratios, width, wanted, hasMore) {
    const { made } = each;
    const isSame = made && made.width === width && made.wanted === wanted && made.hasMore === hasMore && made.ratios.length === ratios.length;
    if (isSame && ratios.every((ratio, at) => ratio === made.ratios[at])) return;
    Object.assign(each, justify(ratios, width, wanted, hasMore), { made: { ratios, width, wanted, hasMore } });
    each.body.style.height = `${each.height}px`;
  }

  buildDay(key, time) {
    const body = h("div", { class: "day-rows", role: "none" });
    const heading = h("div", { class: "day-heading", role: "row" }, h("div", { role: "rowheader" }, h("h2", {}, day(time))));
    const element = h("div", { class: "day", role: "rowgroup" }, heading, body);
    return { key, element, heading, body, rows: [], height: 0, mounted: new Map() };
  }

  /** The first image in view and its distance from the top of the window; null if the page is not scrolled. */
  firstVisible() {
    const top = -this.root.getBoundingClientRect().top;
    const each = top > 0 ? this.days.find((one) => one.top + one.height >= top) : null;
    const row = each?.rows[firstRowBelow(each.rows, top - each.top)];
    const image = row && this.order[each.start + row.tiles[0].index];
    return image ? { at: each.start + row.tiles[0].index, distance: each.top + row.top - top } : null;
  }

  /** Scroll so that an image stays where it was when the images before it change; if it is gone, the next one. */
  keepInView(anchor, before) {
    if (!anchor) return;
    const image = remaining(before, anchor.at, this.index);
    const place = image && this.placeOf(image.id);
    if (!place) return;
    const moved = place.top + this.root.getBoundingClientRect().top - anchor.distance;
    if (Math.abs(moved) >= 1) scrollBy(0, moved);
  }

  /** Create the rows near the viewport, those in it first, and remove the others. */
  mount() {
    const start = performance.now();
    const top = -this.root.getBoundingClientRect().top;
    const from = top - innerHeight * NEAR;
    const until = top + innerHeight * (1 + NEAR);
    const pinned = this.root.contains(document.activeElement) ? this.placeOf(this.focused) : null;
    const due = [];
    for (const each of this.days) {
      const isNear = each.top + each.height >= from && each.top <= until;
      const first = isNear ? firstRowBelow(each.rows, from - each.top) : each.rows.length;
      let end = first;
      while (end < each.rows.length && each.rows[end].top + each.top <= until) end += 1;
      for (const [at, row] of each.mounted) {
        if ((at < first || at >= end) && !(pinned?.each === each && pinned.at === at)) {
          row.element.remove();
          each.mounted.delete(at);
        }
      }
      for (let at = first; at < end; at += 1) {
        if (each.mounted.get(at)?.revision === this.revision) continue;
        const y = each.top + each.rows[at].top;
        due.push({ each, at, distance: Math.max(0, top - y - each.rows[at].height, y - top - innerHeight) });
      }
      if (pinned?.each === each && each.mounted.get(pinned.at)?.revision !== this.revision) due.push({ each, at: pinned.at, distance: 0 });
    }
    this.sweep();
    due.sort((one, other) => one.distance - other.distance);
    for (const { each, at, distance } of due) {
      if (distance > 0 && performance.now() - start > FRAME_MILLISECONDS) {
        this.scheduleMount();
        return;
      }
      this.mountRow(each, at);
    }
    this.keepTabStop(top);
    const { isComplete, hasFailed, search } = this.library;
    if (!isComplete && !hasFailed && !search && this.root.getBoundingClientRect().bottom < innerHeight * (1 + AHEAD)) this.library.more();
  }

  /** Take back the tiles that no row shows. */
  sweep() {
    for (const [id, tile] of this.tiles) {
      if (tile.element.isConnected) continue;
      tile.release();
      this.tiles.delete(id);
      this.spare.push(tile);
    }
  }

  /** Move the tab stop into view with the page, unless it has the focus. */
  keepTabStop(top) {
    if (this.focused === null || this.tiles.has(this.focused)) return;
    const each = this.days.find((one) => one.top + one.height >= top);
    const row = each?.rows[firstRowBelow(each.rows, top - each.top)];
    if (row) this.focus(this.order[each.start + row.tiles[0].index].id, false);
  }

  mountRow(each, at) {
    const row = each.rows[at];
    let mounted = each.mounted.get(at);
    if (!mounted) {
      mounted = { element: h("div", { class: "row", role: "row" }) };
      const after = [...each.mounted.keys()].filter((other) => other > at);
      each.body.insertBefore(mounted.element, after.length ? each.mounted.get(Math.min(...after)).element : null);
      each.mounted.set(at, mounted);
    }
    const { element } = mounted;
    mounted.revision = this.revision;
    element.setAttribute("aria-rowindex", String(each.firstRow + 1 + at));
    element.style.transform = `translateY(${row.top}px)`;
    element.style.height = `${row.height}px`;
    const tiles = row.tiles.map(({ index, left, width }) => {
      const image = this.order[each.start + index];
      const { id } = image;
      let tile = this.tiles.get(id);
      if (!tile) this.tiles.set(id, (tile = this.spare.pop() || new Tile(this.handlers)));
      tile.show(image, { width, left, source: sourceFor(image, width, row.height), isTabStop: id === this.focused, isSelected: this.library.selected.has(id) });
      return tile.element;
    });
    if (tiles.length !== element.children.length || tiles.some((tile, number) => element.children[number] !== tile)) element.replaceChildren(...tiles);
  }

  onOpen(event, id) {
    if (event.ctrlKey || event.metaKey || event.button === 1) return; // a new tab
    event.preventDefault();
    if (event.shiftKey || this.library.selected.size) this.library.select(id, { range: event.shiftKey });
    else this.actions.open(this.library.byId.get(id));
  }

  retry(id) {
    this.focus(id); // the button goes with the failure
    this.actions.retry(id);
  }

  showSelection() {
    for (const [id, tile] of this.tiles) tile.setSelected(this.library.selected.has(id));
    this.root.classList.toggle("selecting", this.library.selected.size > 0);
  }

  /** Make the tile the only tab stop of the grid, and focus it. */
  focus(id, move = true) {
    this.tiles.get(this.focused)?.setTabStop(false);
    this.focused = id;
    if (move) this.reveal(id);
    const tile = this.tiles.get(id);
    if (!tile) return;
    tile.setTabStop(true);
    if (move) tile.open.focus({ preventScroll: true });
  }

  /** Scroll so that the image's row is visible, and create it. */
  reveal(id) {
    const place = this.placeOf(id);
    if (!place) return;
    const top = this.root.getBoundingClientRect().top + place.top;
    const header = document.getElementById("header").offsetHeight + HEADING;
    if (top < header) scrollBy(0, top - header);
    else if (top + place.row.height > innerHeight - GUTTER) scrollBy(0, top + place.row.height - innerHeight + GUTTER);
    this.mount();
  }

  /** Where an image is: its day, row and tile, and the distance of the row from the top of the gallery. */
  placeOf(id) {
    const index = this.index.get(id);
    const each = index === undefined ? undefined : this.days.findLast((one) => one.start <= index);
    if (!each) return null;
    const at = each.rows.findIndex((row) => each.start + row.tiles.at(-1).index >= index);
    const row = each.rows[at];
    return row ? { each, at, row, top: each.top + row.top, tile: row.tiles[index - each.start - row.tiles[0].index] } : null;
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
