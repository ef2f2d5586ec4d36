/** Files that are dropped anywhere, pasted, or picked; folders are read. */

/** Files that programs leave in folders, and that nobody means to upload. */
const JUNK = /^(\.|Thumbs\.db$|desktop\.ini$|@eaDir)/i;
const MOST = 10000;

/** Call `take` with what is dropped on the window or pasted. `overlay` is shown while files are above the window. */
export function watchDrops(overlay, take) {
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    overlay.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    if (depth <= 0) overlay.hidden = true;
  });
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    overlay.hidden = true;
    const entries = [...event.dataTransfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() || item.getAsFile());
    take(entries.filter(Boolean));
  });
  addEventListener("paste", (event) => {
    if (/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}

/** Return the files among files and directory entries, those of folders too, without hidden ones. */
export async function collectFiles(given) {
  const files = [];
  const visit = async (entry) => {
    if (files.length >= MOST) return;
    if (entry instanceof File) {
      if (!JUNK.test(entry.name)) files.push(entry);
    } else if (entry.isFile) {
      if (!JUNK.test(entry.name)) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    } else if (entry.isDirectory && !JUNK.test(entry.name)) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
        if (!some.length) break;
        for (const each of some) await visit(each);
      }
    }
  };
  for (const each of given) await visit(each);
  return files;
}
