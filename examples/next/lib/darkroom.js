/**
 * Calls of a Next application to Darkroom. The key has the scope `admin`, so that the back end can name the owner of each
 * image. It stays in the back end: DARKROOM_URL and DARKROOM_API_KEY are variables of the server.
 */

/** Return the user's id. Replace this with your sign-in: here it is the header that a sign-in proxy sets. */
export const userOf = (request) => request.headers.get("X-Forwarded-User") ?? "guest";

/** Call Darkroom and return status and body, also of a refusal: its detail is shown to the user. */
export async function darkroom(path, init = {}) {
  const { DARKROOM_URL, DARKROOM_API_KEY } = process.env;
  try {
    const answer = await fetch(new URL(path, DARKROOM_URL), {
      ...init,
      headers: { "X-API-Key": DARKROOM_API_KEY, "Content-Type": "application/json" },
      signal: AbortSignal.timeout(30_000),
      cache: "no-store",
    });
    return { status: answer.status, body: await answer.json() };
  } catch {
    return { status: 502, body: { detail: "The image service does not answer." } }; // the page tries again
  }
}
