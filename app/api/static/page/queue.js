/** The upload queue: three files at a time, known bytes are not sent, every byte is counted. No elements. */

import { Offline, Problem, get, headers, post, transfer, url } from "./api.js";
import { checkFile, failure, isPermanent, sentence, typeOf } from "./refusals.js";

const AT_ONCE = 3;
/** Above this, hashing takes longer than it saves on most networks, and needs the whole file in memory. */
const LARGEST_HASHED = 100 * 1000 * 1000;
/** Files that are hashed while others are sent, and the largest: each is read into memory. */
const MOST_AHEAD = 8;
const LARGEST_AHEAD = 20 * 1000 * 1000;
const RETRY_SECONDS = [4, 8, 15, 30];
/** Attempts in which the server was reached. While it cannot be reached, nothing is counted. */
const MOST_ATTEMPTS = 6;
/** The rate is that of the last seconds. */
const RATE_MILLISECONDS = 6000;

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
    this.attempts = 0;
    this.isPermanent = false;
    this.run = null;
    this.lookup = null;
  }

  get isFinished() {
    return ["done", "known", "failed", "canceled"].includes(this.state);
  }

  /** True while leaving the page would lose it. */
  get isUnsent() {
    return !this.isFinished && this.state !== "processing";
  }
}

/** Runs uploads. Listeners of `change` get an upload whose state has changed, or null if some are gone. */
export class Queue extends EventTarget {
  constructor(limits) {
    super();
    this.limits = limits;
    this.uploads = [];
    this.running = 0;
    this.leftBytes = 0;
    this.samples = [];
    this.hashing = 0;
  }

  add(files, fields = {}) {
    const added = [...files].map((file) => new Upload(file, fields));
    if (this.uploads.every((each) => each.isFinished)) this.samples = [];
    this.uploads.push(...added);
    for (const upload of added) this.changed(upload);
    this.next();
    return added;
  }

  /** Bytes sent and to send of all files that are not refused, and the rate of the last seconds in bytes a second. */
  get progress() {
    const counted = this.uploads.filter((each) => !["failed", "canceled"].includes(each.state));
    const total = counted.reduce((sum, each) => sum + each.file.size, 0);
    const sent = counted.reduce((sum, each) => sum + (each.isUnsent ? each.sent : each.file.size), 0);
    const now = performance.now();
    this.samples.push({ at: now, bytes: this.leftBytes });
    while (this.samples.length > 2 && this.samples[0].at < now - RATE_MILLISECONDS) this.samples.shift();
    const [first] = this.samples;
    const rate = now - first.at < 500 ? 0 : ((this.leftBytes - first.bytes) * 1000) / (now - first.at);
    return { total, sent, rate, left: this.uploads.filter((each) => !each.isFinished).length };
  }

  cancel(upload) {
    if (!upload.isUnsent) return;
    this.become(upload, "canceled", { error: "" });
    upload.run?.abort();
  }

  /** Start a refused or canceled upload again. */
  retry(upload) {
    if (!upload.isFinished) return;
    Object.assign(upload, { error: "", sent: 0, attempts: 0, lookup: null });
    this.become(upload, "waiting");
    this.next();
  }

  /** Let all uploads that wait for the connection try at once. */
  wake() {
    for (const upload of this.uploads) upload.wake?.();
  }

  clear() {
    this.uploads = this.uploads.filter((each) => !each.isFinished);
    this.changed(null);
  }

  become(upload, state, more = {}) {
    Object.assign(upload, { state, ...more });
    this.changed(upload);
  }

  changed(upload) {
    this.dispatchEvent(new CustomEvent("change", { detail: upload }));
  }

  next() {
    for (const upload of this.following()) {
      if (this.running >= AT_ONCE) break;
      this.running += 1;
      upload.run = new AbortController();
      this.work(upload, upload.run.signal).finally(() => {
        this.running -= 1;
        upload.run = null;
        this.next();
      });
    }
    this.hashAhead();
  }

  async work(upload, signal) {
    for (;;) {
      try {
        await this.send(upload, signal);
        return;
      } catch (error) {
        upload.lookup = null; // another attempt may have stored the bytes
        if (signal.aborted) return;
        const isBusy = error instanceof Problem && (error.status === 429 || error.status === 503);
        upload.attempts += error.code !== "rate_limited" && (isBusy || upload.sent) ? 1 : 0;
        if (!(error instanceof Offline || isBusy) || upload.attempts >= MOST_ATTEMPTS) {
          this.become(upload, "failed", { error: sentence(upload.file, error, this.limits), isPermanent: isPermanent(error) });
          return;
        }
        const seconds = Math.max(RETRY_SECONDS[Math.min(upload.tries ?? 0, RETRY_SECONDS.length - 1)], error.retryAfter || 0);
        upload.tries = (upload.tries ?? 0) + 1;
        await this.pause(upload, signal, seconds, isBusy ? "The server is busy." : "Connection lost.");
        if (signal.aborted) return;
      }
    }
  }

