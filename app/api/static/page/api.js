/** Calls to the API below the page's own address, with the key of this session. */

const KEY = "darkroom.key";

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

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

/** Called when a request needs a key, or another one. It returns a promise of true if the request should be repeated. */
export const session = { askForKey: async () => false };

/** Absolute url of a path of the API. The page may be served below a prefix, such as the stage of a gateway. */
export const url = (path) => new URL(path, document.baseURI).href;

export function headers(more = {}) {
  return key.get() ? { Authorization: `Bearer ${key.get()}`, ...more } : more;
}

/** Read the problem document of a refusal. */
export async function problemOf(answer) {
  const text = await answer.text();
  try {
    return new Problem(answer.status, JSON.parse(text));
  } catch {
    return new Problem(answer.status, { detail: `The server answered ${answer.status}.` });
  }
}

async function request(method, path, { body, query, ifMatch, signal } = {}) {
  const address = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query || {})) {
    for (const each of [value].flat()) if (each !== "" && each !== null && each !== undefined) address.searchParams.append(name, each);
  }
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
    throw await problemOf(answer);
  }
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, body = {}, options = {}) => request("POST", path, { body, ...options });
export const patch = (path, body, options = {}) => request("PATCH", path, { body, ...options });
export const remove = (path, options) => request("DELETE", path, options);

const CHUNK = 100;

/** Send ids in requests of a hundred, and return all results. */
export async function bulk(path, ids, body = {}) {
  const results = [];
  for (let start = 0; start < ids.length; start += CHUNK) {
    const answer = await post(path, { ids: ids.slice(start, start + CHUNK), ...body });
    results.push(...answer.results);
  }
  return results;
}
