// Jobs for sharp, one JSON line each, like the other workers: node worker_sharp.mjs per|parallel|cascade THREADS
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const sharp = createRequire(path.join(process.cwd(), 'x.js'))('sharp');
const [mode, threads] = [process.argv[2], +process.argv[3]];
sharp.cache(false);
if (threads) sharp.concurrency(threads); // 0: sharp's default

const encode = {
  webp: (s, q) => s.webp({ quality: q || 80, effort: 4 }),
  jpeg: (s, q) => s.jpeg({ quality: q || 80 }),
  avif: (s, q) => s.avif(q ? { quality: q } : {}),
};
const each = async (makers, parallel) => {
  if (parallel) return Promise.all(makers.map((make) => make()));
  const made = [];
  for (const make of makers) made.push(await make());
  return made;
};
const perWidth = (data, job, parallel) => each(job.widths.map((width) => () =>
  encode[job.format](sharp(data, { animated: !!job.animated }).autoOrient().resize({ width }), job.quality).toBuffer()), parallel);
const raw = ({ data, info }) => sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } });
const cascade = async (data, job) => {
  const sizes = [];
  for (const width of job.widths) {
    const from = sizes.length ? raw(sizes.at(-1)) : sharp(data).autoOrient();
    sizes.push(await from.resize({ width }).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true }));
  }
  return each(sizes.map((size) => () => encode[job.format](raw(size), job.quality).toBuffer()), threads !== 1);
};
const highWater = () => +/VmHWM:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1] / 1024;

for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  const data = fs.readFileSync(job.input);
  const [cpu, start] = [process.cpuUsage(), process.hrtime.bigint()];
  const made = mode === 'cascade' ? await cascade(data, job) : await perWidth(data, job, mode === 'parallel');
  const wall = Number(process.hrtime.bigint() - start) / 1e6;
  const spent = process.cpuUsage(cpu);
  if (job.out) made.forEach((body, i) => fs.writeFileSync(path.join(job.out, `${job.widths[i]}.${job.format}`), body));
  console.log(JSON.stringify({ wall, cpu: (spent.user + spent.system) / 1e3, bytes: made.map((b) => b.length), rss: highWater(), versions: { sharp: sharp.versions.sharp, 'sharp libvips': sharp.versions.vips } }));
}
