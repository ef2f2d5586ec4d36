/** What the service knows about an image: sizes, camera, privacy report, look-alikes. */

import { get } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { bytes, count, moment, saved } from "./format.js";
import { sourceFor } from "./gallery.js";

export function section(title, ...content) {
  return h("section", { class: "inspector-section" }, h("h3", {}, title), ...content);
}

export function sizesSection(image, actions) {
  const rows = image.variants.map((each) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: each.url, target: "_blank", rel: "noreferrer" }, each.name)),
      h("td", {}, each.format),
      h("td", { class: "number" }, `${count(each.width)} × ${count(each.height)}`),
      h("td", { class: "number" }, bytes(each.bytes)),
      h("td", { class: "number", title: "Quality of the encoder" }, each.quality === null ? "" : `q ${each.quality}`),
      h("td", { class: "number saved" }, saved(each.bytes, image.bytes)),
    ),
  );
  const original = h(
    "p",
    { class: "note" },
    `Original: ${image.width ? `${count(image.width)} × ${count(image.height)}, ` : ""}${bytes(image.bytes)}. `,
    image.error?.code === "not_an_image" || !actions.may("read") ? null : h("a", { href: image.links.original, class: "download", onclick: (event) => actions.download(event, image) }, "Download"),
  );
  const head = ["Name", "Format", "Width and height", "File size", "Quality", "Saved"].map((name) => h("th", { scope: "col" }, h("span", { class: "hidden" }, name)));
  const table = rows.length ? h("table", { class: "sizes" }, h("caption", { class: "hidden" }, "Sizes"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)) : null;
  return section("Sizes", table, original, image.reprocess_error ? h("p", { class: "warning" }, icon("warning"), image.reprocess_error.detail) : null);
}

export function cameraSection(image) {
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
  return section("File and camera", h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, String(value))])));
}

export function privacySection({ privacy_report: report }) {
  if (!report) return null;
  const names = { gps: "the place where it was taken", serial: "serial numbers", owner_name: "the owner's name", comment: "comments", thumbnail: "an embedded preview" };
  const found = Object.keys(names).filter((name) => report[name]).map((name) => names[name]);
  return section("Privacy report", h("p", { class: "note" }, found.length ? `The original contains ${list(found)}. The sizes contain none of it.` : "The original contains no private data."));
}

export function lookAlikesSection(image, actions) {
  const place = h("div", { class: "look-alikes" });
  const details = h("details", { class: "inspector-section" }, h("summary", {}, "Look-alikes"), place);
  details.addEventListener("toggle", async () => {
    if (!details.open || place.childElementCount) return;
    try {
      const { items } = await get(`images/${image.id}/similar`);
      const found = items.filter((each) => each.image.variants.length);
      const tiles = found.map(({ image: other, distance }) =>
        h("button", { type: "button", class: "strip-item", "aria-label": `${other.title || other.filename || "Untitled image"}, distance ${distance}`, onclick: () => actions.open(other) }, h("img", { src: sourceFor(other, 64, 64), alt: "" })),
      );
      fill(place, tiles.length ? tiles : h("p", { class: "note" }, "No image looks like this one."));
    } catch (error) {
      actions.report(error);
    }
  });
  return details;
}

const list = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
