/** Header: search, upload, menu, filters; while images are selected, what can be done with them. */

import { fill, h, icon, iconButton } from "./dom.js";
import { count, plural } from "./format.js";
import { applyTheme, nextTheme, theme } from "./theme.js";
import { askForText, showHelp } from "./windows.js";

const VIEWS = {
  all: { label: "All", filter: {}, empty: "No images." },
  public: { label: "Public", filter: { visibility: "public" }, empty: "No public images." },
  private: { label: "Private", filter: { visibility: "private" }, empty: "No private images." },
  failed: { label: "Failed", filter: { status: "failed" }, empty: "No failed images." },
  trash: { label: "Trash", filter: { trashed: true }, empty: "The trash is empty." },
};
const TYPES = { "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF", "image/avif": "AVIF", "image/heic": "HEIC", "image/tiff": "TIFF", "image/bmp": "BMP" };
const MOST_TAGS = 12;
const SEARCH_MILLISECONDS = 120;

export class Header {
  constructor(root, library, actions) {
    this.library = library;
    this.actions = actions;
    this.state = readAddress();
    this.bar = h("div", { class: "bar" });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Filters" });
    this.total = h("span", { class: "total", role: "status" });
    this.search = h("input", {
      type: "search",
      class: "field search",
      id: "search",
      placeholder: "Search titles and tags",
      "aria-label": "Search titles and tags of the images loaded so far",
      dir: "auto",
      oninput: () => {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.onSearch(), SEARCH_MILLISECONDS);
      },
    });
    this.note = h("p", { class: "search-note", role: "status", hidden: true });
    root.append(this.bar, h("div", { class: "chip-row" }, this.chips, this.total), this.note);
    library.addEventListener("selection", () => this.show());
    library.addEventListener("change", () => {
      this.showTotal();
      this.showTags();
    });
    this.show();
  }

  /** Load the images that the address asks for. */
  apply() {
    this.showChips();
    this.library.setFilter(this.filter());
  }

  filter() {
    const { view, tags, type, after, before } = this.state;
    const filter = { ...VIEWS[view].filter };
    if (tags.length) filter.tag = tags;
    if (type) filter.content_type = type;
    if (after) filter.uploaded_after = new Date(`${after}T00:00`).toISOString();
    if (before) {
      const end = new Date(`${before}T00:00`);
      end.setDate(end.getDate() + 1);
      filter.uploaded_before = end.toISOString();
    }
    return filter;
  }

  /** Fields of new images: they appear in the list that is shown. */
  uploadFields() {
    const fields = {};
    if (this.state.tags.length) fields.tags = this.state.tags;
    if (["public", "private"].includes(this.state.view)) fields.visibility = this.state.view;
    return fields;
  }

  emptyWords() {
    if (this.state.tags.length) return `No images tagged ${this.state.tags.map((tag) => `“${tag}”`).join(" and ")}.`;
    if (this.state.type || this.state.after || this.state.before) return "No images match these filters.";
    return VIEWS[this.state.view].empty;
  }

  change(more) {
    Object.assign(this.state, more);
    writeAddress(this.state);
    this.apply();
  }

  /** Show the usual bar or that of the selection; `anew` after the key has changed. */
  show(anew = false) {
    const selected = this.library.selected.size;
    if (Boolean(selected) === this.isSelecting && selected && !anew) return this.showSelected();
    this.isSelecting = Boolean(selected);
    return selected ? this.buildSelection() : this.buildUsual();
  }

  buildUsual() {
    const may = (scope) => this.actions.may(scope);
    const menu = h("div", { class: "menu", popover: "auto", id: "menu" }, this.menuItems());
    const open = iconButton("menu", "Menu", null, { "aria-haspopup": "true" });
    open.setAttribute("popovertarget", "menu");
    fill(
      this.bar,
      h("a", { class: "wordmark", href: "./" }, "Darkroom"),
      may("read") ? this.search : h("span", { class: "spacer" }),
      may("upload") ? h("button", { type: "button", class: "button primary", onclick: () => this.actions.pick("files") }, icon("upload"), h("span", {}, "Upload")) : null,
      open,
      menu,
    );
    menu.addEventListener("beforetoggle", () => fill(menu, this.menuItems()));
  }

  menuItems() {
    const item = (label, action) =>
      h("button", { type: "button", class: "menu-item", onclick: () => { document.getElementById("menu").hidePopover(); action(); } }, label);
    const { access } = this.actions;
    return [
      this.actions.may("upload") ? item("Upload a folder", () => this.actions.pick("folder")) : null,
      this.actions.may("upload") ? item("Take a photo", () => this.actions.pick("camera")) : null,
      access.isRequired ? item(access.needsKey ? "Enter an API key" : "Change the API key", () => this.actions.setKey()) : null,
      access.isRequired && !access.needsKey ? item("Forget the API key", () => access.forget()) : null,
      item(`Theme: ${theme()}`, () => applyTheme(nextTheme())),
      item("Keyboard shortcuts", () => showHelp()),
      h("a", { class: "menu-item", href: "docs" }, "API documentation"),
    ];
  }

  buildSelection() {
    const may = (scope) => this.actions.may(scope);
    const isTrash = this.state.view === "trash";
    const ids = () => [...this.library.selected];
    this.selectedCount = h("strong", { role: "status" });
    this.all = h("button", { type: "button", class: "link", onclick: () => this.selectAll() });
    const button = (label, shape, action) => h("button", { type: "button", class: "button", "aria-label": label, onclick: action }, icon(shape), h("span", {}, label));
    fill(
      this.bar,
      this.selectedCount,
      this.all,
      h("span", { class: "spacer" }),
      may("edit") && !isTrash ? button("Tag", "tag", () => this.tag(ids())) : null,
      may("edit") && !isTrash ? button("Make public", "eye", () => this.actions.edit(ids(), { visibility: "public" }, "Published")) : null,
      may("edit") && !isTrash ? button("Make private", "lock", () => this.actions.edit(ids(), { visibility: "private" }, "Made private:")) : null,
      may("delete") && isTrash ? button("Restore", "retry", () => this.actions.restore(ids())) : null,
      may("delete") ? button("Delete", "trash", () => this.actions.delete(ids())) : null,
      iconButton("close", "End the selection", () => this.library.clearSelection()),
    );
    this.showSelected();
  }

  showSelected() {
    const number = this.library.selected.size;
    this.selectedCount.textContent = `${count(number)} selected`;
    const all = this.library.shown.length;
    this.all.hidden = number >= all && this.library.isComplete;
    this.all.textContent = number < all ? `Select all ${count(all)}` : "Select all in this filter";
  }

  async selectAll() {
    if (this.library.selected.size >= this.library.shown.length) await this.library.loadAll();
    this.library.selectAll();
  }

  async tag(ids) {
    const text = await askForText("Tag", "Tags to add, separated by commas; a tag after a minus is removed.", { list: this.knownTags() });
    if (!text) return;
    const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
    const removed = tags.filter((tag) => tag.startsWith("-")).map((tag) => tag.slice(1).trim());
    const added = tags.filter((tag) => !tag.startsWith("-"));
    const change = { ...(added.length ? { add_tags: added } : {}), ...(removed.length ? { remove_tags: removed } : {}) };
    await this.actions.edit(ids, change, "Tagged");
  }

  // Filters

  showChips() {
    const chip = (pressed, label, onclick) => h("button", { type: "button", class: "chip", "aria-pressed": String(pressed), dir: "auto", onclick }, label);
    const views = Object.entries(VIEWS)
      .filter(([name]) => name !== "trash" || this.actions.trashDays || this.state.view === "trash")
      .map(([name, { label }]) => chip(this.state.view === name, label, () => this.change({ view: name })));
    this.tagPlace = h("span", { class: "chip-tags" });
    fill(this.chips, views, this.buildMore(), this.tagPlace);
    this.tagsShown = null;
    this.showTags();
  }

  buildMore() {
    const { type, after, before } = this.state;
    const field = (label, input) => h("label", { class: "field-line" }, label, input);
    const select = h("select", { class: "field", onchange: (event) => this.change({ type: event.target.value }) }, h("option", { value: "" }, "Any type"), Object.entries(TYPES).map(([value, name]) => h("option", { value, selected: value === type }, name)));
    const date = (name, value) => h("input", { type: "date", class: "field", value, onchange: (event) => this.change({ [name]: event.target.value }) });
    const panel = h("div", { class: "menu filter-menu", popover: "auto", id: "more-filters" }, field("Type", select), field("From", date("after", after)), field("To", date("before", before)), h("button", { type: "button", class: "button", onclick: () => this.change({ type: "", after: "", before: "" }) }, "Reset"));
    const number = [type, after, before].filter(Boolean).length;
    const open = h("button", { type: "button", class: "chip", "aria-pressed": String(number > 0) }, number ? `Filters: ${number}` : "Filters");
    open.setAttribute("popovertarget", "more-filters");
    return [open, panel];
  }

  knownTags() {
    const counts = new Map();
    for (const image of this.library.images) for (const tag of image.tags) counts.set(tag, (counts.get(tag) || 0) + 1);
    return [...counts].sort((one, other) => other[1] - one[1]).map(([tag]) => tag);
  }

  showTags() {
    if (!this.tagPlace) return;
    const { tags } = this.state;
    const others = this.knownTags().filter((tag) => !tags.includes(tag)).slice(0, MOST_TAGS);
    const shown = JSON.stringify([tags, others]);
    if (shown === this.tagsShown) return;
    this.tagsShown = shown;
    const toggle = (tag) => this.change({ tags: tags.includes(tag) ? tags.filter((each) => each !== tag) : [...tags, tag] });
    fill(this.tagPlace, [...tags, ...others].map((tag) => h("button", { type: "button", class: "chip tag", "aria-pressed": String(tags.includes(tag)), dir: "auto", onclick: () => toggle(tag) }, icon("tag"), h("span", {}, tag))));
  }

  onSearch() {
    this.library.search = this.search.value.trim();
    this.library.emit("change");
  }

  showTotal() {
    const { library } = this;
    const number = library.shown.length;
    this.total.textContent = library.isComplete || library.search ? plural(number, "image") : `${count(number)}+ images`;
    const isPartial = Boolean(library.search) && !library.isComplete;
    this.note.hidden = !isPartial;
    if (isPartial) {
      fill(this.note, `Searching the ${count(library.images.length)} images loaded so far. `, h("button", { type: "button", class: "link", onclick: () => library.loadAll() }, "Load all"));
    }
  }
}

function readAddress() {
  const query = new URL(location.href).searchParams;
  const view = query.get("view");
  return { view: view in VIEWS ? view : "all", tags: query.getAll("tag"), type: query.get("type") || "", after: query.get("from") || "", before: query.get("to") || "" };
}

function writeAddress({ view, tags, type, after, before }) {
  const address = new URL(location.href);
  for (const name of ["view", "tag", "type", "from", "to"]) address.searchParams.delete(name);
  if (view !== "all") address.searchParams.set("view", view);
  for (const tag of tags) address.searchParams.append("tag", tag);
  for (const [name, value] of Object.entries({ type, from: after, to: before })) if (value) address.searchParams.set(name, value);
  history.replaceState(history.state, "", address);
}
