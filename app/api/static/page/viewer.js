/** One image in a dialog: picture with zoom, neighbors, and an inspector. */

import { get } from "./api.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { sourceFor } from "./gallery.js";
import { Inspector } from "./inspector.js";
import { placeholder } from "./thumbhash.js";
import { showPreview, tilePicture, transition } from "./transition.js";

const MOST_ZOOM = 6;
const SWIPE = 60;

export class Viewer {
  /** `actions` as for the inspector, with `closed(id)`. */
  constructor(dialog, library, actions) {
    this.dialog = dialog;
    this.library = library;
    this.actions = actions;
    this.picture = h("img", { class: "viewer-picture", alt: "", draggable: false });
    this.well = h("div", { class: "viewer-well" }, this.picture);
    this.previous = iconButton("left", "Previous image", () => this.step(-1), { class: "icon-button viewer-previous" });
    this.next = iconButton("right", "Next image", () => this.step(1), { class: "icon-button viewer-next" });
    this.strip = h("div", { class: "filmstrip", role: "group", "aria-label": "Neighbors" });
    this.title = h("h2", { class: "viewer-title", dir: "auto", id: "viewer-title", tabIndex: -1, autofocus: true });
    this.inspector = new Inspector(actions, {
      show: (image) => this.refresh(image),
      picture: () => this.picture,
      well: () => this.well,
    });
    const close = iconButton("close", "Close", () => this.close());
    dialog.append(
      h("div", { class: "viewer-main" }, h("header", { class: "viewer-head" }, this.title, close), this.well, this.previous, this.next, this.strip),
      this.inspector.element,
      h("div", { class: "toasts" }),
      h("div", { class: "hidden live", role: "status" }),
    );
    this.moving = Promise.resolve(); // until the transition from the gallery has ended
    this.picture.addEventListener("load", () => this.moving.then(() => this.removePlaceholder()));
    library.addEventListener("change", () => this.image && this.showNeighbors());
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    dialog.setAttribute("aria-labelledby", "viewer-title");
    dialog.addEventListener("close", () => this.onClose());
    dialog.addEventListener("keydown", (event) => this.onKey(event));
    this.bindZoom();
  }

  get isOpen() {
    return this.dialog.open;
  }

  async open(id, { replace = false } = {}) {
    let image = this.library.byId.get(id);
    if (!image) {
      try {
        image = await get(`images/${id}`);
      } catch (error) {
        this.actions.report(error);
        return;
      }
    }
    const address = new URL(location.href);
    if (address.searchParams.get("image") !== id) {
      address.searchParams.set("image", id);
      history[replace || new URL(location.href).searchParams.has("image") ? "replaceState" : "pushState"]({ image: id }, "", address);
    }
    if (this.isOpen) this.show(image);
    else {
      const preview = () => this.well.querySelector(".viewer-preview") || showPreview(this.well, image);
      this.moving = transition(() => tilePicture(id), preview, () => this.begin(image));
      this.moving.then(() => this.picture.naturalWidth && this.removePlaceholder());
    }
  }

  begin(image) {
    if (!this.isOpen) this.dialog.showModal();
    this.show(image);
  }

  /** Close the dialog; the picture returns to its tile. */
  close() {
    const { image } = this;
    const from = () => image?.status === "ready" && this.zoom === 1 && tilePicture(image.id) && showPreview(this.well, image);
    const change = () => {
      this.dialog.close();
      this.onClose();
    };
    transition(from, () => tilePicture(image.id), change);
  }

  removePlaceholder() {
    for (const each of this.well.querySelectorAll("canvas, .viewer-preview, .viewer-message")) each.remove();
  }

  show(image) {
    this.image = image;
    this.reset();
    this.refresh(image);
    this.showNeighbors();
  }

