/** The tray: a bar for each upload and one for all. It stays open while an upload has failed. */

import { announce, fill, h, icon, iconButton } from "./dom.js";
import { bytes, count, duration, plural } from "./format.js";
import { extensionOf } from "./refusals.js";

const WORDS = { waiting: "Waiting", checking: "Checking", processing: "Processing", done: "Done", known: "Already here", failed: "Failed", canceled: "Canceled" };
/** More rows are not built: those that wait have none, and those that are done lose theirs. */
const MOST_ROWS = 100;
/** Pictures are made of files in small batches only: decoding them takes time from the uploads. */
const MOST_PREVIEWS = 30;
const LARGEST_PREVIEW = 30e6;
const THUMB = 64;
/** Time between updates: drawing takes processor time from the uploads. Not by frames: hidden tabs have none. */
const UPDATE_MILLISECONDS = 150;
const RETRYABLE = ["attempts_exhausted", "timeout", "crashed", "memory"];

export class Tray {
  /** `actions`: open(image), download(event, image), reprocess(upload), may(scope), finished(). */
  constructor(root, queue, actions) {
    this.root = root;
    this.queue = queue;
    this.actions = actions;
    this.rows = new Map();
    this.previews = Promise.resolve();
    this.due = new Set();
    this.list = h("ul", { class: "tray-list", tabIndex: 0, "aria-label": "Files" });
    this.title = h("span", { class: "tray-title" });
    this.bar = h("progress", { class: "tray-all", max: 1, value: 0, "aria-label": "All uploads" });
    this.fold = iconButton("down", "Collapse", () => this.collapse(!root.classList.contains("collapsed")), { "aria-expanded": "true", class: "icon-button tray-fold" });
    this.close = iconButton("close", "Close", () => this.dismiss());
    this.more = h("span", { class: "note" });
    this.cancelAll = h("button", { type: "button", class: "link", onclick: () => this.each("isUnsent", (one) => queue.cancel(one)) }, "Cancel all");
    this.retryAll = h("button", { type: "button", class: "link", onclick: () => this.each("failed", (one) => this.again(one)) }, "Try all again");
    this.retryNow = h("button", { type: "button", class: "link", onclick: () => queue.wake() }, "Retry all now");
    this.foot = h("div", { class: "tray-foot" }, this.more, this.retryNow, this.cancelAll, this.retryAll);
    root.append(h("div", { class: "tray-head" }, this.title, this.fold, this.close), this.bar, this.list, this.foot);
    root.setAttribute("aria-label", "Uploads");
    queue.addEventListener("change", (event) => this.schedule(event.detail));
    setInterval(() => this.tick(), 500);
  }

  collapse(folded) {
    this.root.classList.toggle("collapsed", folded);
    this.fold.setAttribute("aria-expanded", String(!folded));
    for (const name of ["aria-label", "title"]) this.fold.setAttribute(name, folded ? "Expand" : "Collapse");
  }

  dismiss() {
    this.queue.clear();
    this.root.hidden = !this.queue.uploads.length;
    if (this.root.hidden) document.querySelector("#header .primary")?.focus(); // not lost with the button
  }

  each(kind, act) {
    for (const upload of [...this.queue.uploads]) {
      if (kind === "isUnsent" ? upload.isUnsent : upload.state === "failed" && canRetry(upload, this.actions)) act(upload);
    }
  }

  tick() {
    if (this.root.hidden) return;
    for (const [upload, row] of this.rows) if (upload.retryAt) this.showError(upload, row);
    this.showTotal();
  }

  /** Show the state of an upload soon; null if some are gone. */
  schedule(upload) {
    if (!this.due.size) setTimeout(() => this.update(), UPDATE_MILLISECONDS);
    this.due.add(upload);
  }

  update() {
    const { uploads } = this.queue;
    const kept = new Set(uploads);
    const due = [...this.due];
    this.due.clear();
    if (uploads.length) this.root.hidden = false;
    for (const each of this.rows.keys()) if (!kept.has(each)) this.removeRow(each);
    const ended = due.filter((each) => kept.has(each) && this.show(each));
    this.showTotal();
    document.body.classList.toggle("uploading", uploads.some((each) => each.isUnsent));
    if (ended.length && uploads.every((each) => each.isFinished)) this.finish();
  }

