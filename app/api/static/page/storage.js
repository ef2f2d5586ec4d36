/** Window that compares the originals with what is sent instead of them, by format. */

import { get } from "./api.js";
import { h } from "./dom.js";
import { bytes, count, saved } from "./format.js";
import { ask } from "./windows.js";

/** Show the statistics of an owner; empty for the caller. */
export async function showStorage(owner) {
  const stats = await get("stats", { query: owner ? { owner } : {} });
  const close = [h("button", { class: "button", value: "" }, "Close")];
  const total = h("p", { class: "note" }, `${bytes(stats.original_bytes)} in originals, ${bytes(stats.variant_bytes)} in sizes.`);
  await ask("Storage", stats.formats.length ? [table(stats.formats), total] : total, close);
}

function table(formats) {
  const names = ["Format", "Images", "Originals", "Largest size", "Saved", "All sizes"];
  const head = names.map((name, column) => h("th", { scope: "col", class: column ? "number" : "" }, name));
  const rows = formats.map((each) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, each.format),
      [count(each.images), bytes(each.original_bytes), bytes(each.largest_bytes), saved(each.largest_bytes, each.original_bytes), bytes(each.variant_bytes)].map((text) => h("td", { class: "number" }, text)),
    ),
  );
  return h("table", { class: "sizes storage" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}
