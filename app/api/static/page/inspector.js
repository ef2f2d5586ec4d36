/** The inspector of an open image: share, edit, sizes, camera, privacy report, look-alikes, danger. */

import { Problem, get, patch, post } from "./api.js";
import { announce, fill, h, icon } from "./dom.js";
import { bytes, clock, count, moment, saved } from "./format.js";
import { FocalPoint } from "./focal.js";
import { sourceFor } from "./gallery.js";

const SHARE_DAYS = 7;

export class Inspector {
  /** `actions`: may(scope), report(error), toast(text), updated(image), delete(ids), restore(ids), open(image), limits. */
  constructor(actions, viewer) {
    this.actions = actions;
    this.viewer = viewer;
    this.element = h("aside", { class: "inspector", "aria-label": "About this image", tabIndex: -1 });
    this.focal = null;
  }

  get isPicking() {
    return this.focal !== null;
  }

  show(image) {
    const isOther = this.image?.id !== image.id;
    const isEdited = !isOther && this.element.contains(document.activeElement) && /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName);
    this.image = image;
    if (isOther) this.stop();
    if (isEdited || this.isPicking) return; // the fields are not taken from under the fingers
    const may = (scope) => this.actions.may(scope);
    fill(
      this.element,
      image.trashed_at ? this.buildTrashed(may) : this.buildShare(may),
      this.buildFields(may("edit") && !image.trashed_at),
      image.trashed_at ? null : this.buildVisibility(may("edit")),
      image.status === "ready" ? this.buildFocal(may("edit") && !image.trashed_at) : null,
      this.buildSizes(),
      this.buildCamera(),
      this.buildPrivacy(),
      image.status === "ready" && may("read") ? this.buildLookAlikes() : null,
      image.trashed_at ? null : this.buildDanger(may),
    );
  }

  section(title, ...content) {
    return h("section", { class: "inspector-section" }, h("h3", {}, title), ...content);
  }

  // Share

  buildShare(may) {
    const { image } = this;
    if (image.status !== "ready" || !image.embed.html) return null;
    const lasting = image.visibility === "public";
    const src = new URL(image.embed.markdown.match(/\(([^)]*)\)$/)[1], document.baseURI).href;
    const absolute = (text) => absoluteUrls(text);
    const link = may("edit") ? this.button("Create a link", () => this.share()) : null;
    return this.section(
      "Share",
      lasting ? null : h("p", { class: "note" }, image.urls_expire_at ? `This image is private. Its URLs expire at ${clock(image.urls_expire_at)}.` : "This image is private."),
      h(
        "div",
        { class: "buttons" },
        this.button("Copy URL", () => this.copy(src, "URL"), "copy"),
        this.button("Copy HTML", () => this.copy(absolute(image.embed.html), "HTML")),
        this.button("Copy Markdown", () => this.copy(absolute(image.embed.markdown), "Markdown")),
        lasting ? null : link,
      ),
    );
  }

  async share() {
    await this.try(async () => {
      const { url, expires_at: expires } = await post(`images/${this.image.id}/share`, { expires_in: SHARE_DAYS * 86400 });
      await this.copy(new URL(url, document.baseURI).href, `Link, valid until ${moment(expires)},`);
    });
  }

  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.actions.toast(`${what} copied.`);
    } catch {
      this.actions.showText(text); // without the permission, or outside of a secure context
    }
  }

  // Fields

  buildFields(enabled) {
    const { image } = this;
    const field = (name, label, value, tag = "input", more = {}) => {
      const id = `field-${name}`;
      const input = h(tag, { id, class: "field", value: value || "", dir: "auto", disabled: !enabled, "data-field": name, ...more });
      input.addEventListener("change", () => this.save({ [name]: this.valueOf(name, input.value) }, input));
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && tag === "input") input.blur();
        if (event.key === "Escape") {
          input.value = value || "";
          input.blur();
          event.stopPropagation();
          event.preventDefault();
        }
      });
      return h("div", { class: "field-line" }, h("label", { for: id }, label), input);
    };
    const rows = Object.entries(image.metadata).map(([name, value]) => this.metadataRow(name, value, enabled));
    const metadata = h("div", { class: "metadata" }, rows, enabled ? this.button("Add a field", () => this.addMetadata(metadata)) : null);
    return this.section(
      "Details",
      field("title", "Title", image.title, "input", { maxLength: 200 }),
      field("alt", "Alternative text", image.alt, "textarea", { rows: 2, maxLength: 1000 }),
      field("tags", "Tags, separated by commas", image.tags.join(", ")),
      h("details", { open: rows.length > 0 }, h("summary", {}, "Metadata"), metadata),
    );
  }

  valueOf(name, text) {
    if (name === "tags") return [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
    return text.trim() || null;
  }

  metadataRow(name, value, enabled) {
    const input = h("input", { class: "field", value, dir: "auto", "aria-label": name, disabled: !enabled });
    input.addEventListener("change", () => this.save({ metadata: { [name]: input.value === "" ? null : input.value } }, input));
    return h("div", { class: "field-line" }, h("label", { dir: "auto" }, name), input);
  }

  addMetadata(list) {
    const name = h("input", { class: "field", placeholder: "Name", "aria-label": "Name of the field", dir: "auto" });
    const value = h("input", { class: "field", placeholder: "Value", "aria-label": "Value of the field", dir: "auto" });
    value.addEventListener("change", () => name.value && this.save({ metadata: { [name.value]: value.value } }, value));
    list.prepend(h("div", { class: "field-pair" }, name, value));
    name.focus();
  }

  /** Write a change to the version that is shown. Another version is shown first. */
  async save(change, input = null) {
    const { image } = this;
    try {
      this.changed(await patch(`images/${image.id}`, change, { ifMatch: `"v${image.version}"` }));
      announce("Saved");
      this.actions.toast("Saved.", { short: true });
    } catch (error) {
      if (error instanceof Problem && error.status === 412) {
        this.changed(await get(`images/${image.id}`));
        try {
          this.changed(await patch(`images/${image.id}`, change));
          this.actions.toast("Saved.", { short: true });
        } catch (again) {
          this.actions.report(again);
        }
        return;
      }
      input?.setAttribute("aria-invalid", "true");
      this.actions.report(error);
    }
  }

  changed(image) {
    this.actions.updated(image);
    this.viewer.show(image);
  }

  // Visibility

  buildVisibility(enabled) {
    const { image } = this;
    const isPublic = image.visibility === "public";
    const words = isPublic ? "Everybody who has a URL can see the sizes. The original stays private." : "Only you can see it, and those to whom you give a link.";
    const button = this.button(isPublic ? "Make private" : "Make public", () => this.save({ visibility: isPublic ? "private" : "public" }), isPublic ? "lock" : "eye");
    button.disabled = !enabled;
    return this.section("Visibility", h("p", { class: "note" }, words), button);
  }

  // Focal point

  buildFocal(enabled) {
    const { focal_point: point } = this.image;
    const words = point ? `Crops keep the point at ${Math.round(point.x * 100)} % across and ${Math.round(point.y * 100)} % down.` : "Crops choose what to keep by themselves.";
    const set = this.button(point ? "Move focal point" : "Set focal point", () => this.startFocalPoint(), "target");
    set.disabled = !enabled;
    const reset = point && enabled ? this.button("Remove", () => this.save({ focal_point: null })) : null;
    return this.section("Focal point", h("p", { class: "note" }, words), h("div", { class: "buttons" }, set, reset));
  }

  startFocalPoint() {
    if (this.isPicking || this.image.status !== "ready" || this.image.trashed_at || !this.actions.may("edit")) return;
    this.focal = new FocalPoint(this.viewer.well(), this.viewer.picture(), this.image, {
      save: (point) => this.save({ focal_point: point }),
      done: () => {
        this.focal = null;
        this.show(this.image);
        this.element.focus();
      },
    });
    fill(this.element, this.section("Focal point", this.focal.panel));
    this.focal.focus();
  }

  // What the service found

  buildSizes() {
    const { image } = this;
    const rows = image.variants.map((each) =>
      h(
        "tr",
        {},
        h("td", {}, h("a", { href: each.url, target: "_blank", rel: "noreferrer" }, each.name)),
        h("td", {}, each.format),
        h("td", { class: "number" }, `${count(each.width)} × ${count(each.height)}`),
        h("td", { class: "number" }, bytes(each.bytes)),
        h("td", { class: "number saved" }, saved(each.bytes, image.bytes)),
      ),
    );
    const original = h(
      "p",
      { class: "note" },
      `Original: ${image.width ? `${count(image.width)} × ${count(image.height)}, ` : ""}${bytes(image.bytes)}. `,
      image.error?.code === "not_an_image" || !this.actions.may("read") ? null : h("a", { href: image.links.original, class: "download", onclick: (event) => this.actions.download(event, image) }, "Download"),
    );
    const table = rows.length ? h("table", { class: "sizes" }, h("caption", { class: "hidden" }, "Sizes"), h("tbody", {}, rows)) : null;
    return this.section("Sizes", table, original, image.reprocess_error ? h("p", { class: "warning" }, icon("warning"), image.reprocess_error.detail) : null);
  }

  buildCamera() {
    const { image } = this;
    const exif = Object.entries(image.exif).slice(0, 30);
    const lines = [
      ["Taken", image.taken_at && moment(image.taken_at)],
      ["Camera", image.camera],
      ["Author", image.rights?.artist],
      ["Copyright", image.rights?.copyright],
      ["Uploaded", moment(image.uploaded_at)],
      ["File name", image.filename],
      ["Type", image.content_type],
      ...exif,
    ];
    const shown = lines.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return this.section("Camera", h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, String(value))])));
  }

  buildPrivacy() {
    const { privacy_report: report } = this.image;
    if (!report) return null;
    const names = { gps: "the place where it was taken", serial: "serial numbers", owner_name: "the owner's name", comment: "comments", thumbnail: "an embedded preview" };
    const found = Object.keys(names).filter((name) => report[name]).map((name) => names[name]);
    return this.section("Privacy report", h("p", { class: "note" }, found.length ? `The original contains ${list(found)}. The sizes contain none of it.` : "The original contains no private data."));
  }

  buildLookAlikes() {
    const { image } = this;
    const place = h("div", { class: "look-alikes" });
    const section = h("details", { class: "inspector-section" }, h("summary", {}, "Look-alikes"), place);
    section.addEventListener("toggle", async () => {
      if (!section.open || place.childElementCount) return;
      await this.try(async () => {
        const { items } = await get(`images/${image.id}/similar`);
        const found = items.filter((each) => each.image.variants.length);
        const tiles = found.map(({ image: other, distance }) =>
          h("button", { type: "button", class: "strip-item", "aria-label": `${other.title || other.filename || "Untitled image"}, distance ${distance}`, onclick: () => this.actions.open(other) }, h("img", { src: sourceFor(other, 64, 64), alt: "" })),
        );
        fill(place, tiles.length ? tiles : h("p", { class: "note" }, "No image looks like this one."));
      });
    });
    return section;
  }

  // Danger

  buildDanger(may) {
    const { image } = this;
    if (!may("edit") && !may("delete")) return null;
    return this.section(
      "More",
      h(
        "div",
        { class: "buttons" },
        may("edit") ? this.button(image.status === "failed" ? "Try again" : "Process again", () => this.reprocess(), "retry") : null,
        may("delete") ? this.button("Delete", () => this.actions.delete([image.id]), "trash", "danger") : null,
      ),
    );
  }

  buildTrashed(may) {
    return this.section(
      "In the trash",
      h("p", { class: "note" }, `Deleted ${moment(this.image.trashed_at)}.`),
      may("delete") ? h("div", { class: "buttons" }, this.button("Restore", () => this.actions.restore([this.image.id]), "retry"), this.button("Delete for good", () => this.actions.delete([this.image.id]), "trash", "danger")) : null,
    );
  }

  async reprocess() {
    await this.try(async () => {
      this.changed(await post(`images/${this.image.id}/reprocess`));
      this.actions.toast("The image is processed again.");
    });
  }

  button(label, onclick, shape = null, kind = "") {
    return h("button", { type: "button", class: `button ${kind}`, onclick }, shape ? icon(shape) : null, label);
  }

  async try(action) {
    try {
      await action();
    } catch (error) {
      this.actions.report(error);
    }
  }

  edit() {
    this.element.querySelector("[data-field=title]")?.focus();
  }

  onKey(event) {
    return this.focal ? this.focal.onKey(event) : false;
  }

  stop() {
    this.focal?.end();
    this.focal = null;
  }
}

const list = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

/** Make urls of this service in markup absolute, so that it works in other pages. */
function absoluteUrls(text) {
  const origin = new URL(document.baseURI).origin;
  return text.replaceAll(/(["( ,])(\/(?:[\w-]+\/)*files\/)/g, `$1${origin}$2`);
}
