/** Justified rows: the images of a row have one height and fill its width. Pure functions, without elements. */

export const GUTTER = 4;
const NARROWEST = 0.4;
const WIDEST = 3.5;

/** Aspect ratio that a tile has: extreme panoramas are cropped. */
export function ratioOf(image) {
  const known = image.width && image.height ? image.width / image.height : 4 / 3;
  const ratio = image.status === "failed" ? Math.max(4 / 3, known) : known; // there is a sentence to read
  return Math.min(WIDEST, Math.max(NARROWEST, ratio));
}

/** Height of rows for a width of the viewport in pixels. */
export const rowHeight = (width) => (width < 600 ? 120 : width < 1024 ? 180 : 220);

/**
 * Lay images out in rows. Returns `[{top, height, tiles: [{index, left, width}]}]` and the total height.
 *
 * A row is closed when the next image would make it lower than the wanted height; it is then stretched to the width, up
 * to a third higher. The last row keeps the wanted height and is not stretched; it is left out if `hasMore`, because its
 * place is known only with the images that follow.
 */
export function justify(ratios, width, wanted, hasMore = false) {
  const rows = [];
  let top = 0;
  let start = 0;
  let sum = 0;
  const close = (end, height) => {
    let left = 0;
    const tiles = [];
    for (let index = start; index < end; index += 1) {
      const last = index === end - 1;
      const own = last && height !== wanted ? width - left : Math.round(ratios[index] * height);
      tiles.push({ index, left, width: Math.max(1, Math.min(own, width - left)) });
      left += own + GUTTER;
    }
    rows.push({ top, height, tiles });
    top += height + GUTTER;
    start = end;
    sum = 0;
  };
  for (let index = 0; index < ratios.length; index += 1) {
    sum += ratios[index];
    const gutters = (index - start) * GUTTER;
    const height = (width - gutters) / sum;
    if (height <= wanted) {
      // With this image the row is lower than wanted, without it higher: take what is closer.
      const without = (width - gutters + GUTTER) / (sum - ratios[index]);
      if (index > start && without - wanted < wanted - height && without < wanted * 1.34) {
        close(index, Math.round(without));
        sum = ratios[index];
        if (width / sum <= wanted) close(index + 1, Math.round(width / sum));
      } else close(index + 1, Math.round(height));
    }
  }
  if (start < ratios.length && !hasMore) close(ratios.length, wanted);
  return { rows, height: Math.max(0, top - GUTTER) };
}

/** Index of the first row that ends below `y`, by bisection. */
export function firstRowBelow(rows, y) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + rows[middle].height < y) low = middle + 1;
    else high = middle;
  }
  return low;
}
