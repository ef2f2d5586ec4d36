/** Keys of the gallery. Its tiles are one tab stop: arrows move within it. */

import { announce } from "./dom.js";
import { rowHeight } from "./layout.js";

/** Act on a key that was pressed on a tile. */
export function onGridKey(gallery, event) {
  const { library, actions, focused } = gallery;
  const at = gallery.index.get(focused);
  const rows = gallery.days.flatMap((each) => each.rows.map((row) => ({ row, start: each.start })));
  if (at === undefined || !rows.length || event.altKey || event.target.closest("input, button")) return;
  const last = rows.at(-1).start + rows.at(-1).row.tiles.at(-1).index;
  const rowsPerPage = Math.max(1, Math.floor((innerHeight - 112) / rowHeight(innerWidth)));
  const moves = {
    ArrowLeft: () => at - 1,
    ArrowRight: () => at + 1,
    ArrowUp: () => above(gallery, rows, -1),
    ArrowDown: () => above(gallery, rows, 1),
    PageUp: () => above(gallery, rows, -rowsPerPage),
    PageDown: () => above(gallery, rows, rowsPerPage),
    Home: () => 0,
    End: () => last,
  };
  const isCommand = event.ctrlKey || event.metaKey;
  if (moves[event.key]) {
    event.preventDefault();
    move(gallery, gallery.order[Math.max(0, Math.min(last, moves[event.key]()))].id, event.shiftKey);
  } else if (event.key === " ") {
    event.preventDefault();
    library.select(focused, { range: event.shiftKey });
  } else if (event.key === "a" && isCommand) {
    event.preventDefault();
    library.selectAll();
    announce(`${library.selected.size} selected`);
  } else if (event.key === "Escape" && library.selected.size) library.clearSelection();
  else if (event.key === "Delete") actions.delete(library.selected.size ? [...library.selected] : [focused]);
  else if (event.key === "?") actions.help();
  else if (event.key === "Enter" && !isCommand) {
    event.preventDefault();
    actions.open(library.byId.get(focused));
  }
}

/** Return the image at a place of an earlier order; if it is gone, the nearest one that is there, those after it first. */
export function remaining(before, at, index) {
  const isThere = (image) => index.has(image.id);
  return before.slice(at).find(isThere) || before.slice(0, at).findLast(isThere);
}

/** Focus an image; with `range`, select all from where the range began. */
function move(gallery, id, range) {
  const { library } = gallery;
  if (range) {
    const anchor = library.anchor ?? gallery.focused;
    library.anchor = anchor;
    library.select(id, { range: true });
    library.anchor = anchor;
  }
  gallery.focus(id);
}

/** Index of the image nearest to the middle of the focused one, some rows below, or above if negative. */
function above(gallery, rows, number) {
  const place = gallery.placeOf(gallery.focused);
  const now = rows.findIndex((one) => one.row === place.row);
  const next = rows[Math.max(0, Math.min(rows.length - 1, now + number))];
  const middle = place.tile.left + place.tile.width / 2;
  const distance = (tile) => Math.abs(tile.left + tile.width / 2 - middle);
  const nearest = next.row.tiles.reduce((best, tile) => (distance(tile) < distance(best) ? tile : best));
  return next.start + nearest.index;
}
