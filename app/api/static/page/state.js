/** The list of images that the page shows, in order, with what is selected. No elements. */

import { get } from "./api.js";

const PAGE = 100;
const LARGEST_PAGE = 200;

/** Images of one filter. Events: `change` (the order or an image), `selection`, `filter` (others are shown), `loading` (nothing is shown yet), `error`. */
export class Library extends EventTarget {
  constructor() {
    super();
    this.images = [];
    this.byId = new Map();
    this.selected = new Set();
    this.anchor = null;
    this.filter = {};
    this.search = "";
    this.found = null;
    this.cursor = null;
    this.isComplete = false;
    this.isStarted = false; // nothing is loaded before the page knows that it may
    this.isStale = false;
    this.hasFailed = false;
    this.late = [];
    this.doing = "";
    this.counted = null;
    this.loading = null;
    this.generation = 0;
  }

  /** Images that the search leaves. */
  get shown() {
    if (!this.search) return this.images;
    if (!this.found) {
      const wanted = this.search.toLowerCase();
      this.found = this.images.filter((image) => [image.title, image.alt, image.filename, ...image.tags].some((text) => text && text.toLowerCase().includes(wanted)));
    }
    return this.found;
  }

  /** Number of images of the filter; null if it is not known. */
  get total() {
    return this.isComplete ? this.images.length : this.counted;
  }

  setFilter(filter) {
    this.filter = filter;
    this.reload();
  }

  /** Load the images of the filter. Those that are shown stay until the first page of the others is there. */
  reload() {
    this.restart();
    this.isStarted = true;
    return this.more();
  }

  /** Drop all images, and load none until `reload`. */
  reset() {
    this.restart();
    this.isStarted = false;
    this.clear();
    this.emit("change");
  }

  restart() {
    this.generation += 1;
    Object.assign(this, { cursor: null, isComplete: false, isStale: true, late: [], loading: null, anchor: null, counted: null });
    this.selected.clear();
    this.emit("selection");
  }

  /** Drop the images of another filter. */
  clear() {
    this.isStale = false;
    this.images = [];
    this.byId.clear();
    this.emit("filter");
  }

  /** Load the next page, unless it is being loaded. */
  more(limit = this.images.length && !this.isStale ? LARGEST_PAGE : PAGE) {
    if (this.isComplete || !this.isStarted) return Promise.resolve(this.isComplete);
    this.hasFailed = false;
    this.loading ??= this.load(limit);
    return this.loading;
  }

  async load(limit) {
    const generation = this.generation;
    if (!this.images.length) this.emit("loading");
    try {
      const query = { ...this.filter, limit };
      if (this.cursor) query.cursor = this.cursor;
      const page = await get("images", { query });
      if (generation !== this.generation) return false;
      if (this.isStale) this.clear();
      for (const image of [...page.items, ...this.late.filter((each) => this.matches(each))]) this.place(image);
      this.late = [];
      this.cursor = page.next_cursor;
      this.isComplete = !page.next_cursor;
      this.loading = null; // before the listeners: they may need the next page
      this.emit("change");
      if (query.cursor === undefined) this.count();
      return true;
    } catch (error) {
      if (generation !== this.generation) return false;
      this.loading = null;
      this.hasFailed = true; // until somebody asks again
      if (this.isStale) {
        this.clear();
        this.emit("change");
      }
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
      return false;
    }
  }

  /** Ask how many images the filter has, where the service knows it and not all are loaded. */
  async count() {
    const { generation } = this;
    const { owner, ...rest } = this.filter;
    const names = Object.keys(rest);
    const name = names.length === 0 ? "images" : rest.trashed ? "trashed" : rest.status;
    if (this.isComplete || names.length > 1 || !name) return;
    const stats = await get("stats", { query: { owner } }).catch(() => ({}));
    if (generation !== this.generation) return;
    this.counted = stats.exact ? stats[name] : null;
    this.emit("change");
  }

  /** Load all pages. Returns false if one could not be loaded, or another filter was set meanwhile. */
  async loadAll(onPage = () => {}) {
    const { generation } = this;
    while (!this.isComplete) {
      onPage();
      if (!(await this.more(LARGEST_PAGE)) || generation !== this.generation) return false;
    }
    return true;
  }

  /** Read images again, in pages of the list. Those that are shown stay where they are. */
  async readAgain(ids) {
    const { generation } = this;
    const [oldest] = ids.toSorted();
    const query = { ...this.filter, limit: LARGEST_PAGE };
    for (let last = "~"; last > oldest; ) {
      const page = await get("images", { query });
      if (generation !== this.generation) return;
      const end = this.isComplete ? "" : (this.images.at(-1)?.id ?? ""); // the others come with the next page
      for (const image of page.items) {
        const known = this.byId.get(image.id);
        if (image.id >= end && this.matches(image) && !(known?.version > image.version)) this.place(image, true);
      }
      this.emit("change");
      if (!page.next_cursor) return;
      query.cursor = page.next_cursor;
      last = page.items.at(-1)?.id ?? last;
    }
  }

  /** Show a change before the images are read again. `results` are of the request, `change` may name tags and visibility. */
  apply(results, { visibility, add_tags: added = [], remove_tags: removed = [] }) {
    const gone = [];
    for (const { id, version } of results) {
      const image = this.byId.get(id);
      if (!image) continue;
      const tags = [...new Set([...image.tags.filter((tag) => !removed.includes(tag)), ...added])];
      Object.assign(image, { tags, visibility: visibility ?? image.visibility, version });
      if (!this.matches(image)) gone.push(id);
    }
    this.drop(gone);
  }

  /** Add an image, or replace the one with its id. New ones are first. `isNew` ones are not counted yet. */
  place(image, isNew = false) {
    const old = this.byId.get(image.id);
    if (old) Object.assign(old, image);
    else {
      this.byId.set(image.id, image);
      if (isNew && this.counted !== null) this.counted += 1;
      let at = this.images.length;
      while (at && this.images[at - 1].id < image.id) at -= 1;
      this.images.splice(at, 0, image);
    }
  }

  /** Take over a record that was read or changed: it appears, changes or disappears as the filter says. */
  update(image) {
    if (this.isStale) {
      this.late.push(image);
      return;
    }
    if (this.matches(image)) this.place(image, true);
    else this.drop([image.id]);
    this.emit("change");
  }

  drop(ids) {
    const gone = new Set(ids.filter((id) => this.byId.has(id)));
    if (this.counted !== null) this.counted -= gone.size;
    this.images = this.images.filter((image) => !gone.has(image.id));
    for (const id of gone) {
      this.byId.delete(id);
      this.selected.delete(id);
    }
    this.emit("selection");
    this.emit("change");
  }

  matches(image) {
    const { owner, status, visibility, trashed, tag = [], content_type: type, uploaded_after: after, uploaded_before: before } = this.filter;
    return (
      (!owner || image.owner === owner) &&
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
    if (name === "change") this.found = null;
    this.dispatchEvent(new CustomEvent(name));
  }
}
