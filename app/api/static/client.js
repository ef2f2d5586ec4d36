/** Uploads to Darkroom from any site. Types: client.d.ts */

export class UploadError extends Error {
  constructor(status, problem) {
    super(problem?.detail?.[0]?.msg || problem?.detail || (status ? `Status ${status}.` : "Connection lost."));
    Object.assign(this, { status, code: problem?.code || "", problem });
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// XMLHttpRequest, because fetch reports no progress.
const call = (method, url, body, { headers = {}, credentials, signal }, onProgress) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.responseType = "json";
    xhr.withCredentials = credentials == "include";
    for (const header of Object.entries(headers)) xhr.setRequestHeader(...header);
    if (onProgress) xhr.upload.onprogress = (event) => onProgress(event.loaded, body.size);
    xhr.onload = () => {
      const { status, response } = xhr;
      // A file gets no JSON. 412: stored by an earlier attempt.
      if (body?.size ? status < 300 || status == 412 : status < 300 && response?.id) resolve(response);
      else reject(new UploadError(status, response));
    };
    xhr.onerror = () => reject(new UploadError(0));
    xhr.onabort = () => reject(signal.reason);
    signal?.addEventListener("abort", () => xhr.abort());
    xhr.send(body);
  });

async function hash(file) {
  if (!globalThis.crypto?.subtle || file.size > 1e8) return; // must fit in memory
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, 0)).join("");
}

export async function upload(file, endpoint, options = {}) {
  const { base = import.meta.url, delays = [1e3, 3e3, 9e3], fields, signal } = options;
  const { name: filename, type: content_type, size: bytes } = file;
  const body = JSON.stringify({ filename, content_type, bytes, sha256: await hash(file), ...fields });
  const headers = { ...options.headers, "Content-Type": "application/json" };
  for (let n = 0; ; n++) {
    try {
      const found = await call("POST", endpoint, body, { ...options, headers });
      if (found.status) return { id: found.id, duplicate: true, record: found };
      await call(found.method, new URL(found.url, base), file, { ...found, signal }, options.onProgress);
      return { id: found.id, duplicate: false };
    } catch (error) {
      // 409: another attempt is in progress
      if (n >= delays.length || !/^(0|4[02]9|50[234])$/.test(error.status)) throw error;
      await pause(delays[n]);
    }
  }
}

export async function ready(url, options = {}) {
  const record = await call("GET", `${url}?wait=20`, null, options);
  return record.status == "pending" ? pause(500).then(() => ready(url, options)) : record;
}

export const srcset = (record, base = import.meta.url) =>
  (record.embed.srcset || "").replace(/\S+(?= \d+w)/g, (url) => new URL(url, base));
