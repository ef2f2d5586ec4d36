/** <darkroom-upload endpoint="/tickets">: choose, drop or paste images and upload them. Types: darkroom-upload.d.ts */

import { ready, upload } from "./client.js";

const AT_ONCE = 3;
const ACCEPTED = "image/jpeg,image/png,image/webp,image/gif,image/avif,image/heic,image/heif,image/tiff,image/bmp,.heic,.heif,.avif,.tif,.tiff";
const FINISHED = ["done", "known", "failed", "canceled"];

const TEXTS = {
  choose: "Choose images", chooseOne: "Choose an image", hint: "or drop them here", hintOne: "or drop it here",
  cancel: "Cancel", retry: "Try again", remove: "Remove",
  waiting: "Waiting",
  sending: (percent) => `${percent} %`,
  processing: "Processing",
  done: "Done", known: "Already here", canceled: "Canceled", failed: "Failed",
  unreadable: (name) => `${name} cannot be read.`,
  empty: (name) => `${name} is empty.`,
  tooLarge: (name, size, limit) => `${name} is ${size}; the limit is ${limit}.`,
  unfinished: (count) => (count === 1 ? "1 upload is not finished." : `${count} uploads are not finished.`),
  required: "Choose an image.",
};

const STYLE = `
:host { display: block; font: 14px/20px system-ui, sans-serif; }
:host([hidden]), [hidden] { display: none !important; }
.zone { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; padding: 16px; border: 1px dashed GrayText; border-radius: 6px; }
.zone.over, button:focus-visible { outline: 2px solid var(--darkroom-accent, LinkText); outline-offset: 2px; }
button { font: inherit; min-height: 32px; padding: 0 12px; border: 1px solid GrayText; border-radius: 6px; color: ButtonText; background: ButtonFace; }
button:disabled { color: GrayText; }
@media (pointer: coarse) { button { min-height: 44px; } }
ul { list-style: none; margin: 8px 0 0; padding: 0; }
li { display: grid; grid-template-columns: 1fr auto auto; align-items: center; gap: 4px 8px; padding: 4px 0; }
bdi { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
li > span { display: flex; gap: 8px; font-variant-numeric: tabular-nums; }
progress, p { grid-column: 1 / -1; width: 100%; height: 4px; accent-color: var(--darkroom-accent, LinkText); }
p { height: auto; margin: 0; color: var(--darkroom-danger, light-dark(#b42318, #ff8a80)); }
.live { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

// Constructed, because the policy of a site may forbid style elements.
const SHEET = new CSSStyleSheet();
SHEET.replaceSync(STYLE);

function create(tag, { part = "", ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.setAttribute("part", part);
  element.append(...children);
  return element;
}

const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString(undefined, { maximumFractionDigits: 1 })} MB`;

/** One file: its state, and its row in the list. */
class Upload {
  state = "waiting"; // waiting, sending, processing, done, known, failed, canceled
  sent = 0;
  id = null; record = null;
  error = null;
  stop = null; // an AbortController while it runs

  constructor(file, fields, texts, act) {
    Object.assign(this, { file, fields, texts });
    const button = (action) => {
      const made = create("button", { type: "button", part: "action", textContent: texts[action] });
      made.setAttribute("aria-label", `${texts[action]}: ${file.name}`);
      made.addEventListener("click", () => act[action](this));
      return made;
    };
    this.word = create("span", { part: "state" });
    this.buttons = { retry: button("retry"), cancel: button("cancel"), remove: button("remove") };
    this.bar = create("progress", { part: "progress", max: 1 });
    this.bar.setAttribute("aria-label", file.name);
    this.problem = create("p", { part: "error" });
    const name = create("bdi", { part: "name", textContent: file.name, title: file.name });
    this.row = create("li", { part: "item" }, name, this.word, create("span", {}, ...Object.values(this.buttons)), this.bar, this.problem);
    this.show();
  }

