/** The focal point of an image: a ring on the picture, moved by pointer or arrows, with two live crops beside it. */

import { announce, h } from "./dom.js";

const STEP = 0.01;
const CROPS = { "1:1": 1, "16:9": 16 / 9 };
/** Changes by key are saved this long after the last one. */
const SAVE_MILLISECONDS = 600;

export class FocalPoint {
  /** `actions`: save(point), done(). */
  constructor(well, picture, image, actions) {
    this.well = well;
    this.picture = picture;
    this.actions = actions;
    this.ratio = image.width / image.height; // the element's own size is that of its box
    this.point = image.focal_point ? { ...image.focal_point } : { x: 0.5, y: 0.5 };
    this.ring = h("div", {
      class: "focal-ring",
      role: "slider",
      tabIndex: 0,
      "aria-label": "Focal point. Arrow keys move it by 1 %.",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    });
    this.crops = Object.entries(CROPS).map(([name, ratio]) => {
      const inner = h("img", { alt: "", src: picture.currentSrc || picture.src });
      const frame = h("div", { class: "crop" }, inner);
      frame.style.aspectRatio = String(ratio);
      return { ratio, inner, figure: h("figure", {}, frame, h("figcaption", {}, name)) };
    });
    this.panel = h(
      "div",
      { class: "focal-panel" },
      h("p", { class: "note" }, "Click what every crop should keep. Arrow keys move the ring by 1 %."),
      h("div", { class: "crops" }, this.crops.map((each) => each.figure)),
      h("button", { type: "button", class: "button primary", onclick: () => this.finish() }, "Done"),
    );
    this.down = (event) => this.onDown(event);
    this.move = (event) => this.onMove(event);
    this.up = () => this.onUp();
    well.addEventListener("pointerdown", this.down);
    well.addEventListener("pointermove", this.move);
    well.addEventListener("pointerup", this.up);
    well.append(this.ring);
    well.classList.add("picking");
    this.observer = new ResizeObserver(() => this.place());
    this.observer.observe(well);
    this.place();
  }

  /** Box of the picture within the well: it is contained in the element's box. */
  box() {
    const outer = this.picture.getBoundingClientRect();
    const width = Math.min(outer.width, outer.height * this.ratio);
    const height = width / this.ratio;
    return { left: outer.left + (outer.width - width) / 2, top: outer.top + (outer.height - height) / 2, width, height };
  }

  place() {
    const box = this.box();
    const well = this.well.getBoundingClientRect();
    this.ring.style.left = `${box.left - well.left + this.point.x * box.width}px`;
    this.ring.style.top = `${box.top - well.top + this.point.y * box.height}px`;
    const words = `${Math.round(this.point.x * 100)} % across, ${Math.round(this.point.y * 100)} % down`;
    this.ring.setAttribute("aria-valuenow", String(Math.round(this.point.x * 100)));
    this.ring.setAttribute("aria-valuetext", words);
    const own = this.ratio;
    for (const { ratio, inner } of this.crops) {
      // The crop is as large as the image allows, and is centered on the point as far as its edges let it.
      const [across, down] = own > ratio ? [ratio / own, 1] : [1, own / ratio];
      const left = Math.max(0, Math.min(1 - across, this.point.x - across / 2));
      const top = Math.max(0, Math.min(1 - down, this.point.y - down / 2));
      inner.style.width = `${100 / across}%`;
      inner.style.height = `${100 / down}%`;
      inner.style.left = `${(-left * 100) / across}%`;
      inner.style.top = `${(-top * 100) / down}%`;
    }
  }

  take(event) {
    const box = this.box();
    this.set((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }

  set(x, y) {
    const round = (value) => Math.round(Math.max(0, Math.min(1, value)) * 1000) / 1000;
    this.point = { x: round(x), y: round(y) };
    this.place();
  }

  onDown(event) {
    if (event.button) return;
    event.preventDefault();
    this.dragging = true;
    this.well.setPointerCapture(event.pointerId);
    this.take(event);
  }

  onMove(event) {
    if (this.dragging) this.take(event);
  }

  onUp() {
    if (!this.dragging) return;
    this.dragging = false;
    this.ring.focus();
    this.save();
  }

  /** Handle a key of the viewer. Returns true if it is one of this tool. */
  onKey(event) {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === "Escape" || event.key === "Enter") {
      if (event.key === "Enter" && event.target.tagName === "BUTTON") return true;
      event.preventDefault();
      event.stopPropagation();
      this.finish();
      return true;
    }
    if (!moves[event.key]) return false;
    event.preventDefault();
    this.set(this.point.x + moves[event.key][0], this.point.y + moves[event.key][1]);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_MILLISECONDS);
    return true;
  }

  save() {
    clearTimeout(this.timer);
    this.timer = null;
    announce(`Focal point: ${this.ring.getAttribute("aria-valuetext")}`);
    this.actions.save(this.point);
  }

  focus() {
    this.ring.focus();
  }

  finish() {
    if (this.timer) this.save();
    this.end();
    this.actions.done();
  }

  end() {
    clearTimeout(this.timer);
    this.observer.disconnect();
    this.well.removeEventListener("pointerdown", this.down);
    this.well.removeEventListener("pointermove", this.move);
    this.well.removeEventListener("pointerup", this.up);
    this.well.classList.remove("picking");
    this.ring.remove();
  }
}
