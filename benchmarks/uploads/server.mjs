// Node's http server with busboy: hashes and writes the file of a form, and syncs it once.
// node server.mjs <port> <folder>
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const busboy = createRequire(join(process.cwd(), "index.js"))("busboy");
const [port, folder] = process.argv.slice(2);
let count = 0;

function respond(response, status, document) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(document));
}

function receive(request, response) {
  const form = busboy({ headers: request.headers });
  form.on("file", (_, stream) => {
    const name = `${count++}.jpg`;
    const hash = createHash("sha256");
    const file = createWriteStream(join(folder, name), { flush: true });
    stream.on("data", (piece) => hash.update(piece));
    stream.pipe(file);
    file.on("close", () => respond(response, 201, { file: name, sha256: hash.digest("hex") }));
  });
  request.pipe(form);
}

createServer((request, response) => {
  if (request.url === "/healthz") respond(response, 200, { status: "ok" });
  else receive(request, response);
}).listen(Number(port), "127.0.0.1");
