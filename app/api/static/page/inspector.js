/** The inspector of an open image: what can be done with it, and facts about it. */

import { Problem, get, patch, post } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { cameraSection, lookAlikesSection, privacySection, section, sizesSection } from "./facts.js";
import { FocalPoint } from "./focal.js";
import { clock, moment } from "./format.js";

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
    const shown = JSON.stringify([image, ["read", "edit", "delete"].map(may)]);
    if (shown === this.shown) return; // nor is a button from under the pointer
    this.shown = shown;
    this.build(isOther, [
      image.trashed_at ? this.buildTrashed(may) : this.buildShare(may),
      this.buildFields(may("edit") && !image.trashed_at),
      image.trashed_at ? null : this.buildVisibility(may("edit")),
      image.status === "ready" ? this.buildFocal(may("edit") && !image.trashed_at) : null,
      sizesSection(image, this.actions),
      cameraSection(image),
      privacySection(image),
      image.status === "ready" && may("read") ? lookAlikesSection(image, this.actions) : null,
      image.trashed_at ? null : this.buildDanger(may),
    ]);
  }

  /** Replace the sections. What was open stays open for the same image, and the focus on its control or in its section. */
  build(isOther, sections) {
    const focused = document.activeElement || document.body;
    const hadFocus = this.element.contains(focused) && focused !== this.element;
    const section = sectionOf(focused);
    const open = [...this.element.querySelectorAll("details[open] > summary")].map(nameOf);
    fill(this.element, sections);
    if (!isOther) for (const each of this.element.querySelectorAll("summary")) each.parentElement.open ||= open.includes(nameOf(each));
    if (!hadFocus) return;
    const controls = [...this.element.querySelectorAll("a, button, input, textarea, summary")].filter((each) => !each.disabled);
    const again = controls.find((each) => nameOf(each) === nameOf(focused)) || controls.find((each) => sectionOf(each) === section);
    (again || this.element).focus({ preventScroll: true });
  }

  // Share

  buildShare(may) {
    const { image } = this;
    if (image.status !== "ready" || !image.embed.html) return null;
    const lasting = image.visibility === "public";
    const { html, markdown } = image.embed;
    const end = markdown.lastIndexOf("](") + 2; // its url has no brackets, and its text may have some
    const src = absolute(markdown.slice(end, -1));
    const link = may("edit") ? this.button("Create a link", () => this.share()) : null;
    return section(
      "Share",
      lasting ? null : h("p", { class: "note" }, image.urls_expire_at ? `This image is private. Its URLs expire at ${clock(image.urls_expire_at)}.` : "This image is private."),
      h(
        "div",
        { class: "buttons" },
        this.button("Copy URL", () => this.copy(src, "URL"), "copy"),
        this.button("Copy HTML", () => this.copy(absoluteMarkup(html), "HTML")),
        this.button("Copy Markdown", () => this.copy(`${markdown.slice(0, end)}${src})`, "Markdown")),
        lasting ? null : link,
      ),
    );
  }

  async share() {
    await this.try(async () => {
      const { url, expires_at: expires } = await post(`images/${this.image.id}/share`, { expires_in: SHARE_DAYS * 86400 });
      await this.copy(new URL(url, document.baseURI).href, "Link", ` It is valid until ${moment(expires)}.`);
    });
  }

  async copy(text, what, more = "") {
    try {
      await navigator.clipboard.writeText(text);
      this.actions.toast(`${what} copied.${more}`);
    } catch {
      this.actions.showText(text); // without the permission, or outside of a secure context
    }
  }

  // Fields

  buildFields(enabled) {
    const { image } = this;
    const stored = (name) => (name === "tags" ? this.image.tags.join(", ") : this.image[name] || "");
    const field = (name, label, tag = "input", more = {}) => {
      const id = `field-${name}`;
      const input = h(tag, { id, class: "field", value: stored(name), dir: "auto", disabled: !enabled, "data-field": name, ...more });
      input.addEventListener("change", () => this.save({ [name]: this.valueOf(name, input.value) }, input));
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && tag === "input") input.blur();
        if (event.key === "Escape") {
          input.value = stored(name);
          input.blur();
          event.stopPropagation();
          event.preventDefault();
        }
      });
      return h("div", { class: "field-line" }, h("label", { for: id }, label), input);
    };
    const rows = Object.entries(image.metadata).map(([name, value]) => this.metadataRow(name, value, enabled));
    const metadata = h("div", { class: "metadata" }, rows, enabled ? this.button("Add a field", () => this.addMetadata(metadata)) : null);
    return section(
      "Details",
      field("title", "Title", "input", { maxLength: 200 }),
      field("alt", "Alternative text", "textarea", { rows: 2, maxLength: 1000 }),
      field("tags", "Tags, separated by commas"),
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
    return h("label", { class: "field-line" }, h("span", { dir: "auto" }, name), input);
  }

  addMetadata(list) {
    const name = h("input", { class: "field", placeholder: "Name", "aria-label": "Name of the field", dir: "auto" });
    const value = h("input", { class: "field", placeholder: "Value", "aria-label": "Value of the field", dir: "auto" });
    value.addEventListener("change", () => name.value && this.save({ metadata: { [name.value]: value.value } }, value));
    list.prepend(h("div", { class: "field-pair" }, name, value));
    name.focus();
  }

  /** Write a change, after those that are being written. What somebody else has written meanwhile is not lost. */
  save(change, input = null) {
    const { id } = this.image;
    this.saving = (this.saving || Promise.resolve()).then(() => this.write(id, change, input));
    return this.saving;
  }

  async write(id, change, input) {
    try {
      let known = this.image?.id === id ? this.image : await get(`images/${id}`);
      const before = known;
      for (;;) {
        try {
          this.changed(await patch(`images/${id}`, change, { ifMatch: `"v${known.version}"` }));
          input?.removeAttribute("aria-invalid");
          this.actions.toast("Saved.", { short: true });
          return;
        } catch (error) {
          if (!(error instanceof Problem) || error.status !== 412) throw error;
          known = await get(`images/${id}`);
          const lost = Object.keys(change).filter((name) => JSON.stringify(known[name]) !== JSON.stringify(before[name]));
          if (lost.length) {
            this.changed(known, { force: true });
            this.actions.toast(`The ${lost.join(" and ")} has been changed elsewhere. Check it, and change it again.`);
            return;
          }
        }
      }
    } catch (error) {
      input?.setAttribute("aria-invalid", "true");
      if (document.activeElement === document.body) input?.focus();
      this.actions.report(error);
    }
  }

  changed(image, { force = false } = {}) {
    this.actions.updated(image);
    if (force && this.image?.id === image.id) Object.assign(this, { image: null, shown: null }); // the fields are built again
    this.viewer.show(image);
  }

  // Visibility

  buildVisibility(enabled) {
    const { image } = this;
    const isPublic = image.visibility === "public";
    const words = isPublic ? "Everybody who has a URL can see the sizes. The original stays private." : `${this.actions.limits.authentication === "required" ? "Only you" : "Everybody who can open this page"} can see it, and those to whom you give a link.`;
    const button = this.button(isPublic ? "Make private" : "Make public", () => this.save({ visibility: isPublic ? "private" : "public" }), isPublic ? "lock" : "eye");
    button.disabled = !enabled;
    return section("Visibility", h("p", { class: "note" }, words), h("div", { class: "buttons" }, button));
  }

  // Focal point

  buildFocal(enabled) {
    const { focal_point: point } = this.image;
    const words = point ? `Crops keep the point at ${Math.round(point.x * 100)} % across and ${Math.round(point.y * 100)} % down.` : "Crops choose what to keep by themselves.";
    const set = this.button(point ? "Move focal point" : "Set focal point", () => this.startFocalPoint(), "target");
    set.disabled = !enabled;
    const reset = point && enabled ? this.button("Remove", () => this.save({ focal_point: null })) : null;
    return section("Focal point", h("p", { class: "note" }, words), h("div", { class: "buttons" }, set, reset));
  }

  startFocalPoint() {
    if (this.isPicking || this.image.status !== "ready" || this.image.trashed_at || !this.actions.may("edit")) return;
    this.shown = null;
    this.focal = new FocalPoint(this.viewer.well(), this.viewer.picture(), this.image, {
      save: (point) => this.save({ focal_point: point }),
      done: () => {
        this.focal = null;
        this.show(this.image);
        this.element.focus();
      },
    });
    fill(this.element, section("Focal point", this.focal.panel));
    this.focal.focus();
  }

  // Danger

  buildDanger(may) {
    const { image } = this;
    if (!may("edit") && !may("delete")) return null;
    return section(
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
    return section(
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

/** Name by which a control is found again when its section has been built again. */
const nameOf = (control) => control.dataset.field || control.getAttribute("aria-label") || control.textContent;
const sectionOf = (control) => control.closest(".inspector-section")?.querySelector("h3, summary")?.textContent;

/** Make a url of this service absolute, so that it works in other pages. */
const absolute = (address) => new URL(address, document.baseURI).href;

/** Make the urls of HTML absolute. Its other texts stay as they are. */
function absoluteMarkup(html) {
  const { origin } = new URL(document.baseURI);
  return html.replaceAll(/ (?:src|srcset)="[^"]*"/g, (attribute) => attribute.replaceAll(/([" ])(?=\/[^/])/g, `$1${origin}`));
}
