/** Urls of images in any size. `base` is the address of the service, such as `https://img.example.org`. */

/** Widths that the service offers by default: a `srcset` of other widths would load larger files than it says. */
export const WIDTHS = [384, 640, 750, 828, 1080, 1200, 1920, 2048, 3840];

/** Build the url of an image: `{ width, height, quality, format, fit }`, all optional. */
export function sizeUrl(base, id, { width, height, quality, format, fit } = {}) {
  const query = Object.entries({ w: width, h: height, q: quality, fm: format, fit }).filter(([, value]) => value);
  const text = new URLSearchParams(query).toString();
  return `${base.replace(/\/$/, "")}/i/${id}${text && `?${text}`}`;
}

/** Build the attributes of an `<img>` that loads the width it needs. `ratio`, such as 1, crops to width / height. */
export function imageAttributes(base, id, { sizes = "100vw", widths = WIDTHS, ratio, ...options } = {}) {
  const at = (width) => sizeUrl(base, id, { ...options, width, height: ratio && Math.round(width / ratio) });
  const middle = widths[Math.floor(widths.length / 2)];
  return { src: at(middle), srcset: widths.map((width) => `${at(width)} ${width}w`).join(", "), sizes };
}
