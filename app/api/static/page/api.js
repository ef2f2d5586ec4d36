/** Calls to the API below the page's own address, with the key of this session. */

const KEY = "darkroom.key";
/** Times that a request waits for the rate limit. */
const MOST_WAITS = 5;

/** A refusal of the API: its problem document, or what went wrong before there was an answer. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `The server answered ${status}.`);
    this.status = status;
    this.code = document.code || "";
    this.document = document;
  }
}

/** Raised if there was no answer: the server or the network cannot be reached. */
export class Offline extends Error {
  constructor() {
    super("Connection lost.");
  }
}

let kept = "";

/** The API key: kept by the tab until it is closed, or until the page is left where the browser keeps nothing. */
export const key = {
  get() {
    try {
      return sessionStorage.getItem(KEY) || kept;
    } catch {
      return kept;
    }
  },
  set(text) {
    kept = text;
    try {
      sessionStorage.setItem(KEY, text);
    } catch {
      // storage is turned off
    }
  },
};

/** `askForKey` is called when a request needs a key, or another one: a promise of true if it should be repeated. */
export const session = { askForKey: async () => false, scopes: new Set() };

/** Absolute url of a path of the API. The page may be served below a prefix, such as the stage of a gateway. */
export const url = (path) => new URL(path, document.baseURI).href;

export function headers(more = {}) {
  return key.get() ? { Authorization: `Bearer ${key.get()}`, ...more } : more;
}

/** Build the refusal from an answer, which may come from a proxy or a store. */
export function problemFrom(status, text, retryAfter = null) {
  let document = { detail: `The server answered ${status}.` };
  try {
    document = { ...document, ...JSON.parse(text) };
  } catch {
    // not a problem document
  }
  const problem = new Problem(status, document);
  problem.retryAfter = Math.min(120, Number(retryAfter) || 0);
  return problem;
}

async function request(method, path, { body, query, ifMatch, signal } = {}) {
  const address = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query || {})) {
    for (const each of [value].flat()) if (each !== "" && each !== null && each !== undefined) address.searchParams.append(name, each);
  }
  let waits = 0;
  for (;;) {
    const sent = headers(body === undefined ? {} : { "Content-Type": "application/json" });
    if (ifMatch) sent["If-Match"] = ifMatch;
    let answer;
    try {
      answer = await fetch(address, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Offline();
    }
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    if (answer.status === 401 && (await session.askForKey())) continue;
    const problem = problemFrom(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    if (problem.code !== "rate_limited" || waits === MOST_WAITS) throw problem;
    waits += 1;
    await new Promise((resolve) => setTimeout(resolve, problem.retryAfter * 1000 * (1 + Math.random())));
    signal?.throwIfAborted();
  }
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, body = {}, options = {}) => request("POST", path, { body, ...options });
export const patch = (path, body, options = {}) => request("PATCH", path, { body, ...options });
export const remove = (path, options) => request("DELETE", path, options);

/**
 * Send a body and return the text of the answer. `onProgress` gets the share of the body that has left: by
 * XMLHttpRequest, because fetch does not tell it.
 */
export function transfer(method, address, sent, body, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    for (const [name, value] of Object.entries(sent)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / (event.total || 1));
    request.onload = async () => {
      if (request.status < 300) return resolve(request.responseText);
      const asks = request.status === 401 && address.startsWith(url("."));
      try {
        if (asks && (await session.askForKey())) {
          return resolve(transfer(method, address, { ...sent, ...headers() }, body, { signal, onProgress }));
        }
      } catch (error) {
        return reject(error); // the server cannot be reached any more
      }
      return reject(problemFrom(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new Offline());
    request.onabort = () => reject(new DOMException("canceled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
