/** The upload queue: three files at a time, known bytes are not sent, every byte is counted. No elements. */

import { Offline, Problem, headers, key, post, session, url } from "./api.js";

const AT_ONCE = 3;
/** Above this, hashing takes longer than it saves on most networks, and needs the whole file in memory. */
const LARGEST_HASHED = 100 * 1000 * 1000;
const TYPES = { jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif", avif: "image/avif", heic: "image/heic", heif: "image/heif", tif: "image/tiff", tiff: "image/tiff", bmp: "image/bmp" };
const RETRY_SECONDS = [2, 4, 8, 15, 30];

export const typeOf = (file) => file.type || TYPES[file.name.split(".").pop().toLowerCase()] || "";
export const extensionOf = (name) => (name.includes(".") ? name.split(".").pop().toUpperCase() : "");

/** State of one file. `sent` counts bytes that have left. */
export class Upload {
  constructor(file, fields = {}) {
    this.file = file;
    this.fields = fields;
    this.state = "waiting"; // waiting, checking, sending, processing, done, known, failed, canceled
    this.sent = 0;
    this.image = null;
    this.error = "";
    this.retryAt = 0;
    this.request = null;
  }

  get isFinished() {
    return ["done", "known", "failed", "canceled"].includes(this.state);
  }
}

/** Runs uploads. Listeners of `change` get an upload whose state has changed, those of `image` a finished record. */
export class Queue extends EventTarget {
  constructor(limits) {
    super();
    this.limits = limits;
    this.uploads = [];
    this.running = 0;
    this.started = 0;
  }

  add(files, fields = {}) {
    const added = [...files].map((file) => new Upload(file, fields));
    if (this.uploads.every((each) => each.isFinished)) this.started = performance.now();
    this.uploads.push(...added);
    for (const upload of added) this.changed(upload);
    this.next();
    return added;
  }

  /** Bytes sent and to send, of all files that are not refused, and the rate in bytes a second. */
  get progress() {
    const counted = this.uploads.filter((each) => !["failed", "canceled"].includes(each.state));
    const total = counted.reduce((sum, each) => sum + each.file.size, 0);
    const sent = counted.reduce((sum, each) => sum + (each.isFinished || each.state === "processing" ? each.file.size : each.sent), 0);
    const really = this.uploads.reduce((sum, each) => sum + each.sent, 0);
    const seconds = Math.max(0.5, (performance.now() - this.started) / 1000);
    return { total, sent, rate: really / seconds, left: this.uploads.filter((each) => !each.isFinished).length };
  }

  cancel(upload) {
    if (upload.isFinished) return;
    upload.request?.abort();
    this.become(upload, "canceled");
  }

  retry(upload) {
    upload.error = "";
    upload.sent = 0;
    this.become(upload, "waiting");
    this.next();
  }

  clear() {
    this.uploads = this.uploads.filter((each) => !each.isFinished);
    this.dispatchEvent(new CustomEvent("change", { detail: null }));
  }

  become(upload, state, more = {}) {
    if (upload.state === "canceled" && state !== "waiting") return;
    Object.assign(upload, { state, ...more });
    this.changed(upload);
    if (upload.image) this.dispatchEvent(new CustomEvent("image", { detail: upload.image }));
  }

  changed(upload) {
    this.dispatchEvent(new CustomEvent("change", { detail: upload }));
  }

  next() {
    for (const upload of this.uploads) {
      if (this.running >= AT_ONCE) return;
      if (upload.state !== "waiting" || upload.request) continue;
      this.running += 1;
      upload.request = { abort() {} };
      this.run(upload).finally(() => {
        this.running -= 1;
        upload.request = null;
        this.next();
      });
    }
  }

  async run(upload) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.send(upload);
        return;
      } catch (error) {
        if (upload.state === "canceled" || error.name === "AbortError") return;
        const busy = error instanceof Problem && (error.status === 429 || error.status === 503);
        if (!(error instanceof Offline || busy) || attempt >= RETRY_SECONDS.length) {
          this.become(upload, "failed", { error: sentence(upload, error, this.limits) });
          return;
        }
        const seconds = RETRY_SECONDS[attempt];
        this.become(upload, "waiting", { sent: 0, retryAt: Date.now() + seconds * 1000, error: `Connection lost. Retrying in ${seconds} s.` });
        await new Promise((resolve) => {
          upload.wake = resolve;
          setTimeout(resolve, seconds * 1000);
        });
        upload.error = "";
        if (upload.state === "canceled") return;
      }
    }
  }

  async send(upload) {
    const { file } = upload;
    const refusal = localRefusal(file, this.limits);
    if (refusal) return this.become(upload, "failed", { error: refusal });
    this.become(upload, "checking");
    const sha256 = file.size <= LARGEST_HASHED ? await hashOf(file) : null;
    if (sha256) {
      const { known } = await post("images/lookup", { sha256: [sha256] });
      if (known[sha256]) return this.finish(upload, known[sha256], "known");
    }
    if (upload.state === "canceled") return null;
    this.become(upload, "sending", { sent: 0 });
    return file.size > this.limits.max_upload_bytes ? this.sendByTicket(upload, sha256) : this.sendForm(upload);
  }

  async sendForm(upload) {
    const form = new FormData();
    for (const [name, value] of Object.entries(upload.fields)) for (const each of [value].flat()) form.append(name, each);
    form.append("file", upload.file, upload.file.name);
    const answer = await this.transfer(upload, "POST", url("upload"), headers(), form);
    const image = JSON.parse(answer.text);
    return this.finish(upload, image.id, image.duplicate ? "known" : "done", image);
  }

  async sendByTicket(upload, sha256) {
    const wanted = { bytes: upload.file.size, content_type: typeOf(upload.file), filename: upload.file.name, ...upload.fields };
    if (sha256) wanted.sha256 = sha256;
    const ticket = await post("upload/direct", wanted);
    if (ticket.status) return this.finish(upload, ticket.id, "known", ticket);
    try {
      await this.transfer(upload, ticket.method, ticket.url, ticket.headers, upload.file);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 412) throw error; // else its bytes are stored already
    }
    return this.finish(upload, ticket.id, "done");
  }

  /** Send a body and report the bytes that have left. XMLHttpRequest, because fetch does not tell them. */
  transfer(upload, method, address, sent, body) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      upload.request = request;
      request.open(method, address);
      for (const [name, value] of Object.entries(sent)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => {
        upload.sent = Math.min(upload.file.size, Math.round((event.loaded / (event.total || 1)) * upload.file.size));
        this.changed(upload);
      };
      request.onload = async () => {
        const text = request.responseText;
        if (request.status < 300) return resolve({ status: request.status, text });
        if (request.status === 401 && key.get() && (await session.askForKey())) return reject(new Offline());
        let document = {};
        try {
          document = JSON.parse(text);
        } catch {
          document = { detail: `The store answered ${request.status}.` };
        }
        return reject(new Problem(request.status, document));
      };
      request.onerror = () => reject(new Offline());
      request.onabort = () => reject(new DOMException("canceled", "AbortError"));
      request.send(body);
    });
  }

  finish(upload, id, outcome, image = null) {
    upload.sent = upload.file.size;
    upload.id = id;
    upload.outcome = outcome;
    if (outcome === "known") return this.become(upload, "known", { image });
    return this.become(upload, "processing", { image });
  }

  /** Note the record of an image whose processing has ended. */
  processed(image) {
    const upload = this.uploads.find((each) => each.id === image.id && each.state === "processing");
    if (!upload || image.status === "pending") return;
    const failed = image.status === "failed";
    this.become(upload, failed ? "failed" : "done", { image, error: failed ? `${upload.file.name}: ${image.error.detail}` : "" });
  }
}

