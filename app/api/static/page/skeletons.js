/** Gray boxes in place of the first images. They appear only if these are waited for, so that quick answers do not flicker. */

import { fill, h } from "./dom.js";
import { justify, rowHeight } from "./layout.js";

const PATIENCE_MILLISECONDS = 200;
const RATIOS = [3 / 2, 3 / 4, 4 / 3, 3 / 2, 1, 16 / 9, 2 / 3];
/** Height of the heading above the rows. */
const HEADING = 36;

export class Skeletons {
  /** `onShow()` is called when they appear. */
  constructor(root, onShow) {
    Object.assign(this, { root, onShow, timer: null });
  }

  start() {
    this.timer ??= setTimeout(() => this.show(), PATIENCE_MILLISECONDS);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.root.hidden) return;
    this.root.hidden = true;
    fill(this.root);
  }

  show() {
    this.root.hidden = false;
    const { clientWidth: width } = this.root;
    const height = Math.max(0, innerHeight - this.root.getBoundingClientRect().top);
    const wanted = rowHeight(innerWidth);
    const number = Math.ceil((height * width) / (wanted * wanted));
    const { rows } = justify(Array.from({ length: number }, (_, at) => RATIOS[at % RATIOS.length]), width, wanted, true);
    this.root.style.height = `${height}px`;
    fill(this.root, rows.flatMap(({ top, height: high, tiles }) => tiles.map((tile) => this.box(HEADING + top, tile.left, tile.width, high))));
    this.onShow();
  }

  box(top, left, width, height) {
    const element = h("div");
    for (const [name, value] of Object.entries({ top, left, width, height })) element.style[name] = `${value}px`;
    return element;
  }
}
