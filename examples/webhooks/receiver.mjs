import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace("whsec_", ""), "base64");
createServer(async (request, response) => {
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures = "" } = request.headers;
  const body = Buffer.concat(await request.toArray());
  const expected = Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${time}.`).update(body).digest("base64"));
  const isSigned = signatures.split(" ").map((each) => Buffer.from(each, "latin1"))
    .some((each) => each.length === expected.length && timingSafeEqual(each, expected));
  const isAccepted = isSigned && Math.abs(Date.now() / 1000 - time) < 300;
  if (isAccepted) console.log(id, JSON.parse(body).type, JSON.parse(body).data.id);
  response.writeHead(isAccepted ? 204 : 400).end();
}).listen(process.env.PORT ?? 9000, "127.0.0.1");