  get isFinished() { return FINISHED.includes(this.state); }
  get isStored() { return this.state === "done" || this.state === "known"; }

  /** Bring the row up to date. */
  show() {
    const { state, texts, buttons, bar } = this;
    const share = this.file.size ? this.sent / this.file.size : 0;
    this.row.dataset.state = state;
    this.word.textContent = state === "sending" ? texts.sending(Math.floor(share * 100)) : texts[state];
    const focused = this.row.getRootNode().activeElement;
    buttons.retry.hidden = !this.isFinished || this.isStored;
    buttons.cancel.hidden = this.isFinished;
    buttons.remove.hidden = !this.isFinished;
    if (focused?.hidden && this.row.contains(focused)) (buttons.retry.hidden ? buttons.remove : buttons.retry).focus();
    bar.hidden = this.isFinished;
    if (state === "processing") bar.removeAttribute("value");
    else bar.value = share;
    this.problem.hidden = !this.error;
    this.problem.textContent = this.error?.message ?? "";
  }
}

export class DarkroomUpload extends HTMLElement {
  static formAssociated = true;
  static observedAttributes = ["multiple", "accept", "disabled", "required"];
  static texts = TEXTS;

  fields = {};
  headers = {};
  credentials; // as of fetch
  delays; // of client.js
  uploads = [];
  #internals = this.attachInternals();
  #running = 0;
  #formDisabled = false;
  #input = create("input", { type: "file", hidden: true });
  #label = create("slot", { name: "label" });
  #hint = create("slot", { name: "hint" });
  #button = create("button", { type: "button", part: "button" }, this.#label);
  #list = create("ul", { part: "list", role: "list" });
  #live = create("div", { className: "live", role: "status" });
  #zone = create("div", { className: "zone", part: "zone" }, this.#button, create("span", { part: "hint" }, this.#hint));

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [SHEET];
    root.append(this.#zone, this.#input, this.#list, this.#live);
    this.#button.addEventListener("click", () => this.#input.click());
    this.#input.addEventListener("change", () => {
      this.add(this.#input.files);
      this.#input.value = "";
    });
    for (const kind of ["dragover", "dragleave", "drop"]) this.addEventListener(kind, (event) => this.#dragged(event));
    this.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) event.preventDefault();
      this.add(event.clipboardData.files);
    });
  }

  connectedCallback() { this.#configure(); }

  /** Cancel what is in progress, unless the element has only been moved. */
  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.cancel());
  }

  attributeChangedCallback() { this.#configure(); }

  formDisabledCallback(disabled) {
    this.#formDisabled = disabled;
    this.#configure();
  }

  formResetCallback() { this.clear(); }
  get form() { return this.#internals.form; }

  get multiple() { return this.hasAttribute("multiple"); }

  get value() {
    return this.uploads.filter((each) => each.isStored).map((each) => each.id);
  }

  add(files, fields = this.fields) {
    const chosen = this.multiple ? [...files] : [...files].slice(-1);
    if (this.#disabled || !chosen.length) return [];
    if (!this.multiple) this.clear();
    const act = { retry: (each) => this.retry(each), cancel: (each) => this.cancel(each), remove: (each) => this.clear(each) };
    const added = chosen.map((file) => new Upload(file, fields, this.constructor.texts, act));
    this.uploads.push(...added);
    this.#list.append(...added.map((each) => each.row));
    this.#report();
    this.#next();
    return added;
  }

  cancel(upload) {
    for (const each of upload ? [upload] : this.uploads) {
      if (each.isFinished) continue;
      this.#become(each, "canceled");
      each.stop?.abort();
    }
  }

  retry(upload) {
    if (!upload.isFinished || upload.isStored) return;
    Object.assign(upload, { sent: 0, error: null });
    this.#become(upload, "waiting");
    this.#next();
  }

  clear(upload) {
    const removed = upload ? [upload] : [...this.uploads];
    for (const each of removed) this.cancel(each);
    if (removed.some((each) => each.row.contains(this.shadowRoot.activeElement))) this.#button.focus();
    for (const each of removed) each.row.remove();
    this.uploads = this.uploads.filter((each) => !removed.includes(each));
    this.#report();
  }

  get #disabled() { return this.#formDisabled || this.hasAttribute("disabled"); }

  #configure() {
    const { texts } = this.constructor;
    this.#label.textContent = this.multiple ? texts.choose : texts.chooseOne;
    this.#hint.textContent = this.multiple ? texts.hint : texts.hintOne;
    this.#input.multiple = this.multiple;
    this.#input.accept = this.getAttribute("accept") ?? ACCEPTED;
    this.#button.disabled = this.#disabled;
    this.#report();
  }

  #dragged(event) {
    if (this.#disabled || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.#zone.classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") this.add(event.dataTransfer.files);
  }

  /** Start uploads that wait. One that was canceled a moment ago starts again when its first run has ended. */
  #next() {
    for (const each of this.uploads) {
      if (this.#running >= AT_ONCE) return;
      if (each.state !== "waiting" || each.stop) continue;
      this.#running += 1;
      each.stop = new AbortController();
      this.#run(each, each.stop.signal).finally(() => {
        this.#running -= 1;
        each.stop = null;
        this.#next();
      });
    }
  }

  async #run(each, signal) {
    const { file, fields } = each;
    const { headers, credentials, delays } = this;
    const onProgress = (sent, total) => {
      each.sent = sent;
      each.show();
      this.#tell("progress", { file, sent, total });
    };
    try {
      await this.#check(file);
      signal.throwIfAborted();
      this.#become(each, "sending");
      const options = { fields, headers, credentials, delays, signal, onProgress };
      const { id, duplicate, record = null } = await upload(file, this.getAttribute("endpoint"), options);
      signal.throwIfAborted();
      Object.assign(each, { id, record });
      const records = this.getAttribute("records");
      if (records !== null && record?.status !== "ready") {
        this.#become(each, "processing");
        each.record = await ready(`${records.replace(/\/$/, "")}/${id}`, { headers, credentials, signal });
      }
      if (each.record?.status === "failed") throw new Error(each.record.error.detail);
      this.#become(each, duplicate ? "known" : "done");
      this.#tell("uploaded", { file, id, duplicate, record: each.record });
    } catch (error) {
      if (signal.aborted) return;
      each.error = error;
      this.#become(each, "failed");
      this.#tell("failed", { file, error });
    }
  }

  async #check(file) {
    const { texts } = this.constructor;
    const limit = Number(this.getAttribute("max-bytes")) || Infinity;
    if (!this.getAttribute("endpoint")) throw new Error("<darkroom-upload> has no attribute endpoint.");
    if (!file.size) throw new Error(texts.empty(file.name));
    if (file.size > limit) throw new Error(texts.tooLarge(file.name, megabytes(file.size), megabytes(limit)));
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Error(texts.unreadable(file.name)); // a folder, or a file that was removed
    });
  }

  #become(each, state) {
    each.state = state;
    each.show();
    this.#report();
    if (each.isFinished) this.#live.textContent = `${each.file.name}: ${each.error?.message ?? each.texts[state]}`;
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(`darkroom-${kind}`, { detail, bubbles: true, composed: true }));
  }

  /** Report value and validity to the form. */
  #report() {
    const { texts } = this.constructor;
    const name = this.getAttribute("name");
    const data = new FormData();
    if (name) for (const id of this.value) data.append(name, id);
    this.#internals.setFormValue(data);
    const left = this.uploads.filter((each) => !each.isFinished).length;
    const valueMissing = this.hasAttribute("required") && !this.value.length;
    this.#internals.setValidity({ customError: left > 0, valueMissing }, left ? texts.unfinished(left) : texts.required, this.#button);
  }
}

if (!customElements.get("darkroom-upload")) customElements.define("darkroom-upload", DarkroomUpload);
