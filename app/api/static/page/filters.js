/** Filters of the gallery: chips of views and tags, and a panel of status, type and dates. They are in the address. */

import { get } from "./api.js";
import { fill, h, icon } from "./dom.js";

const VIEWS = {
  all: { label: "All", filter: {}, empty: "No images." },
  public: { label: "Public", filter: { visibility: "public" }, empty: "No public images." },
  private: { label: "Private", filter: { visibility: "private" }, empty: "No private images." },
  failed: { label: "Failed", filter: { status: "failed" }, empty: "No failed images." },
  trash: { label: "Trash", filter: { trashed: true }, empty: "The trash is empty." },
};
const STATUSES = { ready: "Ready", pending: "Processing", failed: "Failed" };
const TYPES = { "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF", "image/avif": "AVIF", "image/heic": "HEIC", "image/tiff": "TIFF", "image/bmp": "BMP" };
const MOST_TAGS = 12;
const OWNER = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/;
const MOST_OWNERS = 200;
const DATE = /^\d{4}-\d\d-\d\d$/;

export class Filters {
  /** `onChange()` is called after a change. The elements are built once, so that the focus stays where it is. */
  constructor(library, { hasTrash, may, onChange }) {
    this.library = library;
    this.may = may;
    this.onChange = onChange;
    this.state = readAddress();
    this.hasTrash = hasTrash || this.state.view === "trash";
    this.tagPlace = h("span", { class: "chip-tags" });
    this.views = new Map(
      Object.entries(VIEWS)
        .filter(([name]) => name !== "trash" || this.hasTrash)
        .map(([name, { label }]) => [name, chip(label, () => this.change({ view: name }))]),
    );
    this.element = h("div", { class: "chips", role: "group", "aria-label": "Filters" }, [...this.views.values()], this.buildPanel(), this.tagPlace);
    library.addEventListener("change", () => this.showTags());
    this.show();
  }

  buildPanel() {
    const line = (label, input) => h("label", { class: "field-line" }, label, input);
    const select = (name, none, choices) =>
      h("select", { class: "field", onchange: (event) => this.change({ [name]: event.target.value }) }, h("option", { value: "" }, none), Object.entries(choices).map(([value, label]) => h("option", { value }, label)));
    const date = (name) => h("input", { type: "date", class: "field", onchange: (event) => this.change({ [name]: event.target.value }) });
    this.fields = { status: select("status", "Any status", STATUSES), type: select("type", "Any type", TYPES), after: date("after"), before: date("before"), owner: this.buildOwner() };
    const { status, type, after, before, owner } = this.fields;
    const owners = h("datalist", { id: "owners" });
    this.ownerLine = h("div", {}, line("Owner", owner), owners);
    const reset = h("button", { type: "button", class: "button", onclick: () => this.change({ status: "", type: "", after: "", before: "", owner: "" }) }, "Reset");
    const panel = h("div", { class: "menu filter-menu", popover: "auto", id: "more-filters" }, line("Status", status), line("Type", type), line("From", after), line("To", before), this.ownerLine, reset);
    panel.addEventListener("beforetoggle", (event) => event.newState === "open" && this.showOwners(owners));
    this.more = chip("Filters");
    this.more.setAttribute("popovertarget", "more-filters");
    return [this.more, panel];
  }

  /** Build the field for the owner of the images, which is for keys with the scope `admin`. */
  buildOwner() {
    const apply = () => {
      const owner = this.fields.owner.value.trim();
      this.fields.owner.setAttribute("aria-invalid", String(owner !== "" && !OWNER.test(owner)));
      if (owner === "" || OWNER.test(owner)) this.change({ owner });
    };
    return h("input", { class: "field", placeholder: "Yourself", list: "owners", autocomplete: "off", spellcheck: false, onchange: apply });
  }

  async showOwners(place) {
    this.ownerLine.hidden = !this.may("admin");
    if (!this.may("admin")) return;
    const { items } = await get("stats/owners", { query: { limit: MOST_OWNERS } }).catch(() => ({ items: [] }));
    fill(place, items.map((each) => h("option", { value: each.owner })));
  }

  /** Owner whose images are shown; empty if they are those of the caller. */
  get owner() {
    return this.may("admin") ? this.state.owner : "";
  }

  /** Query of the list. */
  query() {
    const { view, tags, status, type, after, before } = this.state;
    const query = { ...(status ? { status } : {}), ...(this.owner ? { owner: this.owner } : {}), ...VIEWS[view].filter };
    if (tags.length) query.tag = tags;
    if (type) query.content_type = type;
    if (after) query.uploaded_after = new Date(`${after}T00:00`).toISOString();
    if (before) {
      const end = new Date(`${before}T00:00`);
      end.setDate(end.getDate() + 1);
      query.uploaded_before = end.toISOString();
    }
    return query;
  }

