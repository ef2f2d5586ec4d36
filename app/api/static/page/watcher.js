/** Watches images that are being processed. */

import { get } from "./api.js";

const POLL_MILLISECONDS = 1500;
const MOST_AT_ONCE = 20;

/** Reads pending images again until they are ready or failed. Slower while the page is hidden or `isBusy()`. */
export class Watcher {
  constructor(onImage, onGone = () => {}, isBusy = () => false) {
    this.ids = new Set();
    this.onImage = onImage;
    this.onGone = onGone;
    this.isBusy = isBusy;
    this.timer = null;
  }

  watch(ids) {
    for (const id of ids) this.ids.add(id);
    this.schedule();
  }

  schedule() {
    if (this.timer || !this.ids.size) return;
    const times = document.hidden ? 5 : this.isBusy() ? 3 : 1;
    this.timer = setTimeout(() => this.look(), POLL_MILLISECONDS * times);
  }

  async look() {
    for (const id of [...this.ids].slice(0, MOST_AT_ONCE)) {
      this.ids.delete(id);
      this.ids.add(id); // the others are next
      try {
        const image = await get(`images/${id}`);
        if (image.status !== "pending") this.ids.delete(id);
        this.onImage(image);
      } catch (error) {
        if (error.status !== 404) break;
        this.ids.delete(id);
        this.onGone(id);
      }
    }
    this.timer = null;
    this.schedule();
  }
}
