/** The page: puts upload, gallery and viewer together. */

import { Offline, Problem, bulk, get, headers, key, remove, session, url } from "./api.js";
import { announce, fill, h, icon, iconButton } from "./dom.js";
import { collectFiles, watchDrops } from "./drop.js";
import { plural } from "./format.js";
import { Gallery } from "./gallery.js";
import { Header } from "./header.js";
import { Queue } from "./queue.js";
import { Library, Watcher } from "./state.js";
import { applyTheme } from "./theme.js";
import { askForKey, confirmDelete, showHelp, showText, toast } from "./windows.js";
import { Tray } from "./tray.js";
import { Viewer } from "./viewer.js";

const SAMPLE = "static/page/sample.jpg";

class App {
  constructor(limits) {
    this.limits = limits;
    this.scopes = null;
    this.library = new Library();
    this.queue = new Queue(limits);
    const place = (name) => document.getElementById(name);
    const actions = {
      limits,
      trashDays: limits.trash_days,
      may: (scope) => this.may(scope),
      open: (image) => image && this.viewer.open(image.id),
      delete: (ids) => this.delete(ids),
      restore: (ids) => this.restore(ids),
      edit: (ids, change, words) => this.edit(ids, change, words),
      report: (error) => this.report(error),
      toast: (text, options) => toast(text, options),
      updated: (image) => this.updated(image),
      download: (event, image) => this.download(event, image),
      upload: (files) => this.upload(files),
      showText,
      help: showHelp,
      pick: (kind) => this.pick(kind),
      setKey: () => this.changeKey(),
      closed: (id, before) => this.onClosed(id, before),
      finished: ({ failed }) => !failed && this.library.emit("change"),
    };
    this.gallery = new Gallery(place("gallery"), this.library, actions);
    this.header = new Header(place("header"), this.library, actions);
    this.viewer = new Viewer(place("viewer"), this.library, actions);
    this.tray = new Tray(place("tray"), this.queue, actions);
    this.watcher = new Watcher((image) => this.onRecord(image));
    this.empty = place("empty");
    this.library.addEventListener("change", () => this.onChange());
    this.library.addEventListener("error", (event) => this.onLoadError(event.detail));
    this.queue.addEventListener("change", (event) => this.onUpload(event.detail));
    watchDrops(place("drop"), (files) => this.upload(files));
    for (const kind of ["files", "folder", "camera"]) {
      const input = place(kind);
      input.addEventListener("change", () => {
        this.upload([...input.files]);
        input.value = "";
      });
    }
    addEventListener("popstate", () => this.followAddress());
    addEventListener("beforeunload", (event) => {
      if (this.queue.uploads.some((each) => !each.isFinished && each.state !== "processing")) event.preventDefault();
    });
    session.askForKey = () => this.askForKey();
  }

  async start() {
    this.header.apply();
    this.followAddress();
  }

  followAddress() {
    const id = new URL(location.href).searchParams.get("image");
    if (id) this.viewer.open(id, { replace: true });
    else if (this.viewer.isOpen) this.viewer.dialog.close();
  }

  /** True if the caller may do this, as far as the page knows: with a key, until the service has refused it. */
  may(scope) {
    return !this.refused?.has(scope);
  }

  // Uploads

  async upload(files) {
    const found = await collectFiles(files);
    if (!found.length) return;
    this.queue.add(found, this.header.uploadFields());
    announce(`${plural(found.length, "file")} added`);
  }

  pick(kind) {
    document.getElementById(kind).click();
  }

  async onUpload(upload) {
    if (!upload || !upload.id || upload.shown === upload.id) return;
    upload.shown = upload.id;
    try {
      const image = upload.image || (await get(`images/${upload.id}`));
      upload.image = image;
      this.onRecord(image);
      if (image.status === "pending") this.watcher.watch([image.id]);
      this.tray.show(upload);
    } catch (error) {
      if (error instanceof Problem && error.code === "scope_missing") this.queue.become(upload, "done");
    }
  }

  onRecord(image) {
    if (!image.upload_expires_at || image.status !== "pending") this.library.update(image);
    this.queue.processed(image);
    if (this.viewer.image?.id === image.id) this.viewer.refresh(image);
  }

  // Changes

  updated(image) {
    this.library.update(image);
    if (image.status === "pending" || image.variants.length === 0) this.watcher.watch([image.id]);
  }

  async edit(ids, change, words) {
    await this.changeMany("images/edit", ids, change, (done) => toast(`${words} ${plural(done.length, "image")}.`));
  }