  /** Fields of new images: they appear in the list that is shown. */
  uploadFields() {
    const fields = this.owner ? { owner: this.owner } : {};
    if (this.state.tags.length) fields.tags = this.state.tags;
    if (["public", "private"].includes(this.state.view)) fields.visibility = this.state.view;
    return fields;
  }

  get isTrash() {
    return this.state.view === "trash";
  }

  emptyWords() {
    const { view, tags, status, type, after, before } = this.state;
    if (status || type || after || before) return "No images match these filters.";
    if (view === "all" && !tags.length) return `No images of “${this.owner}”.`;
    return tags.length ? `No images tagged ${tags.map((tag) => `“${tag}”`).join(" and ")}.` : VIEWS[view].empty;
  }

  reset() {
    this.change({ view: "all", tags: [], status: "", type: "", after: "", before: "", owner: "" });
    this.views.get("all").focus(); // the button that was pressed is gone
  }

  change(more) {
    Object.assign(this.state, more);
    writeAddress(this.state);
    this.show();
    this.onChange();
  }

  show() {
    const { view, status, type, after, before } = this.state;
    for (const [name, element] of this.views) element.setAttribute("aria-pressed", String(name === view));
    for (const [name, field] of Object.entries(this.fields)) if (field !== document.activeElement || !this.state[name]) field.value = this.state[name];
    this.element.scrollLeft = this.views.get(view).offsetLeft - this.element.offsetLeft - 48; // on a phone
    this.fields.status.disabled = view === "failed" || view === "trash";
    const number = [status, type, after, before, this.owner].filter(Boolean).length;
    this.more.firstChild.textContent = number ? `Filters: ${number}` : "Filters";
    this.more.setAttribute("aria-pressed", String(number > 0));
    this.showTags();
  }

  /** Tags of the images loaded so far, the most frequent first. */
  knownTags() {
    const counts = new Map();
    for (const image of this.library.images) for (const tag of image.tags) counts.set(tag, (counts.get(tag) || 0) + 1);
    return [...counts].sort((one, other) => other[1] - one[1]).map(([tag]) => tag);
  }

  showTags() {
    const { tags } = this.state;
    const others = this.knownTags().filter((tag) => !tags.includes(tag)).slice(0, MOST_TAGS);
    const shown = JSON.stringify([tags, others]);
    if (shown === this.tagsShown) return;
    this.tagsShown = shown;
    const focused = this.tagPlace.contains(document.activeElement) ? document.activeElement.textContent : null;
    const toggle = (tag) => this.change({ tags: this.state.tags.includes(tag) ? this.state.tags.filter((each) => each !== tag) : [...this.state.tags, tag] });
    const chips = [...tags, ...others].map((tag) => {
      const element = chip(tag, () => toggle(tag), "tag");
      element.setAttribute("aria-pressed", String(tags.includes(tag)));
      return element;
    });
    this.tagPlace.replaceChildren(...chips);
    if (focused !== null) chips.find((each) => each.textContent === focused)?.focus({ preventScroll: true });
  }
}

function chip(label, onclick = null, shape = null) {
  return h("button", { type: "button", class: shape ? `chip ${shape}` : "chip", dir: "auto", ...(onclick ? { onclick } : {}) }, shape ? icon(shape) : null, shape ? h("span", {}, label) : label);
}

function readAddress() {
  const query = new URL(location.href).searchParams;
  const one = (name, isValid) => (isValid(query.get(name) || "") ? query.get(name) : "");
  const isDate = (text) => DATE.test(text) && !Number.isNaN(Date.parse(text));
  return {
    view: one("view", (text) => Object.hasOwn(VIEWS, text)) || "all",
    tags: [...new Set(query.getAll("tag"))],
    status: one("status", (text) => Object.hasOwn(STATUSES, text)),
    type: one("type", (text) => Object.hasOwn(TYPES, text)),
    after: one("from", isDate),
    before: one("to", isDate),
    owner: one("owner", (text) => OWNER.test(text)),
  };
}

function writeAddress({ view, tags, status, type, after, before, owner }) {
  const address = new URL(location.href);
  for (const name of ["view", "tag", "status", "type", "from", "to", "owner"]) address.searchParams.delete(name);
  if (view !== "all") address.searchParams.set("view", view);
  for (const tag of tags) address.searchParams.append("tag", tag);
  for (const [name, value] of Object.entries({ status, type, from: after, to: before, owner })) if (value) address.searchParams.set(name, value);
  history.replaceState(history.state, "", address);
}
