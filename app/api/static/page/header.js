/** Header: search, upload and menu above the filters; while images are selected, what can be done with them. */

import { fill, focusPage, h, icon, iconButton } from "./dom.js";
import { count, plural } from "./format.js";
import { Filters } from "./filters.js";
import { showStorage } from "./storage.js";
import { applyTheme, nextTheme, theme } from "./theme.js";
import { askForText, showHelp } from "./windows.js";

const SEARCH_MILLISECONDS = 120;
const NARROW = matchMedia("(max-width: 599px)");

export class Header {
  constructor(root, library, actions) {
    this.library = library;
    this.actions = actions;
    this.filters = new Filters(library, { hasTrash: actions.trashDays > 0, may: actions.may, onChange: () => this.apply() });
    this.bar = h("div", { class: "bar" });
    this.total = h("span", { class: "total", role: "status" });
    this.search = h("input", {
      type: "search",
      class: "field search",
      id: "search",
      "aria-label": "Search titles and tags of the images loaded so far",
      dir: "auto",
      oninput: () => {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.onSearch(), SEARCH_MILLISECONDS);
      },
    });
    this.showPlaceholder();
    NARROW.addEventListener("change", () => this.showPlaceholder());
    this.searched = h("span");
    const loadAll = h("button", { type: "button", class: "link", onclick: () => library.loadAll() }, "Load all");
    this.note = h("p", { class: "search-note", role: "status", hidden: true }, this.searched, loadAll);
    root.append(this.bar, h("div", { class: "chip-row" }, this.filters.element, this.total), this.note);
    library.addEventListener("selection", () => this.show());
    library.addEventListener("change", () => {
      this.showTotal();
      if (this.isSelecting) this.showSelected();
    });
    this.show();
  }

  /** Load the images that the address asks for. */
  apply() {
    this.filters.show();
    this.library.setFilter(this.filters.query());
  }

  /** Show the usual bar or that of the selection; `anew` after the key has changed. */
  show(anew = false) {
    const selected = this.library.selected.size;
    if (Boolean(selected) === this.isSelecting && !anew) return selected && this.showSelected(); // the focus stays in the bar
    this.isSelecting = Boolean(selected);
    const hadFocus = this.bar.contains(document.activeElement);
    if (selected) this.buildSelection();
    else this.buildUsual();
    if (hadFocus && !this.bar.contains(document.activeElement)) focusPage();
  }

  buildUsual() {
    const may = (scope) => this.actions.may(scope);
    const menu = h("div", { class: "menu", popover: "auto", id: "menu" }, this.menuItems());
    const open = iconButton("menu", "Menu", null);
    open.setAttribute("popovertarget", "menu");
    fill(
      this.bar,
      h("a", { class: "wordmark", href: "./" }, "Darkroom"),
      may("read") ? this.search : h("span", { class: "spacer" }),
      may("upload") ? h("button", { type: "button", class: "button primary", onclick: () => this.actions.pick("files") }, icon("upload"), h("span", {}, "Upload")) : null,
      open,
      menu,
    );
    menu.addEventListener("beforetoggle", (event) => event.newState === "open" && fill(menu, this.menuItems()));
  }

  menuItems() {
    const item = (label, action) =>
      h("button", { type: "button", class: "menu-item", onclick: () => { document.getElementById("menu").hidePopover(); action(); } }, label);
    const { access } = this.actions;
    return [
      this.actions.may("upload") ? item("Upload a folder", () => this.actions.pick("folder")) : null,
      this.actions.may("upload") && matchMedia("(pointer: coarse)").matches ? item("Take a photo", () => this.actions.pick("camera")) : null,
      access.isRequired ? item(access.needsKey ? "Enter an API key" : "Change the API key", () => this.actions.setKey()) : null,
      access.isRequired && !access.needsKey ? item("Forget the API key", () => access.forget()) : null,
      this.actions.may("admin") ? item("Webhooks", () => this.actions.showWebhooks()) : null,
      item(`Theme: ${theme()}`, () => applyTheme(nextTheme())),
      this.actions.may("read") ? item("Storage", () => showStorage(this.filters.owner).catch((error) => this.actions.report(error))) : null,
      item("Keyboard shortcuts", () => showHelp()),
      h("a", { class: "menu-item", href: "docs" }, "API documentation"),
    ];
  }

  buildSelection() {
    const may = (scope) => this.actions.may(scope);
    const { isTrash } = this.filters;
    const ids = () => [...this.library.selected];
    this.selectedCount = h("strong", { role: "status" });
    this.all = h("button", { type: "button", class: "link select-all", onclick: () => this.selectAll() });
    const button = (label, shape, action) => h("button", { type: "button", class: "button", "aria-label": label, title: label, onclick: action }, icon(shape), h("span", {}, label));
    fill(
      this.bar,
      this.selectedCount,
      this.all,
      h("span", { class: "spacer" }),
      may("edit") && !isTrash ? button("Tag", "tag", () => this.tag(ids())) : null,
      may("edit") && !isTrash ? button("Make public", "eye", () => this.actions.edit(ids(), { visibility: "public" }, (number) => `Published ${plural(number, "image")}.`)) : null,
      may("edit") && !isTrash ? button("Make private", "lock", () => this.actions.edit(ids(), { visibility: "private" }, (number) => `Made ${plural(number, "image")} private.`)) : null,
      may("delete") && isTrash ? button("Restore", "retry", () => this.actions.restore(ids())) : null,
      may("delete") ? button("Delete", "trash", () => this.actions.delete(ids())) : null,
      iconButton("close", "End the selection", () => this.library.clearSelection()),
    );
    this.showSelected();
  }

  showSelected() {
    const number = this.library.selected.size;
    const { doing } = this.library;
    this.selectedCount.textContent = doing || `${count(number)} selected`;
    for (const button of this.bar.querySelectorAll("button")) button.disabled = Boolean(doing);
    const all = this.library.shown.length;
    const { isComplete, search, total } = this.library;
    this.all.hidden = (number >= all && isComplete) || Boolean(doing);
    const rest = total === null || search ? "Select all that match" : `Select all ${count(total)} in this filter`;
    this.all.textContent = number < all ? `Select all ${count(all)}` : rest;
  }

  /** Select what is loaded; if it is selected, load the rest and select it too. */
  async selectAll() {
    const { library } = this;
    const isAll = library.selected.size >= library.shown.length;
    const tell = (words) => {
      library.doing = words;
      library.emit("selection");
    };
    const onPage = () => tell(`Loading, ${count(library.images.length)}${library.total === null ? "" : ` of ${count(library.total)}`}`);
    const isLoaded = !isAll || (await library.loadAll(onPage));
    tell("");
    if (isLoaded) library.selectAll();
  }

  async tag(ids) {
    const text = await askForText("Tag", "Tags to add, separated by commas; a tag after a minus is removed.", { list: this.filters.knownTags() });
    if (!text) return;
    const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
    const removed = tags.filter((tag) => tag.startsWith("-")).map((tag) => tag.slice(1).trim());
    const added = tags.filter((tag) => !tag.startsWith("-"));
    const change = { ...(added.length ? { add_tags: added } : {}), ...(removed.length ? { remove_tags: removed } : {}) };
    await this.actions.edit(ids, change, (number) => `Tagged ${plural(number, "image")}.`);
  }

  // Search

  showPlaceholder() {
    this.search.placeholder = NARROW.matches ? "Search" : "Search titles and tags";
  }

  onSearch() {
    this.library.search = this.search.value.trim();
    scrollTo(0, 0);
    this.library.emit("change");
  }

  showTotal() {
    const { library } = this;
    const number = library.shown.length;
    const known = library.search ? number : library.total;
    this.total.textContent = known !== null ? plural(known, "image") : number ? `${count(number)}+ images` : "";
    const isPartial = Boolean(library.search) && !library.isComplete;
    if (!isPartial && this.note.contains(document.activeElement)) this.search.focus(); // "Load all" is gone
    this.note.hidden = !isPartial;
    if (isPartial) this.searched.textContent = `Searching the ${count(library.images.length)} images loaded so far. `;
  }
}
