/** Decoder of ThumbHash (https://evanw.github.io/thumbhash/): about 25 bytes to a blurred picture. */

/** Return `{width, height, pixels}`, RGBA, of a hash in base64. The longer side has `longest` pixels. */
export function decode(base64, longest = 32) {
  const hash = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const first = hash[0] | (hash[1] << 8) | (hash[2] << 16);
  const second = hash[3] | (hash[4] << 8);
  const mean = { l: (first & 63) / 63, p: ((first >> 6) & 63) / 31.5 - 1, q: ((first >> 12) & 63) / 31.5 - 1 };
  const scale = { l: ((first >> 18) & 31) / 31, p: ((second >> 3) & 63) / 63, q: ((second >> 9) & 63) / 63 };
  const hasAlpha = first >> 23 !== 0;
  const landscape = second >> 15 !== 0;
  const nx = Math.max(3, landscape ? (hasAlpha ? 5 : 7) : second & 7);
  const ny = Math.max(3, landscape ? second & 7 : hasAlpha ? 5 : 7);
  const alpha = hasAlpha ? { mean: (hash[5] & 15) / 15, scale: (hash[5] >> 4) / 15 } : null;

  const from = hasAlpha ? 6 : 5;
  let nibble = 0;
  const read = (across, down, factor) => {
    const values = [];
    for (let y = 0; y < down; y += 1) {
      for (let x = y ? 0 : 1; x * down < across * (down - y); x += 1) {
        const value = (hash[from + (nibble >> 1)] >> ((nibble & 1) << 2)) & 15;
        nibble += 1;
        values.push((value / 7.5 - 1) * factor);
      }
    }
    return values;
  };
  const l = read(nx, ny, scale.l);
  const p = read(3, 3, scale.p * 1.25);
  const q = read(3, 3, scale.q * 1.25);
  const a = alpha ? read(5, 5, alpha.scale) : null;

  const ratio = (landscape ? (hasAlpha ? 5 : 7) : second & 7) / (landscape ? second & 7 : hasAlpha ? 5 : 7);
  const width = Math.max(1, Math.round(ratio > 1 ? longest : longest * ratio));
  const height = Math.max(1, Math.round(ratio > 1 ? longest / ratio : longest));
  const pixels = new Uint8ClampedArray(width * height * 4);
  const cosines = (length, number) =>
    Array.from({ length }, (_, at) => Array.from({ length: number }, (_, each) => Math.cos((Math.PI / length) * (at + 0.5) * each)));
  const fx = cosines(width, Math.max(nx, 5));
  const fy = cosines(height, Math.max(ny, 5));
  const sum = (values, across, down, x, y, start) => {
    let total = start;
    let index = 0;
    for (let cy = 0; cy < down; cy += 1) {
      const twice = fy[y][cy] * 2;
      for (let cx = cy ? 0 : 1; cx * down < across * (down - cy); cx += 1) {
        total += values[index] * fx[x][cx] * twice;
        index += 1;
      }
    }
    return total;
  };
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      const light = sum(l, nx, ny, x, y, mean.l);
      const yellow = sum(p, 3, 3, x, y, mean.p);
      const red = sum(q, 3, 3, x, y, mean.q);
      const blueness = light - (2 / 3) * yellow;
      const redness = (3 * light - blueness + red) / 2;
      pixels[at] = 255 * redness;
      pixels[at + 1] = 255 * (redness - red);
      pixels[at + 2] = 255 * blueness;
      pixels[at + 3] = a ? 255 * sum(a, 5, 5, x, y, alpha.mean) : 255;
    }
  }
  return { width, height, pixels };
}

/** Draw a hash onto a canvas and return it, or null if the hash is not one. The longer side has `longest` pixels. */
export function placeholder(base64, longest = 32, canvas = document.createElement("canvas")) {
  try {
    const { width, height, pixels } = decode(base64, longest);
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
    return canvas;
  } catch {
    return null;
  }
}
