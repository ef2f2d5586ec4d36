/** The list of images that the page shows, in order, with what is selected. No elements. */

import { get } from "./api.js";

const PAGE = 100;
const POLL_MILLISECONDS = 1500;

/** Images of one filter. Events: `change` (the order or an image), `selection`, `end` (all are loaded), `error`. */
export class Library extends EventTarget {
  constructor() {
    super();
    this.images = [];
    this.byId = new Map();
    this.selected = new Set();
    this.anchor = null;
    this.filter = {};
    this.search = "";
    this.cursor = null;
    this.isComplete = false;
    this.isStarted = false; // nothing is loaded before the page knows that it may
    this.loading = null;
    this.generation = 0;
  }

  /** Images that the search leaves. */
  get shown() {
    if (!this.search) return this.images;
    const wanted = this.search.toLowerCase();
    return this.images.filter((image) => [image.title, image.alt, image.filename, ...image.tags].some((text) => text && text.toLowerCase().includes(wanted)));
  }

  setFilter(filter) {
    this.filter = filter;
    this.reload();
  }

  reload() {
    this.reset();
    this.isStarted = true;
    return this.more();
  }

  reset() {
    this.generation += 1;
    Object.assign(this, { isStarted: false, images: [], cursor: null, isComplete: false, loading: null, anchor: null });
    this.byId.clear();
    this.selected.clear();
    this.emit("selection");
    this.emit("change");
  }

  /** Load the next page, unless it is being loaded. */
  more(limit = PAGE) {
    if (this.isComplete || !this.isStarted) return Promise.resolve();
    this.loading ??= this.load(limit);
    return this.loading;
  }

  async load(limit) {
    const generation = this.generation;
    try {
      const query = { ...this.filter, limit };
      if (this.cursor) query.cursor = this.cursor;
      const page = await get("images", { query });
      if (generation !== this.generation) return;
      for (const image of page.items) this.place(image);
      this.cursor = page.next_cursor;
      this.isComplete = !page.next_cursor;
      this.emit("change");
      if (this.isComplete) this.emit("end");
    } catch (error) {
      if (generation === this.generation) this.dispatchEvent(new CustomEvent("error", { detail: error }));
    } finally {
      if (generation === this.generation) this.loading = null;
    }
  }

  async loadAll() {
    while (!this.isComplete) await this.more(200);
  }

  /** Add an image, or replace the one with its id. New ones are first. */
  place(image) {
    const old = this.byId.get(image.id);
    if (old) Object.assign(old, image);
    else {
      this.byId.set(image.id, image);
      let at = this.images.length;
      while (at && this.images[at - 1].id < image.id) at -= 1;
      this.images.splice(at, 0, image);
    }
  }

  /** Take over a record that was read or changed: it appears, changes or disappears as the filter says. */
  update(image) {
    if (this.matches(image)) this.place(image);
    else this.drop([image.id]);
    this.emit("change");
  }

  drop(ids) {
    const gone = new Set(ids);
    this.images = this.images.filter((image) => !gone.has(image.id));
    for (const id of gone) {
      this.byId.delete(id);
      this.selected.delete(id);
    }
    this.emit("selection");
    this.emit("change");
  }

  matches(image) {
    const { status, visibility, trashed, tag = [], content_type: type, uploaded_after: after, uploaded_before: before } = this.filter;
    return (
      (!status || image.status === status) &&
      (!visibility || image.visibility === visibility) &&
      Boolean(trashed) === Boolean(image.trashed_at) &&
      [tag].flat().every((each) => image.tags.includes(each)) &&
      (!type || image.content_type === type) &&
      (!after || image.uploaded_at >= after) &&
      (!before || image.uploaded_at < before)
    );
  }

  /** Select one image; with `range`, all between it and the one selected last. */
  select(id, { range = false, on = !this.selected.has(id) } = {}) {
    const order = this.shown;
    const at = order.findIndex((image) => image.id === id);
    const from = range && this.anchor ? order.findIndex((image) => image.id === this.anchor) : at;
    for (const image of order.slice(Math.min(at, from), Math.max(at, from) + 1)) {
      if (range || on) this.selected.add(image.id);
      else this.selected.delete(image.id);
    }
    this.anchor = id;
    this.emit("selection");
  }

  selectAll() {
    for (const image of this.shown) this.selected.add(image.id);
    this.emit("selection");
  }

  clearSelection() {
    this.selected.clear();
    this.emit("selection");
  }

  emit(name) {
    this.dispatchEvent(new CustomEvent(name));
  }
}

/** Reads pending images again until they are ready or failed. Slower while the page is hidden. */
export class Watcher {
  constructor(onImage, onGone = () => {}) {
    this.ids = new Set();
    this.onImage = onImage;
    this.onGone = onGone;
    this.timer = null;
  }

  watch(ids) {
    for (const id of ids) this.ids.add(id);
    this.schedule();
  }

  schedule() {
    if (this.timer || !this.ids.size) return;
    this.timer = setTimeout(() => this.look(), document.hidden ? POLL_MILLISECONDS * 5 : POLL_MILLISECONDS);
  }

  async look() {
    for (const id of [...this.ids].slice(0, 20)) {
      try {
        const image = await get(`images/${id}`);
        if (image.status !== "pending") this.ids.delete(id);
        this.onImage(image);
      } catch (error) {
        if (error.status !== 404) break;
        this.ids.delete(id);
        this.onGone(id);
      }
    }
    this.timer = null;
    this.schedule();
  }
}
