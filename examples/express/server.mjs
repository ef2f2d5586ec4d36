/**
 * Ticket back end for <darkroom-upload> with Express 5.
 *
 *   DARKROOM_URL=http://127.0.0.1:8000 DARKROOM_API_KEY=… PORT=3000 node server.mjs
 *
 * The key has the scope `admin`, so that the back end can name the owner of each image. It stays in the back end.
 */

import { readFile } from "node:fs/promises";
import express from "express";

const { DARKROOM_URL, DARKROOM_API_KEY, PORT = "3000" } = process.env;
const LARGEST_BYTES = 10_000_000;
const app = express();

/** Return the user's id. Replace this with your sign-in: here it is the header that a sign-in proxy sets. */
const userOf = (request) => request.get("X-Forwarded-User") ?? "guest";

/** Call Darkroom and return status and body, also of a refusal: its detail is shown to the user. */
async function darkroom(path, init = {}) {
  try {
    const answer = await fetch(new URL(path, DARKROOM_URL), {
      ...init,
      headers: { "X-API-Key": DARKROOM_API_KEY, "Content-Type": "application/json" },
      signal: AbortSignal.timeout(30_000),
    });
    return { status: answer.status, body: await answer.json() };
  } catch {
    return { status: 502, body: { detail: "The image service does not answer." } }; // the page tries again
  }
}

/** Request an upload ticket, or the record of bytes that the user has uploaded before. */
app.post("/api/tickets", express.json(), async (request, response) => {
  const { filename, content_type, bytes, sha256, alt } = request.body ?? {}; // users may set no other fields
  if (bytes > LARGEST_BYTES) {
    return response.status(413).json({ detail: `The image has ${bytes} bytes; the limit is ${LARGEST_BYTES}.` });
  }
  const wanted = { filename, content_type, bytes, sha256, alt, owner: userOf(request) };
  const { status, body } = await darkroom("/upload/direct", { method: "POST", body: JSON.stringify(wanted) });
  return response.status(status).json(body);
});

/** Return the record of an image of the user, when it is ready or after 20 seconds. */
app.get("/api/images/:id", async (request, response) => {
  const { status, body } = await darkroom(`/images/${encodeURIComponent(request.params.id)}?wait=20`);
  if (status === 200 && body.owner !== userOf(request)) {
    return response.status(404).json({ detail: "There is no such image." });
  }
  return response.status(status).json(body);
});

app.get("/", async (_, response) => {
  const page = await readFile(new URL("../page.html", import.meta.url), "utf8");
  response.type("html").send(page.replaceAll("DARKROOM_URL", DARKROOM_URL));
});

app.listen(Number(PORT), "127.0.0.1");
