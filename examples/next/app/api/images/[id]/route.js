import { darkroom, userOf } from "../../../../lib/darkroom.js";

/** Return the record of an image of the user, when it is ready or after 20 seconds. */
export async function GET(request, { params }) {
  const { id } = await params;
  const { status, body } = await darkroom(`/images/${encodeURIComponent(id)}?wait=20`);
  if (status === 200 && body.owner !== userOf(request)) {
    return Response.json({ detail: "There is no such image." }, { status: 404 });
  }
  return Response.json(body, { status });
}
