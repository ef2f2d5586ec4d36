/** Changes of many images: in requests of a hundred, shown as each is answered, undone from a toast. */

import { Problem, get, post } from "./api.js";
import { announce } from "./dom.js";
import { count, plural } from "./format.js";
import { lacking } from "./refusals.js";
import { confirmDelete, toast } from "./windows.js";

const CHUNK = 100;
/** Records read at once after a change. */
const READ_AT_ONCE = 6;
/** Time in which a record is read once, if its picture cannot be loaded. */
const REFRESH_MILLISECONDS = 60000;

export class Changes {
  /** `actions` has `may(scope)`, `report(error)`, `onRecord(image)`, `updated(image)`, `shown()`, `close()`; `shown` is the open image. */
  constructor(library, trashDays, actions) {
    Object.assign(this, { library, trashDays, actions });
    this.refreshed = new Map();
  }

  recordOf(id) {
    const open = this.actions.shown();
    return this.library.byId.get(id) || (open?.id === id ? open : null);
  }

  /** Change images. `words(n)` is the sentence of the toast. */
  async edit(ids, change, words, { canUndo = true } = {}) {
    const before = new Map(ids.map((id) => [id, this.recordOf(id)]).filter(([, image]) => image).map(([id, { visibility, tags }]) => [id, { visibility, tags: [...tags] }]));
    const done = await this.run("images/edit", ids, change, "Changing", (some, results) => this.library.apply(results, change));
    if (!done.length) return;
    const steps = canUndo ? inverse(done, change, before) : [];
    toast(words(done.length), { undo: steps.length ? { label: "Undo", action: () => this.undo(steps) } : null });
    await this.readAgain(done);
  }

  async undo(steps) {
    for (const { ids, change } of steps) await this.edit(ids, change, (number) => `Changed ${plural(number, "image")} back.`, { canUndo: false });
  }

  async delete(ids) {
    if (!ids.length) return;
    if (!this.actions.may("delete")) {
      toast(lacking("delete"));
      return;
    }
    const isFinal = !this.trashDays || ids.every((id) => this.recordOf(id)?.trashed_at);
    if (isFinal && !(await confirmDelete(ids.length))) return;
    const done = await this.run("images/delete", ids, { permanent: isFinal }, "Deleting", (some) => this.leave(some));
    if (!done.length) return;
    toast(`Deleted ${plural(done.length, "image")}.`, { undo: isFinal ? null : { label: "Undo", action: () => this.restore(done, { canUndo: false }) } });
  }

  async restore(ids, { canUndo = true } = {}) {
    const done = await this.run("images/restore", ids, {}, "Restoring", (some) => this.library.filter.trashed && this.leave(some));
    if (!done.length) return;
    toast(`Restored ${plural(done.length, "image")}.`, { undo: canUndo ? { label: "Undo", action: () => this.delete(done) } : null });
    if (!this.library.filter.trashed) await this.readAgain(done);
  }

  /** Take images out of the list, and close the view of one of them. */
  leave(ids) {
    if (ids.includes(this.actions.shown()?.id)) this.actions.close();
    this.library.drop(ids);
  }

  /** Send the ids, and return those that were changed. `onSome` gets them and their results after every request. */
  async run(path, ids, body, doing, onSome = () => {}) {
    const done = [];
    const failed = [];
    try {
      for (let start = 0; start < ids.length; start += CHUNK) {
        if (ids.length > CHUNK) this.tell(`${doing} ${count(start)} of ${count(ids.length)}`);
        const { results } = await post(path, { ids: ids.slice(start, start + CHUNK), ...body });
        const succeeded = results.filter((each) => each.status < 300);
        const some = succeeded.map((each) => each.id);
        failed.push(...results.filter((each) => each.status >= 300));
        done.push(...some);
        if (some.length) onSome(some, succeeded);
      }
      this.library.clearSelection();
    } catch (error) {
      this.actions.report(error);
    } finally {
      this.tell("");
    }
    if (failed.length) toast(`${plural(failed.length, "image")} could not be changed: ${failed[0].error.detail}`);
    return done;
  }

  /** Show how far a change is, in place of the number of selected images. */
  tell(words) {
    this.library.doing = words;
    this.library.emit("selection");
  }

  async readAgain(ids) {
    if (ids.length > CHUNK) {
      await this.library.readAgain(ids).catch((error) => this.actions.report(error));
      return;
    }
    const left = [...ids];
    const read = async () => {
      while (left.length) await this.read(left.shift());
    };
    await Promise.all(Array.from({ length: READ_AT_ONCE }, read));
  }

  async read(id) {
    try {
      this.actions.onRecord(await get(`images/${id}`));
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.library.drop([id]);
      else if (!(error instanceof Problem)) this.actions.report(error);
    }
  }

  /** Have an image processed again. */
  async retry(id) {
    try {
      this.actions.updated(await post(`images/${id}/reprocess`));
      announce("Processing again");
    } catch (error) {
      this.actions.report(error);
    }
  }

  /** Read a record whose picture could not be loaded: its url may have expired, or been replaced. */
  async refresh(id) {
    if (Date.now() - (this.refreshed.get(id) || 0) < REFRESH_MILLISECONDS) return;
    this.refreshed.set(id, Date.now());
    await this.read(id);
  }
}

/** The changes that undo one, for the images that it has changed: `[{ids, change}]`. */
function inverse(ids, { visibility, add_tags: added = [], remove_tags: removed = [] }, before) {
  const known = ids.filter((id) => before.has(id));
  const steps = [];
  const step = (matches, change) => {
    const affected = known.filter((id) => matches(before.get(id)));
    if (affected.length) steps.push({ ids: affected, change });
  };
  if (visibility) {
    const other = visibility === "public" ? "private" : "public";
    step((image) => image.visibility === other, { visibility: other });
  }
  for (const tag of added) step((image) => !image.tags.includes(tag), { remove_tags: [tag] });
  for (const tag of removed) step((image) => image.tags.includes(tag), { add_tags: [tag] });
  return steps;
}