async function hashOf(file) {
  if (!globalThis.crypto?.subtle) return null; // only in secure contexts
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const NAMES = { "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF", "image/avif": "AVIF", "image/heic": "HEIC", "image/heif": "HEIF", "image/tiff": "TIFF", "image/bmp": "BMP" };
const acceptedNames = (limits) => [...new Set(limits.accepted_types.map((type) => NAMES[type] || type))].join(", ");
const megabytes = (size) => `${Math.max(1, Math.round(size / 1e6))} MB`;

/** Reason why a file cannot be accepted, known before it is sent; empty if it may be. */
export function localRefusal(file, limits) {
  if (!file.size) return `${file.name} is empty.`;
  if (file.size > limits.max_direct_bytes) return `${file.name} is ${megabytes(file.size)}; the limit is ${megabytes(limits.max_direct_bytes)}.`;
  const type = typeOf(file);
  if (type && !limits.accepted_types.includes(type)) return `${file.name} is of the type ${extensionOf(file.name) || type}. Accepted: ${acceptedNames(limits)}.`;
  return "";
}

/** Sentence for a refusal: what happened, why, and what to do. */
function sentence(upload, error, limits) {
  const { name, size } = upload.file;
  switch (error.code) {
    case "unsupported_type":
      return `${name} is of a type that is not accepted. Accepted: ${acceptedNames(limits)}.`;
    case "too_large":
    case "body_too_large":
      return `${name} is ${megabytes(size)}; the limit is ${megabytes(limits.max_direct_bytes)}.`;
    case "storage_full":
      return "The server is full. Delete images or ask its operator.";
    case "scope_missing":
      return "This key cannot upload.";
    default:
      return error.message;
  }
}
