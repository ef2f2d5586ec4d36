/** Serve the route handlers of examples/next, which are functions from a Request to a Response, and its page. */
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [examples, port] = process.argv.slice(2);
const root = pathToFileURL(`${examples}/`);
const { POST } = await import(new URL("next/app/api/tickets/route.js", root));
const { GET } = await import(new URL("next/app/api/images/[id]/route.js", root));

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && pathname === "/api/tickets") return POST(request);
  const id = pathname.match(/^\/api\/images\/([^/]+)$/)?.[1];
  if (request.method === "GET" && id) return GET(request, { params: Promise.resolve({ id: decodeURIComponent(id) }) });
  const page = (await readFile(new URL("page.html", root), "utf8")).replaceAll("DARKROOM_URL", process.env.DARKROOM_URL);
  return new Response(page, { headers: { "Content-Type": "text/html" } });
}

createServer(async (incoming, outgoing) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = chunks.length ? Buffer.concat(chunks) : undefined;
  const request = new Request(`http://127.0.0.1:${port}${incoming.url}`, { method: incoming.method, headers: incoming.headers, body });
  const response = await answer(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}).listen(Number(port), "127.0.0.1");
