/** The picture grows out of its tile when an image is opened, and returns to it. */

import { h } from "./dom.js";

const REDUCED = matchMedia("(prefers-reduced-motion: reduce)");

/** Loaded picture of a tile in view. */
export function tilePicture(id) {
  const picture = document.querySelector(`.tile.loaded [href="?image=${CSS.escape(id)}"] img`);
  const box = picture?.getBoundingClientRect();
  return box && box.bottom > 0 && box.top < innerHeight ? picture : null;
}

/** Show the picture of the tile in the well, until the larger one is loaded. */
export function showPreview(well, image) {
  const source = tilePicture(image.id)?.currentSrc;
  if (!source) return null;
  const scale = Math.min(well.clientWidth / image.width, well.clientHeight / image.height);
  const preview = h("img", { class: "viewer-preview", alt: "", src: source, decoding: "sync", draggable: false });
  preview.style.width = `${image.width * scale}px`;
  preview.style.height = `${image.height * scale}px`;
  well.prepend(preview);
  return preview;
}

/** Call `change` with a transition between the pictures that `before` and `after` return. Returns a promise of its end. */
export async function transition(before, after, change) {
  const picture = document.startViewTransition && !REDUCED.matches && before();
  if (!picture) return change();
  const name = (element, text) => element && (element.style.viewTransitionName = text);
  let other = null;
  name(picture, "opened");
  const running = document.startViewTransition(() => {
    name(picture, "");
    change();
    other = after();
    name(other, "opened");
  });
  running.ready.catch(() => {}); // another one began
  await running.finished;
  return name(other, "");
}
