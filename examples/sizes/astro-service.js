/** Image service of Astro. In astro.config.mjs: `image: { service: { entrypoint: "./astro-service.js" } }`.
 *
 * `<Image src="https://img.example.org/i/<id>" width={640} height={480} alt="…" />`.
 */
const WIDTHS = [384, 640, 750, 828, 1080, 1200, 1920, 2048, 3840];

function getURL({ src, width, height, quality, format, fit }) {
  const query = Object.entries({ w: width, h: height, q: quality, fm: format, fit });
  const url = new URL(src);
  for (const [name, value] of query) if (value) url.searchParams.set(name, value);
  return url.href;
}

export default {
  getURL,
  getHTMLAttributes({ src, width, height, quality, format, fit, ...attributes }) {
    return { ...attributes, width, height, loading: "lazy", decoding: "async" };
  },
  /** All offered widths up to twice that of the image. */
  getSrcSet(options) {
    const widths = WIDTHS.filter((width) => width <= 2 * options.width);
    const height = (width) => options.height && Math.round((width * options.height) / options.width);
    return widths.map((width) => {
      const transform = { ...options, width, height: height(width) };
      return { transform, url: getURL(transform), descriptor: `${width}w`, attributes: {} };
    });
  },
};
