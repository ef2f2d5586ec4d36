// Encodes with sharp, a JSON line for each file: node encode_sharp.mjs, in the folder of its node_modules.
// The pixels are decoded before the measurement. Prints the milliseconds of CPU.
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const sharp = createRequire(path.join(process.cwd(), 'x.js'))('sharp');
sharp.cache(false);
let decoded = {};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { image, format, options, out } = JSON.parse(line);
  if (decoded.image !== image) {
    const { data, info } = await sharp(image).raw().toBuffer({ resolveWithObject: true });
    decoded = { image, data, raw: { width: info.width, height: info.height, channels: info.channels } };
  }
  const before = process.cpuUsage();
  await sharp(decoded.data, { raw: decoded.raw }).toFormat(format, options).toFile(out);
  const spent = process.cpuUsage(before);
  console.log(JSON.stringify({ cpu: (spent.user + spent.system) / 1e3 }));
}
