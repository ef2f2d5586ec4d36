// sharp behind a bare server, for `benchmarks.on_demand`: node on_demand_sharp.mjs <port> <image>
import http from 'node:http';
import { createRequire } from 'node:module';

const sharp = createRequire(`${process.cwd()}/`)('sharp');
sharp.cache(false); // each request is a miss
const [port, image] = process.argv.slice(2);

http.createServer(async (request, response) => {
  if (request.url === '/healthz') {
    response.end('ok');
    return;
  }
  const body = await sharp(image).rotate().resize(640).webp({ quality: 75 }).toBuffer();
  response.writeHead(200, { 'content-type': 'image/webp', 'content-length': body.length });
  response.end(body);
}).listen(Number(port), '127.0.0.1');