  /** Show which images are beside it in the list, which may still be loading. */
  showNeighbors() {
    const order = this.library.shown;
    const at = order.findIndex((each) => each.id === this.image.id);
    const from = Math.max(0, at - 6);
    const neighbors = at < 0 ? [] : order.slice(from, at + 7);
    this.previous.disabled = at <= 0;
    this.next.disabled = at < 0 || (at === order.length - 1 && this.library.isComplete);
    this.previous.hidden = this.next.hidden = at < 0 || (order.length < 2 && this.library.isComplete);
    const shown = [this.image, ...neighbors].map((each) => `${each.id} ${each.status}`).join();
    if (shown !== this.neighbors) this.showStrip(neighbors);
    this.neighbors = shown;
    const { activeElement: focused } = document;
    if (focused === document.body || focused?.hidden || focused?.disabled) this.title.focus(); // else keys would do nothing
    if (at > order.length - 20) this.library.more();
  }

  /** Show a newer record of the image that is open. */
  refresh(image) {
    if (!this.image || image.id !== this.image.id) return;
    this.image = image;
    this.title.textContent = image.title || image.filename || "Untitled image";
    const source = image.status === "ready" ? sourceFor(image, this.well.clientWidth, this.well.clientHeight) : null;
    if (source !== this.source) {
      this.source = source;
      if (source) this.picture.src = source;
      else this.picture.removeAttribute("src");
    }
    this.picture.alt = image.alt || "";
    this.picture.width = image.width || 4;
    this.picture.height = image.height || 3;
    this.removePlaceholder();
    if (image.status === "ready") {
      const isShown = this.picture.complete && this.picture.naturalWidth;
      const blurred = isShown || showPreview(this.well, image) || !image.thumbhash ? null : placeholder(image.thumbhash);
      if (blurred) this.well.prepend(blurred);
    } else {
      const words = image.status === "pending" ? "Processing" : image.error?.detail;
      this.well.prepend(h("p", { class: "viewer-message" }, image.status === "failed" ? icon("warning") : null, words));
    }
    this.inspector.show(image);
  }

  showStrip(neighbors) {
    const hadFocus = this.strip.contains(document.activeElement);
    fill(
      this.strip,
      neighbors.map((image) =>
        h(
          "button",
          {
            type: "button",
            class: "strip-item",
            "aria-current": image.id === this.image.id ? "true" : null,
            "aria-label": image.title || image.filename || "Untitled image",
            onclick: () => this.open(image.id, { replace: true }),
          },
          image.status === "ready" ? h("img", { src: sourceFor(image, 64, 64), alt: "", loading: "lazy" }) : icon(image.status === "failed" ? "warning" : "upload"),
        ),
      ),
    );
    const current = this.strip.querySelector("[aria-current]");
    if (!current) return;
    this.strip.scrollLeft = current.offsetLeft - (this.strip.clientWidth - current.offsetWidth) / 2;
    if (hadFocus) current.focus({ preventScroll: true });
  }

  async step(by) {
    const { library } = this;
    const find = () => library.shown.findIndex((each) => each.id === this.image?.id);
    if (by > 0 && find() === library.shown.length - 1 && !library.isComplete) await library.more();
    const at = find(); // the list may have been loaded only now
    const next = at < 0 ? null : library.shown[at + by];
    if (next) this.open(next.id, { replace: true });
  }