  /** Show the state of an upload; return true if it has just ended. */
  show(upload) {
    const row = this.rows.get(upload) || this.build(upload);
    if (row) this.showRow(upload, row);
    const hasEnded = upload.isFinished && upload.announced !== upload.state;
    if (hasEnded && upload.state === "failed") announce(upload.error);
    if (hasEnded || !upload.isFinished) upload.announced = upload.isFinished ? upload.state : null;
    return hasEnded;
  }

  showRow(upload, row) {
    const share = upload.file.size ? upload.sent / upload.file.size : 0;
    if (upload.state === "sending") row.bar.value = share;
    else row.bar.removeAttribute("value");
    const word = upload.state === "sending" ? `${Math.round(share * 100)} %` : WORDS[upload.state];
    if (row.word.textContent !== word) row.word.textContent = word;
    const shown = `${upload.state} ${upload.error} ${upload.retryAt} ${upload.image?.version}`;
    if (shown === row.shown) return;
    const hadFocus = row.element.contains(document.activeElement);
    const isNew = row.element.dataset.state !== upload.state;
    row.shown = shown;
    row.element.dataset.state = upload.state;
    row.bar.hidden = upload.isFinished;
    row.cancel.hidden = !upload.isUnsent;
    row.open.disabled = !upload.image || !this.actions.may("read");
    this.showError(upload, row);
    this.showThumb(upload, row);
    const image = upload.state === "failed" && upload.image;
    fill(
      row.buttons,
      upload.retryAt ? h("button", { type: "button", class: "link", onclick: () => this.queue.wake() }, "Retry now") : null,
      canRetry(upload, this.actions) ? h("button", { type: "button", class: "link", "aria-label": `Try ${upload.file.name} again`, onclick: () => this.again(upload) }, "Try again") : null,
      image && this.actions.may("read") ? h("a", { class: "link", href: `images/${image.id}/original`, download: "", "aria-label": `Download ${upload.file.name}`, onclick: (event) => this.actions.download(event, image) }, "Download") : null,
    );
    row.buttons.hidden = !row.buttons.childElementCount;
    if (isNew && upload.state === "failed") this.list.prepend(row.element);
    if (isNew && !this.list.matches(":hover") && !this.list.contains(document.activeElement)) {
      if (upload.state === "failed") this.list.scrollTop = 0;
      else if (upload.state === "checking" || upload.retryAt) this.list.scrollTop = Math.max(this.list.scrollTop, row.element.offsetTop + row.element.offsetHeight - this.list.clientHeight);
    }
    if (hadFocus && !row.element.contains(document.activeElement)) (row.element.querySelector("button:enabled:not([hidden]), a") || this.fold).focus();
  }

  showError(upload, row) {
    const seconds = Math.max(1, Math.round((upload.retryAt - Date.now()) / 1000));
    const text = upload.retryAt ? `${upload.error} Retrying in ${seconds} s.` : upload.error;
    if (row.error.textContent !== text) row.error.textContent = text;
    row.error.hidden = !text;
  }

  build(upload) {
    if (this.rows.size >= MOST_ROWS) {
      const old = [...this.rows.keys()].find((each) => each.isFinished && each.state !== "failed");
      if (!old) return null;
      this.removeRow(old);
    }
    const { name } = upload.file;
    const thumb = h("span", { class: "tray-thumb", "aria-hidden": "true" }, extensionOf(name).slice(0, 4).toUpperCase());
    const bar = h("progress", { max: 1, "aria-label": name });
    const word = h("span", { class: "tray-word" });
    const error = h("p", { class: "tray-error", hidden: true });
    const cancel = iconButton("close", `Cancel ${name}`, () => this.queue.cancel(upload));
    const open = h("button", { type: "button", class: "tray-name", dir: "auto", disabled: true, title: name, onclick: () => this.actions.open(upload.image) }, name);
    const buttons = h("span", { class: "tray-buttons", hidden: true });
    const element = h("li", { class: "tray-row" }, thumb, h("div", { class: "tray-body" }, h("span", { class: "tray-line" }, open, word), bar, error, buttons), cancel);
    const row = { element, thumb, bar, word, error, cancel, open, buttons };
    this.rows.set(upload, row);
    this.list.append(element);
    if (this.queue.uploads.length <= MOST_PREVIEWS) this.previews = this.previews.then(() => preview(upload, row));
    return row;
  }

  removeRow(upload) {
    this.rows.get(upload)?.element.remove();
    this.rows.delete(upload);
  }

