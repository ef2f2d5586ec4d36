import { darkroom, userOf } from "../../../lib/darkroom.js";

const LARGEST_BYTES = 10_000_000;

/** Request an upload ticket, or the record of bytes that the user has uploaded before. */
export async function POST(request) {
  const { filename, content_type, bytes, sha256, alt } = await request.json(); // users may set no other fields
  if (bytes > LARGEST_BYTES) {
    return Response.json({ detail: `The image has ${bytes} bytes; the limit is ${LARGEST_BYTES}.` }, { status: 413 });
  }
  const wanted = { filename, content_type, bytes, sha256, alt, owner: userOf(request) };
  const { status, body } = await darkroom("/upload/direct", { method: "POST", body: JSON.stringify(wanted) });
  return Response.json(body, { status });
}
