/** The tray: a bar for each upload and one for all. */

import { announce, fill, h, icon, iconButton } from "./dom.js";
import { bytes, duration, plural } from "./format.js";

const WORDS = { waiting: "Waiting", checking: "Checking", processing: "Processing", done: "Done", known: "Already here", failed: "Failed", canceled: "Canceled" };
/** Rows of finished uploads beyond this many are folded into the summary. */
const MOST_ROWS = 200;

export class Tray {
  constructor(root, queue, actions) {
    this.queue = queue;
    this.actions = actions;
    this.rows = new Map();
    this.list = h("ul", { class: "tray-list" });
    this.title = h("span", { class: "tray-title" });
    this.bar = h("progress", { class: "tray-all", max: 1, value: 0, "aria-label": "All uploads" });
    this.fold = iconButton("down", "Collapse", () => this.collapse(!root.classList.contains("collapsed")), { "aria-expanded": "true" });
    this.close = iconButton("close", "Close", () => this.dismiss());
    this.root = root;
    root.append(h("div", { class: "tray-head" }, this.title, this.fold, this.close), this.bar, this.list);
    root.setAttribute("aria-label", "Uploads");
    queue.addEventListener("change", (event) => this.show(event.detail));
    setInterval(() => this.showTotal(), 500);
  }

  collapse(folded) {
    this.root.classList.toggle("collapsed", folded);
    this.fold.setAttribute("aria-expanded", String(!folded));
    this.fold.setAttribute("aria-label", folded ? "Expand" : "Collapse");
  }

  dismiss() {
    this.queue.clear();
    if (!this.queue.uploads.length) this.root.hidden = true;
  }

  show(upload) {
    if (upload === null) {
      for (const [each, row] of this.rows) {
        if (!this.queue.uploads.includes(each)) {
          row.element.remove();
          this.rows.delete(each);
        }
      }
      return;
    }
    this.root.hidden = false;
    const row = this.rows.get(upload) || this.build(upload);
    const share = upload.file.size ? upload.sent / upload.file.size : 0;
    const failed = upload.state === "failed";
    row.element.dataset.state = upload.state;
    row.bar.hidden = upload.isFinished;
    if (upload.state === "sending") row.bar.value = share;
    else row.bar.removeAttribute("value");
    row.word.textContent = upload.state === "sending" ? `${Math.round(share * 100)} %` : WORDS[upload.state];
    row.error.textContent = upload.error;
    row.error.hidden = !upload.error;
    row.cancel.hidden = upload.isFinished || upload.state === "processing";
    row.retry.hidden = !failed && upload.state !== "canceled" && !upload.retryAt;
    row.open.disabled = !upload.image;
    if (upload.isFinished && !row.announced) {
      row.announced = true;
      if (failed) announce(upload.error);
      this.showTotal();
      if (this.queue.uploads.every((each) => each.isFinished)) this.finish();
    }
    if (!upload.isFinished) row.announced = false;
  }

  build(upload) {
    const bar = h("progress", { max: 1, "aria-label": upload.file.name });
    const word = h("span", { class: "tray-word" });
    const error = h("p", { class: "tray-error", hidden: true, dir: "auto" });
    const cancel = iconButton("close", `Cancel ${upload.file.name}`, () => this.queue.cancel(upload));
    const retry = h("button", { type: "button", class: "link", hidden: true, onclick: () => this.again(upload) }, "Try again");
    const open = h("button", { type: "button", class: "tray-name", dir: "auto", disabled: true, title: upload.file.name, onclick: () => this.actions.open(upload.image) }, upload.file.name);
    const element = h("li", { class: "tray-row" }, h("span", { class: "tray-line" }, open, word, cancel), bar, error, retry);
    const row = { element, bar, word, error, cancel, retry, open };
    this.rows.set(upload, row);
    this.list.append(element);
    if (this.rows.size > MOST_ROWS) {
      const [first, its] = this.rows.entries().find(([each]) => each.state === "done" || each.state === "known") || [];
      if (first) {
        its.element.remove();
        this.rows.delete(first);
      }
    }
    return row;
  }

  again(upload) {
    if (upload.retryAt && upload.wake) {
      upload.retryAt = 0;
      upload.wake();
    } else this.queue.retry(upload);
  }

  finish() {
    const failed = this.queue.uploads.filter((each) => each.state === "failed").length;
    const done = this.queue.uploads.filter((each) => each.state === "done" || each.state === "known").length;
    announce(failed ? `${plural(done, "image")} uploaded, ${failed} failed` : `${plural(done, "image")} uploaded`);
    this.actions.finished({ done, failed });
  }

  showTotal() {
    if (this.root.hidden) return;
    const { uploads } = this.queue;
    const { total, sent, rate, left } = this.queue.progress;
    this.bar.value = total ? sent / total : 1;
    this.bar.hidden = !left;
    this.close.hidden = left > 0;
    if (!left) {
      const failed = uploads.filter((each) => each.state === "failed").length;
      fill(this.title, failed ? icon("warning") : icon("check"), failed ? `${failed} of ${plural(uploads.length, "upload")} failed` : `${plural(uploads.length, "upload")} finished`);
      return;
    }
    const finished = uploads.length - left;
    const seconds = rate ? (total - sent) / rate : 0;
    const time = rate && total > sent ? `, ${duration(seconds)} left` : "";
    fill(this.title, `Uploading ${Math.min(finished + 1, uploads.length)} of ${uploads.length}${time}`, h("small", {}, rate ? `${bytes(rate)}/s` : ""));
  }
}