  async delete(ids) {
    if (!ids.length || !this.may("delete")) return;
    const isTrashed = (id) => [this.library.byId.get(id), this.viewer.image].find((image) => image?.id === id)?.trashed_at;
    const isFinal = !this.limits.trash_days || ids.every(isTrashed);
    if (isFinal && !(await confirmDelete(ids.length))) return;
    await this.changeMany("images/delete", ids, { permanent: isFinal }, (done) => {
      if (ids.includes(this.viewer.image?.id)) this.viewer.dialog.close();
      this.library.drop(done);
      const undo = isFinal ? null : { label: "Undo", action: () => this.restore(done) };
      toast(`Deleted ${plural(done.length, "image")}.`, { undo });
    });
  }

  async restore(ids) {
    await this.changeMany("images/restore", ids, {}, (done) => {
      if (ids.includes(this.viewer.image?.id)) this.viewer.dialog.close();
      toast(`Restored ${plural(done.length, "image")}.`);
    });
  }

  async changeMany(path, ids, body, whenDone) {
    try {
      const results = await bulk(path, ids, body);
      const done = results.filter((each) => each.status < 300).map((each) => each.id);
      const failed = results.filter((each) => each.status >= 300);
      if (done.length) {
        whenDone(done);
        if (path !== "images/delete") await this.readAgain(done);
      }
      if (failed.length) toast(`${plural(failed.length, "image")} could not be changed: ${failed[0].error.detail}`);
      this.library.clearSelection();
    } catch (error) {
      this.report(error);
    }
  }

  async readAgain(ids) {
    for (const id of ids.slice(0, 100)) {
      try {
        this.onRecord(await get(`images/${id}`));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
    }
    if (ids.length > 100) this.library.reload();
  }

  /** Save the original: a link alone would not send the key. */
  async download(event, image) {
    if (!key.get()) return;
    event.preventDefault();
    try {
      const answer = await fetch(url(`images/${image.id}/original`), { headers: headers() });
      if (!answer.ok) throw new Problem(answer.status, await answer.json());
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
      const { required, scopes } = error.document;
      this.refused = (this.refused || new Set()).add(required);
      this.header.show();
      toast(scopes ? `This key cannot do that. It has: ${[scopes].flat().join(", ")}.` : error.message);
      return;
    }
    toast(error.message);
  }

  async askForKey() {
    this.asking ??= askForKey(key.get() !== "").then((given) => {
      this.asking = null;
      if (given === null) return false;
      key.set(given);
      this.refused = null;
      this.header.show();
      return true;
    });
    return this.asking;
  }

  async changeKey() {
    if (await this.askForKey()) this.library.reload();
  }

  onLoadError(error) {
    if (error instanceof Offline) {
      fill(this.empty, h("p", { class: "empty-title" }, "Connection lost"), h("button", { type: "button", class: "button", onclick: () => this.library.more() }, "Try again"));
      this.empty.hidden = this.library.images.length > 0;
    } else if (error instanceof Problem && error.status === 401) {
      fill(this.empty, h("p", { class: "empty-title" }, "An API key is needed"), h("button", { type: "button", class: "button primary", onclick: () => this.changeKey() }, "Enter a key"));
      this.empty.hidden = false;
    } else this.report(error);
  }

  // What is shown

  onChange() {
    const pending = this.library.images.filter((image) => image.status === "pending").map((image) => image.id);
    if (pending.length) this.watcher.watch(pending);
    const isEmpty = this.library.isComplete && this.library.shown.length === 0;
    this.empty.hidden = !isEmpty;
    if (!isEmpty) return;
    const { library } = this;
    if (library.search) fill(this.empty, h("p", { class: "empty-title" }, "No image matches."), h("p", { class: "note" }, "The search looks in titles, file names and tags."));
    else if (Object.keys(library.filter).length) fill(this.empty, h("p", { class: "empty-title" }, this.header.emptyWords()));
    else {
      fill(
        this.empty,
        h("p", { class: "empty-title" }, "No images yet"),
        h("p", { class: "note" }, "Drop photos here, paste one, or choose files. Darkroom makes web sizes and keeps the original."),
        h("div", { class: "buttons" }, h("button", { type: "button", class: "button primary", onclick: () => this.pick("files") }, "Choose files"), h("button", { type: "button", class: "button", onclick: () => this.sample() }, "Try a sample")),
      );
    }
  }

  async sample() {
    try {
      const answer = await fetch(url(SAMPLE));
      this.upload([new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" })]);
    } catch {
      this.report(new Offline());
    }
  }

  onClosed(id) {
    if (id && this.gallery.index?.has(id)) this.gallery.focus(id);
  }
}

applyTheme();
try {
  new App(await get("limits")).start();
} catch (error) {
  document.getElementById("empty").hidden = false;
  fill(document.getElementById("empty"), h("p", { class: "empty-title" }, error.message), h("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again"));
}
