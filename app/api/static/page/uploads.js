/** Uploads of the page: how files come in, and what happens to their records. */

import { Offline, Problem, get, post, url } from "./api.js";
import { announce } from "./dom.js";
import { MOST, collectFiles, watchDrops } from "./drop.js";
import { count, plural } from "./format.js";
import { Queue } from "./queue.js";
import { lacking } from "./refusals.js";
import { Tray } from "./tray.js";

const SAMPLE = "static/page/sample.jpg";
/** Time between additions to the gallery. */
const RECORDS_MILLISECONDS = 500;

export class Uploads {
  /** `actions` are those of the tray, with fields(), onRecord(image), watch(ids), report(error), toast(text), may(scope). */
  constructor(limits, actions) {
    this.actions = actions;
    this.records = [];
    this.queue = new Queue(limits);
    this.tray = new Tray(document.getElementById("tray"), this.queue, { ...actions, reprocess: (upload) => this.reprocess(upload) });
    this.queue.addEventListener("change", (event) => this.onChange(event.detail));
    watchDrops(document.getElementById("drop"), (files) => this.add(files), () => actions.may("upload"));
    for (const kind of ["files", "folder", "camera"]) {
      const input = document.getElementById(kind);
      input.addEventListener("change", () => {
        this.add([...input.files]);
        input.value = "";
      });
    }
    addEventListener("beforeunload", (event) => {
      const unsent = this.queue.uploads.filter((each) => each.isUnsent).length;
      if (!unsent) return;
      event.preventDefault();
      event.returnValue = `${plural(unsent, "upload")} ${unsent === 1 ? "is" : "are"} not finished.`; // browsers have words of their own
    });
  }

  get isSending() {
    return this.queue.uploads.some((each) => each.isUnsent);
  }

  async add(given) {
    if (!this.actions.may("upload")) {
      this.actions.toast(lacking("upload"));
      return;
    }
    const { files, others, unreadable, isCut } = await collectFiles(given);
    const notes = [];
    if (others) notes.push(`Left out ${plural(others, "file")} that ${others === 1 ? "is not an image" : "are not images"}.`);
    if (unreadable) notes.push(`${plural(unreadable, "file")} could not be read.`);
    if (isCut) notes.push(`Only the first ${count(MOST)} files were added.`);
    if (notes.length) this.actions.toast(notes.join(" "));
    if (!files.length) return;
    this.queue.add(files, this.actions.fields());
    announce(`${plural(files.length, "file")} added`);
  }

  pick(kind) {
    document.getElementById(kind).click();
  }

  /** Upload the picture that comes with the page. */
  async addSample() {
    try {
      const answer = await fetch(url(SAMPLE));
      await this.add([new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" })]);
    } catch {
      this.actions.report(new Offline());
    }
  }

  /** Read the record of an upload that has become an image, and watch it. */
  async onChange(upload) {
    if (!upload?.id || upload.readId === upload.id) return;
    upload.readId = upload.id;
    if (!this.actions.may("read")) {
      if (upload.state === "processing") this.queue.become(upload, "done"); // its end cannot be seen
      return;
    }
    try {
      upload.image ??= await get(`images/${upload.id}`);
      if (upload.state === "known" && upload.image.status !== "ready") this.queue.become(upload, "processing");
      if (!this.records.length) setTimeout(() => this.showRecords(), RECORDS_MILLISECONDS);
      this.records.push(upload.image);
      this.tray.schedule(upload);
    } catch (error) {
      if (error instanceof Problem && error.status < 500) this.queue.become(upload, "done");
      else this.actions.watch([upload.id]);
    }
  }

  showRecords() {
    for (const image of this.records.splice(0)) {
      this.actions.onRecord(image);
      if (image.status === "pending") this.actions.watch([image.id]);
    }
  }

  processed(image) {
    this.queue.processed(image);
  }

  /** Note that an image is gone, which someone else has deleted. */
  gone(id) {
    for (const each of this.queue.uploads) {
      if (each.id === id && each.state === "processing") this.queue.become(each, "canceled", { error: "The image was deleted.", image: null });
    }
  }

  async reprocess(upload) {
    try {
      const image = await post(`images/${upload.id}/reprocess`);
      this.queue.become(upload, "processing", { error: "", image });
      this.actions.onRecord(image);
      this.actions.watch([image.id]);
    } catch (error) {
      this.actions.report(error);
    }
  }
}
