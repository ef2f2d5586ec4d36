/** Files that are dropped anywhere, pasted, or picked; folders are read. */

/** Files that programs leave in folders, and that nobody means to upload. */
const JUNK = /^(\.|Thumbs\.db$|desktop\.ini$|@eaDir|__MACOSX$)/i;
const PICTURE = /\.(jpe?g|jfif|png|webp|gif|avif|heic|heif|tiff?|bmp|svg|jxl|jp2|psd|raw|dng|cr2|cr3|nef|arw|orf|rw2)$/i;
/** Files of one drop or choice. */
export const MOST = 10000;

/** Call `take` with what is dropped on the window or pasted. `overlay` is shown while files are above the window. */
export function watchDrops(overlay, take, isAllowed = () => true) {
  let isOwn = false; // something of this page is dragged
  const hasFiles = (event) => !isOwn && isAllowed() && event.dataTransfer?.types.includes("Files");
  const show = (shown) => {
    if (shown === overlay.matches(":popover-open")) return;
    if (shown) overlay.showPopover(); // above open dialogs too
    else overlay.hidePopover();
  };
  addEventListener("dragstart", () => (isOwn = true));
  addEventListener("dragend", () => (isOwn = false));
  for (const name of ["dragenter", "dragover"]) {
    addEventListener(name, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      show(true);
    });
  }
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) show(false); // the pointer has left the window
  });
  addEventListener("drop", (event) => {
    show(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    const entries = [...event.dataTransfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() || item.getAsFile());
    take(entries.filter(Boolean));
  });
  addEventListener("paste", (event) => {
    if (!isAllowed() || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}

/**
 * Return the files among files and directory entries, those of folders too, and how many were left out: files in
 * folders that are no pictures, files that cannot be read, and files beyond `MOST`. Hidden files are ignored.
 */
export async function collectFiles(given) {
  const found = { files: [], others: 0, unreadable: 0, isCut: false };
  const add = (file, isInFolder) => {
    if (isInFolder && !PICTURE.test(file.name)) found.others += 1;
    else if (found.files.length >= MOST) found.isCut = true;
    else found.files.push(file);
  };
  const visit = async (entry, isInFolder) => {
    if (entry instanceof File) {
      const path = (entry.webkitRelativePath || entry.name).split("/");
      if (!path.some((name) => JUNK.test(name))) add(entry, path.length > 1);
    } else if (!JUNK.test(entry.name) && !found.isCut) {
      try {
        if (entry.isFile) add(await new Promise((resolve, reject) => entry.file(resolve, reject)), isInFolder);
        else await visitFolder(entry.createReader());
      } catch {
        found.unreadable += 1;
      }
    }
  };
  const visitFolder = async (reader) => {
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
      if (!some.length) return;
      for (const each of some) await visit(each, true);
    }
  };
  for (const each of given) await visit(each, false);
  return found;
}