  /** Wait some seconds, or until the browser is online, someone asks for it, or the upload is canceled. */
  async pause(upload, signal, seconds, error) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      upload.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      addEventListener("online", upload.wake, { once: true });
      signal.addEventListener("abort", upload.wake, { once: true });
      this.become(upload, "waiting", { sent: 0, retryAt: Date.now() + seconds * 1000, error });
    });
    removeEventListener("online", upload.wake);
    Object.assign(upload, { retryAt: 0, wake: null, error: "" });
  }

  async send(upload, signal) {
    const { file } = upload;
    checkFile(file, this.limits);
    this.become(upload, "checking", { sent: 0 });
    const sha256 = file.size <= LARGEST_HASHED ? await this.hash(upload) : null;
    if (signal.aborted) return null;
    if (sha256) {
      const known = await this.lookUp(upload, signal);
      if (known[sha256]) return this.finish(upload, known[sha256], "known");
    } else if (upload.tries) await get("healthz", { signal }); // no bytes for a server that cannot be reached
    this.become(upload, "sending", { sent: 0 });
    return file.size > this.limits.max_upload_bytes ? this.sendByTicket(upload, signal) : this.sendBody(upload, signal);
  }

  /** Return the hash of a file, which is computed once. */
  hash(upload) {
    upload.hashing ??= hash(upload.file).then((sha256) => (upload.sha256 = sha256));
    return upload.hashing;
  }

  /** Hash the next files while others are sent. */
  hashAhead() {
    for (const upload of this.following()) {
      if (this.hashing >= AT_ONCE) return;
      if (upload.hashing || upload.file.size > LARGEST_AHEAD) continue;
      this.hashing += 1;
      const next = () => {
        this.hashing -= 1;
        this.hashAhead();
      };
      this.hash(upload).then(next, next); // a file that cannot be read is refused at its turn
    }
  }

  /** The uploads that are started next. */
  following() {
    return this.uploads.filter((each) => each.state === "waiting" && !each.run).slice(0, MOST_AHEAD);
  }

  /** Return the ids of known hashes. One request asks for all files whose hashes were computed in the meantime. */
  async lookUp(upload, signal) {
    if (!upload.lookup) {
      const { owner } = upload.fields;
      const asked = [upload, ...this.following().filter((each) => each.sha256 && !each.lookup && each.fields.owner === owner)];
      const answer = post("images/lookup", { sha256: [...new Set(asked.map((each) => each.sha256))], owner });
      for (const each of asked) each.lookup = answer;
      answer.catch(() => {
        for (const each of asked) if (each.lookup === answer) each.lookup = null;
      });
    }
    const canceled = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    return (await Promise.race([upload.lookup, canceled])).known;
  }

  /** Send the file as the body of the request. A form costs the browser and the server more processor time. */
  async sendBody(upload, signal) {
    const { file } = upload;
    const query = new URLSearchParams({ filename: file.name });
    for (const [name, value] of Object.entries(upload.fields)) for (const each of [value].flat()) query.append(name, each);
    const sent = headers({ "Content-Type": typeOf(file) || "application/octet-stream" });
    const image = JSON.parse(await this.transfer(upload, signal, "POST", url(`upload?${query}`), sent, file));
    return this.finish(upload, image.id, image.duplicate ? "known" : "processing", image);
  }

  async sendByTicket(upload, signal) {
    const { file, sha256 } = upload;
    const wanted = { bytes: file.size, content_type: typeOf(file), filename: file.name, ...upload.fields };
    const ticket = await post("upload/direct", sha256 ? { ...wanted, sha256 } : wanted, { signal });
    if (ticket.status) return this.finish(upload, ticket.id, "known", ticket);
    try {
      await this.transfer(upload, signal, ticket.method, ticket.url, ticket.headers, file);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 412) throw error; // else its bytes are stored already
    }
    return this.finish(upload, ticket.id, "processing");
  }

  /** Send a body, and count the bytes of the file that have left. */
  transfer(upload, signal, method, address, sent, body) {
    const { size } = upload.file;
    const onProgress = (share) => {
      const now = Math.min(size, Math.round(share * size));
      this.leftBytes += Math.max(0, now - upload.sent);
      upload.sent = now;
      this.changed(upload);
    };
    return transfer(method, address, sent, body, { signal, onProgress });
  }

  finish(upload, id, state, image = null) {
    this.become(upload, state, { sent: upload.file.size, id, image, tries: 0, isKnown: state === "known" });
  }

  /** Take over the record of an image whose processing has ended. */
  processed(image) {
    if (image.status === "pending") return;
    const error = image.status === "failed" ? failure : () => "";
    for (const upload of this.uploads) {
      if (upload.id !== image.id || upload.state !== "processing") continue;
      const state = upload.isKnown ? "known" : "done";
      this.become(upload, image.status === "failed" ? "failed" : state, { image, error: error(upload.file.name, image.error) });
    }
  }
}

async function hash(file) {
  if (!globalThis.crypto?.subtle) return null; // only in secure contexts
  let content;
  try {
    content = await file.arrayBuffer();
  } catch {
    throw new Problem(0, { code: "unreadable" }); // moved or changed since it was chosen
  }
  const digest = await crypto.subtle.digest("SHA-256", content);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
