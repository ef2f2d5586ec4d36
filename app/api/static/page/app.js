/** The page: puts upload, gallery and viewer together. */

import { Access } from "./access.js";
import { Offline, Problem, get, headers, key, problemFrom, url } from "./api.js";
import { Changes } from "./changes.js";
import { fill, h } from "./dom.js";
import { plural } from "./format.js";
import { Gallery } from "./gallery.js";
import { Header } from "./header.js";
import { lacking } from "./refusals.js";
import { Skeletons } from "./skeletons.js";
import { Library } from "./state.js";
import { applyTheme } from "./theme.js";
import { Uploads } from "./uploads.js";
import { showHelp, showText, toast } from "./windows.js";
import { Viewer } from "./viewer.js";
import { Watcher } from "./watcher.js";

/** An id. Anything else in the address could lead to another path of the API. */
const ID = /^[\w-]+$/;

class App {
  constructor(limits) {
    this.limits = limits;
    this.access = new Access(limits);
    this.library = new Library();
    const place = (name) => document.getElementById(name);
    const actions = {
      limits,
      trashDays: limits.trash_days,
      may: (scope) => this.access.may(scope),
      open: (image) => image && this.viewer.open(image.id),
      delete: (ids) => this.changes.delete(ids),
      restore: (ids) => this.changes.restore(ids),
      edit: (ids, change, words) => this.changes.edit(ids, change, words),
      retry: (id) => this.changes.retry(id),
      refresh: (id) => this.changes.refresh(id),
      onRecord: (image) => this.onRecord(image),
      shown: () => this.viewer.image,
      close: () => this.viewer.dialog.close(),
      report: (error) => this.report(error),
      toast: (text, options) => toast(text, options),
      updated: (image) => this.updated(image),
      download: (event, image) => this.download(event, image),
      showText,
      help: showHelp,
      pick: (kind) => this.uploads.pick(kind),
      access: this.access,
      showWebhooks: () => this.showWebhooks(),
      setKey: () => this.changeKey(),
      fields: () => this.header.filters.uploadFields(),
      watch: (ids) => this.watcher.watch(ids),
      closed: (id) => this.onClosed(id),
      finished: ({ failed }) => !failed && this.library.emit("change"),
    };
    this.actions = actions;
    this.changes = new Changes(this.library, limits.trash_days, actions);
    this.gallery = new Gallery(place("gallery"), this.library, actions);
    this.header = new Header(place("header"), this.library, actions);
    this.viewer = new Viewer(place("viewer"), this.library, actions);
    this.uploads = new Uploads(limits, actions);
    this.watcher = new Watcher((image) => this.onRecord(image), (id) => this.uploads.gone(id), () => this.uploads.isSending);
    this.empty = place("empty");
    this.library.addEventListener("loading", () => skeletons.start());
    this.library.addEventListener("change", () => this.onChange());
    this.library.addEventListener("filter", () => scrollTo(0, 0));
    this.library.addEventListener("error", (event) => this.onLoadError(event.detail));
    this.access.addEventListener("change", () => this.header.show(true));
    addEventListener("popstate", () => this.followAddress());
    addEventListener("online", () => this.library.hasFailed && this.library.more());
  }

  async start() {
    if (this.access.needsKey) {
      skeletons.stop();
      await this.access.ask();
    }
    this.load();
  }

  load() {
    if (this.access.may("read")) {
      this.header.apply();
      this.followAddress();
    } else this.showNoAccess();
  }

  followAddress() {
    const { searchParams } = new URL(location.href);
    const id = searchParams.get("image");
    if (id && ID.test(id)) this.viewer.open(id, { replace: true });
    else if (id) toast("There is no image with this id.");
    else if (this.viewer.isOpen) this.viewer.close();
    if (searchParams.has("webhooks") && this.access.may("admin")) this.showWebhooks();
    else this.webhooks?.dialog.close();
  }

  /** Open the dialog of the webhooks. Its modules are loaded only now, because few callers are admins. */
  async showWebhooks() {
    try {
      const { Webhooks } = await import("./webhooks/panel.js");
      this.webhooks ??= new Webhooks(document.getElementById("webhooks"), this.actions);
      await this.webhooks.open();
    } catch {
      this.report(new Offline());
    }
  }

  onRecord(image) {
    if (!image.upload_expires_at || image.status !== "pending") this.library.update(image);
    this.uploads.processed(image);
    if (this.viewer.image?.id === image.id) this.viewer.refresh(image);
  }