  onKey(event) {
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.inspector.onKey(event)) return;
    const keys = {
      ArrowLeft: () => (this.zoom > 1 ? this.pan(80, 0) : this.step(-1)),
      ArrowRight: () => (this.zoom > 1 ? this.pan(-80, 0) : this.step(1)),
      ArrowUp: () => this.zoom > 1 && this.pan(0, 80),
      ArrowDown: () => this.zoom > 1 && this.pan(0, -80),
      "+": () => this.zoomTo(this.zoom * 1.5),
      "-": () => this.zoomTo(this.zoom / 1.5),
      0: () => this.reset(),
      f: () => this.inspector.startFocalPoint(),
      e: () => this.inspector.edit(),
      Delete: () => this.actions.delete([this.image.id]),
      "?": () => this.actions.help(),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  // Zoom with the wheel, with two fingers or by double click; drag to move; swipe for the neighbors.

  bindZoom() {
    const points = new Map();
    let start = null;
    const distance = () => {
      const [one, other] = [...points.values()];
      return Math.hypot(one.x - other.x, one.y - other.y);
    };
    this.well.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomTo(this.zoom * Math.exp(-event.deltaY / 300), event);
    }, { passive: false });
    this.well.addEventListener("dblclick", (event) => this.zoomTo(this.zoom > 1 ? 1 : 2.5, event));
    this.well.addEventListener("pointerdown", (event) => {
      if (this.inspector.isPicking || event.button) return;
      points.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.well.setPointerCapture(event.pointerId);
      start = { x: event.clientX, y: event.clientY, zoom: this.zoom, dx: this.dx, dy: this.dy, distance: points.size === 2 ? distance() : 0 };
    });
    this.well.addEventListener("pointermove", (event) => {
      if (!start || !points.has(event.pointerId)) return;
      points.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (points.size === 2) this.zoomTo((start.zoom * distance()) / start.distance);
      else if (this.zoom > 1) {
        this.dx = start.dx + event.clientX - start.x;
        this.dy = start.dy + event.clientY - start.y;
        this.place();
      }
    });
    const end = (event) => {
      if (!points.delete(event.pointerId) || !start) return;
      const across = event.clientX - start.x;
      const isSwipe = event.type === "pointerup" && start.zoom === 1 && this.zoom === 1 && Math.abs(across) > SWIPE && Math.abs(event.clientY - start.y) < SWIPE;
      if (isSwipe && event.pointerType !== "mouse") this.step(across > 0 ? -1 : 1);
      if (!points.size) start = null;
    };
    this.well.addEventListener("pointerup", end);
    this.well.addEventListener("pointercancel", end);
    this.reset();
  }

  zoomTo(zoom, center = null) {
    const before = this.zoom;
    this.zoom = Math.max(1, Math.min(MOST_ZOOM, zoom));
    if (center && this.zoom > 1) {
      const box = this.well.getBoundingClientRect();
      const [x, y] = [center.clientX - box.left - box.width / 2, center.clientY - box.top - box.height / 2];
      this.dx = x - ((x - this.dx) * this.zoom) / before;
      this.dy = y - ((y - this.dy) * this.zoom) / before;
    }
    this.place();
    this.showLarger();
  }

  /** Show the largest variant as soon as the picture is larger than the one that fits the window. */
  showLarger() {
    if (this.zoom <= 1 || this.image?.status !== "ready") return;
    const source = sourceFor(this.image, this.well.clientWidth * this.zoom, this.well.clientHeight * this.zoom);
    if (source && source !== this.source) {
      this.source = source;
      this.picture.src = source;
    }
  }

  pan(dx, dy) {
    this.dx += dx;
    this.dy += dy;
    this.place();
  }

  place() {
    const [across, down] = [this.well.clientWidth, this.well.clientHeight].map((size) => (size * (this.zoom - 1)) / 2);
    this.dx = Math.max(-across, Math.min(across, this.dx));
    this.dy = Math.max(-down, Math.min(down, this.dy));
    this.picture.style.transform = this.zoom > 1 ? `translate(${this.dx}px, ${this.dy}px) scale(${this.zoom})` : "";
    this.well.classList.toggle("zoomed", this.zoom > 1);
  }

  reset() {
    Object.assign(this, { zoom: 1, dx: 0, dy: 0 });
    this.place();
  }

  /** Clean up at once, because the event comes later: another image may be open then, or another tile have the focus. */
  onClose() {
    if (this.isOpen || !this.image) return;
    const { id } = this.image;
    this.inspector.stop();
    this.image = null;
    this.source = null;
    this.picture.removeAttribute("src");
    const address = new URL(location.href);
    if (address.searchParams.has("image")) {
      address.searchParams.delete("image");
      history.replaceState(null, "", address);
    }
    this.actions.closed(id);
  }
}