  /** Show the smallest variant, once there is one. */
  showThumb(upload, row) {
    const variant = upload.image?.variants?.toSorted((one, other) => one.bytes - other.bytes)[0];
    if (!variant || row.hasThumb) return;
    row.hasThumb = true;
    const picture = h("img", { alt: "", decoding: "async", src: variant.url });
    picture.addEventListener("load", () => row.thumb.replaceChildren(picture));
  }

  again(upload) {
    if (upload.image) this.actions.reprocess(upload);
    else this.queue.retry(upload);
  }

  finish() {
    const failed = this.queue.uploads.filter((each) => each.state === "failed").length;
    const done = this.queue.uploads.filter((each) => each.state === "done" || each.state === "known").length;
    announce(failed ? `${plural(done, "image")} uploaded, ${failed} failed` : `${plural(done, "image")} uploaded`);
    this.actions.finished({ done, failed });
  }

  showTotal() {
    const { uploads } = this.queue;
    const { total, sent, rate, left } = this.queue.progress;
    const failed = uploads.filter((each) => each.state === "failed").length;
    this.bar.value = total ? sent / total : 1;
    this.bar.hidden = !left;
    this.close.hidden = left > 0;
    this.cancelAll.hidden = uploads.filter((each) => each.isUnsent).length < 2;
    this.retryAll.hidden = uploads.filter((each) => each.state === "failed" && canRetry(each, this.actions)).length < 2;
    this.retryNow.hidden = uploads.filter((each) => each.retryAt).length < 2;
    const hidden = uploads.filter((each) => !this.rows.has(each) && !["done", "known", "canceled"].includes(each.state)).length;
    this.more.textContent = hidden ? `${count(hidden)} more` : "";
    this.foot.hidden = !hidden && this.cancelAll.hidden && this.retryAll.hidden;
    const [shape, text, speed] = left ? [null, ...this.describe(uploads, { total, sent, rate, left, failed })] : describeEnd(uploads, failed);
    const all = `${shape} ${text} ${speed}`;
    if (all === this.titleShown) return;
    this.titleShown = all;
    fill(this.title, shape ? icon(shape) : null, h("span", {}, text), speed ? h("small", {}, speed) : null);
  }

  describe(uploads, { total, sent, rate, left, failed }) {
    const tail = failed ? `, ${failed} failed` : "";
    if (uploads.some((each) => each.retryAt) && !uploads.some((each) => each.state === "sending")) return [`Waiting for the connection${tail}`, ""];
    if (!uploads.some((each) => each.isUnsent)) return [`Processing ${plural(left, "image")}${tail}`, ""];
    const seconds = rate && total > sent ? (total - sent) / rate : 0;
    const number = uploads.filter((each) => !each.isUnsent).length + 1;
    return [`Uploading ${count(number)} of ${count(uploads.length)}${seconds ? `, ${duration(seconds)} left` : ""}${tail}`, rate ? `${bytes(Math.round(rate))}/s` : ""];
  }
}

function describeEnd(uploads, failed) {
  const canceled = uploads.filter((each) => each.state === "canceled").length;
  if (failed) return ["warning", `${failed} of ${plural(uploads.length, "upload")} failed`, ""];
  if (canceled) return [canceled === uploads.length ? "close" : "check", `${plural(uploads.length - canceled, "upload")} finished, ${canceled} canceled`, ""];
  return ["check", `${plural(uploads.length, "upload")} finished`, ""];
}

function canRetry(upload, actions) {
  if (upload.state === "canceled") return true;
  if (upload.state !== "failed" || upload.isPermanent) return false;
  return upload.image ? RETRYABLE.includes(upload.image.error?.code) && actions.may("edit") : true;
}

/** Draw a file into the box of its row. Formats that the browser cannot decode keep their name there. */
async function preview(upload, row) {
  if (row.hasThumb || !row.element.isConnected || upload.file.size > LARGEST_PREVIEW) return;
  try {
    const bitmap = await createImageBitmap(upload.file);
    const scale = THUMB / Math.min(bitmap.width, bitmap.height);
    const canvas = h("canvas", { width: THUMB, height: THUMB });
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    canvas.getContext("2d").drawImage(bitmap, (THUMB - width) / 2, (THUMB - height) / 2, width, height);
    bitmap.close();
    if (!row.hasThumb) row.thumb.replaceChildren(canvas);
  } catch {
    // not a picture, or of another format
  }
}
