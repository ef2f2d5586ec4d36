/** Types of darkroom-upload.js, which defines the element `<darkroom-upload>`. */

import type { Fields, ImageRecord, UploadError } from "./client.js";

export type UploadState = "waiting" | "sending" | "processing" | "done" | "known" | "failed" | "canceled";

/** One file of the element. */
export interface Upload {
  readonly file: File;
  readonly state: UploadState;
  /** Bytes that have left. */
  readonly sent: number;
  /** Id of the image once it is stored. */
  readonly id: string | null;
  /** Record of the image, if it was known or the attribute `records` is set. */
  readonly record: ImageRecord | null;
  readonly error: Error | UploadError | null;
}

export interface Texts {
  choose: string;
  chooseOne: string;
  hint: string;
  hintOne: string;
  cancel: string;
  retry: string;
  remove: string;
  waiting: string;
  sending: (percent: number) => string;
  processing: string;
  done: string;
  known: string;
  canceled: string;
  failed: string;
  unreadable: (name: string) => string;
  empty: (name: string) => string;
  tooLarge: (name: string, size: string, limit: string) => string;
  unfinished: (count: number) => string;
  required: string;
}

/**
 * Attributes:
 *   endpoint   url that answers a POST with an upload ticket: see `upload` in client.d.ts
 *   records    url before `/{id}` that answers with a record; uploads are done once their image is ready
 *   name       of the form field with the ids of the images
 *   multiple, required, disabled, accept   as of `<input type="file">`
 *   max-bytes  size limit of a file, checked before the upload
 * Slots: `label` (text of the button), `hint`.
 * Parts: zone, button, hint, list, item, name, state, action, progress, error. Properties: `--darkroom-accent`,
 * `--darkroom-danger`.
 */
export class DarkroomUpload extends HTMLElement {
  /** Texts of all elements. Replace them before the first one is created. */
  static texts: Texts;
  /** Description that is sent with each ticket request. */
  fields: Fields;
  /** Headers of requests to the back end, such as a CSRF token. */
  headers: Record<string, string>;
  credentials: RequestCredentials | undefined;
  /** Milliseconds before each new attempt: see `UploadOptions`. */
  delays: number[] | undefined;
  readonly uploads: readonly Upload[];
  /** Ids of the stored images. */
  readonly value: string[];
  readonly form: HTMLFormElement | null;
  readonly multiple: boolean;
  /** Upload files. Without `multiple` the last one replaces the earlier one. */
  add(files: Iterable<File>, fields?: Fields): Upload[];
  /** Cancel an upload, or all that are not finished. */
  cancel(upload?: Upload): void;
  /** Start an upload again that failed or was canceled. */
  retry(upload: Upload): void;
  /** Remove an upload, or all, from the list and from the form's value. Stored images stay. */
  clear(upload?: Upload): void;
}

/** Events of the element. They bubble. */
export interface DarkroomUploadEvents {
  "darkroom-progress": CustomEvent<{ file: File; sent: number; total: number }>;
  /** The image is stored, and ready if the attribute `records` is set. */
  "darkroom-uploaded": CustomEvent<{ file: File; id: string; duplicate: boolean; record: ImageRecord | null }>;
  "darkroom-failed": CustomEvent<{ file: File; error: Error | UploadError }>;
}

declare global {
  interface HTMLElementTagNameMap {
    "darkroom-upload": DarkroomUpload;
  }
  interface GlobalEventHandlersEventMap extends DarkroomUploadEvents {}
}
