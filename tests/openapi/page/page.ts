/** A page that uses client.js and <darkroom-upload> with their types. Only compiled. */
import { ready, srcset, upload, UploadError, type ImageRecord } from "./static/client.js";
import { DarkroomUpload } from "./static/darkroom-upload.js";

export async function send(file: File): Promise<string> {
  const stop = new AbortController();
  try {
    const fields = { alt: "A lighthouse", tags: ["sea"], focal_point: { x: 0.5, y: 0.5 }, visibility: "public" as const };
    const onProgress = (sent: number, total: number) => console.log(sent / total);
    const stored = await upload(file, "/tickets", { fields, onProgress, signal: stop.signal, credentials: "include" });
    const record: ImageRecord = stored.record ?? (await ready(`/images/${stored.id}`));
    return srcset(record, "https://img.example.org");
  } catch (error) {
    if (error instanceof UploadError) return `${error.status} ${error.code} ${error.message}`;
    throw error;
  }
}

DarkroomUpload.texts = { ...DarkroomUpload.texts, choose: "Bilder wählen", sending: (percent) => `${percent} %` };
const element: DarkroomUpload = document.createElement("darkroom-upload");
element.headers = { "X-CSRF-Token": "1" };
element.fields = { title: "Sea" };
element.addEventListener("darkroom-progress", ({ detail }) => console.log(detail.sent / detail.total));
document.addEventListener("darkroom-uploaded", ({ detail }) => console.log(detail.id, detail.record?.width));
document.addEventListener("darkroom-failed", ({ detail }) => console.log(detail.file.name, detail.error.message));
for (const each of element.uploads) if (each.state === "failed") element.retry(each);
element.clear();

// @ts-expect-error: an endpoint is an url
void upload(new File([], "a.png"), 7);
// @ts-expect-error: misspelled option
void upload(new File([], "a.png"), "/tickets", { onprogress: () => undefined });
// @ts-expect-error: no such visibility
element.fields = { visibility: "secret" };
// @ts-expect-error: the value is read-only
element.value = [];