  // Changes

  updated(image) {
    this.library.update(image);
    if (image.status === "pending" || image.variants.length === 0) this.watcher.watch([image.id]);
  }

  /** Save the original: a link alone would not send the key. */
  async download(event, image) {
    if (!key.get()) return;
    event.preventDefault();
    try {
      const answer = await fetch(url(`images/${image.id}/original`), { headers: headers() });
      if (!answer.ok) throw problemFrom(answer.status, await answer.text());
      const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: image.filename || image.id });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (error) {
      this.report(error instanceof Problem ? error : new Offline());
    }
  }

  // Errors and keys

  report(error) {
    if (error.name === "AbortError") return;
    if (error instanceof Problem && error.code === "scope_missing") {
      this.access.read().catch(() => {}); // the key may do less than before
      toast(lacking(error.document.scope));
      return;
    }
    toast(error.message);
  }

  async changeKey() {
    if (await this.access.ask()) {
      this.library.reset();
      this.load();
    }
  }

  /** Show why there are no images, and what can be done. */
  showNoAccess() {
    skeletons.stop();
    const { access } = this;
    const button = (label, action) => h("button", { type: "button", class: "button primary", onclick: action }, label);
    fill(
      this.empty,
      h("p", { class: "empty-title" }, access.needsKey ? "An API key is needed" : "Images are not shown"),
      h("p", { class: "note" }, access.needsKey ? "Ask the operator of this service for one." : lacking("read")),
      h("div", { class: "buttons" }, access.may("upload") ? button("Choose files", () => this.uploads.pick("files")) : button("Enter a key", () => this.changeKey())),
    );
    this.empty.hidden = false;
  }

  onLoadError(error) {
    skeletons.stop();
    if (error instanceof Offline && !this.library.images.length) {
      fill(this.empty, h("p", { class: "empty-title" }, "Connection lost"), h("button", { type: "button", class: "button", onclick: () => this.library.more() }, "Try again"));
      this.empty.hidden = false;
    } else if (error instanceof Problem && error.status === 401) this.showNoAccess();
    else this.report(error);
  }

  // What is shown

  onChange() {
    const pending = this.library.images.filter((image) => image.status === "pending").map((image) => image.id);
    if (pending.length) this.watcher.watch(pending);
    if (!this.library.isStale) skeletons.stop();
    const isEmpty = this.library.isComplete && this.library.shown.length === 0;
    this.empty.hidden = !isEmpty;
    if (!isEmpty) return;
    const { library } = this;
    if (library.search) fill(this.empty, h("p", { class: "empty-title" }, "No image matches."), h("p", { class: "note" }, "The search looks in titles, file names and tags."));
    else if (Object.keys(library.filter).length) {
      const { filters } = this.header;
      fill(this.empty, h("p", { class: "empty-title" }, filters.emptyWords()), h("button", { type: "button", class: "button", onclick: () => filters.reset() }, "Show all images"));
    }
    else {
      fill(
        this.empty,
        h("p", { class: "empty-title" }, "No images yet"),
        h("p", { class: "note" }, this.access.may("upload") ? "Drop photos here, paste one, or choose files. Darkroom makes web sizes and keeps the original." : lacking("upload")),
        this.access.may("admin") && this.access.isRequired ? h("p", { class: "note" }, "You see your own images. Those of another owner are in Filters.") : null,
        this.access.may("upload") ? h("div", { class: "buttons" }, h("button", { type: "button", class: "button primary", onclick: () => this.uploads.pick("files") }, "Choose files"), h("button", { type: "button", class: "button", onclick: () => this.uploads.addSample() }, "Try a sample")) : null,
      );
    }
  }

  onClosed(id) {
    const { index, focused } = this.gallery;
    if (index.has(id)) this.gallery.focus(id);
    else if (focused !== null && document.activeElement === document.body) this.gallery.focus(focused); // it was deleted
  }
}

applyTheme();
const empty = document.getElementById("empty");
const skeletons = new Skeletons(document.getElementById("skeletons"), () => (empty.hidden = true));
skeletons.start();
try {
  new App(await get("limits")).start();
} catch (error) {
  skeletons.stop();
  empty.hidden = false;
  fill(empty, h("p", { class: "empty-title" }, error.message), h("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again"));
}
