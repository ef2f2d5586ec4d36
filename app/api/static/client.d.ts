/** Types of client.js: uploads to Darkroom from pages of any site. */

/** Fields of a record that pages use. `GET /images/{id}` has more. */
export interface ImageRecord {
  id: string;
  status: "pending" | "ready" | "failed";
  error: { code: string; detail: string } | null;
  filename: string | null;
  content_type: string | null;
  bytes: number | null;
  width: number | null;
  height: number | null;
  title: string | null;
  alt: string | null;
  tags: string[];
  metadata: Record<string, string>;
  dominant_color: string | null;
  thumbhash: string | null;
  variants: Variant[];
  embed: { html: string | null; markdown: string | null; srcset: string | null };
  [field: string]: unknown;
}

export interface Variant {
  name: string;
  format: "jpeg" | "webp" | "png" | "avif" | "jxl";
  width: number;
  height: number;
  bytes: number;
  url: string;
  [field: string]: unknown;
}

/** Fields of a ticket request that describe the image. */
export interface Fields {
  title?: string;
  alt?: string;
  tags?: string[];
  metadata?: Record<string, string>;
  focal_point?: { x: number; y: number };
  visibility?: "public" | "private";
  [field: string]: unknown;
}

/** Options of requests to the site's own back end. */
export interface RequestOptions {
  headers?: Record<string, string>;
  credentials?: RequestCredentials;
  signal?: AbortSignal;
}

export interface UploadOptions extends RequestOptions {
  /** Sent with the ticket request. */
  fields?: Fields;
  /** Receives the bytes that have left, and the size of the file. */
  onProgress?: (sent: number, total: number) => void;
  /** Milliseconds before each new attempt after a temporary failure. Three attempts by default; `[]` makes none. */
  delays?: number[];
  /** Address of Darkroom, if a ticket's url is a path. Needed in bundles only: by default the address of client.js. */
  base?: string | URL;
}

export interface Uploaded {
  id: string;
  /** True if the bytes were stored already. Nothing was sent then. */
  duplicate: boolean;
  /** Record of such an image. */
  record?: ImageRecord;
}

/** Refusal by the back end or the store. */
export class UploadError extends Error {
  constructor(status: number, problem?: Record<string, unknown> | null);
  /** HTTP status; 0 if there was no answer. */
  status: number;
  /** Code of the problem document, such as `unsupported_type`; empty if there is none. */
  code: string;
  /** Problem document, if there is one. */
  problem?: Record<string, unknown> | null;
}

/**
 * Upload a file with a ticket. `endpoint` receives `{filename, content_type, bytes, sha256, ...fields}` as JSON by POST,
 * and answers with the ticket or record that it got from Darkroom's `POST /upload/direct`. An attempt that failed for a
 * moment is repeated; no image is stored twice. Rejects with an `UploadError`, or with the reason of the signal.
 */
export function upload(file: File, endpoint: string | URL, options?: UploadOptions): Promise<Uploaded>;

/** Wait until an image is ready or failed. The url answers with its record, such as `GET /images/{id}`. */
export function ready(url: string | URL, options?: RequestOptions): Promise<ImageRecord>;

/** Build the `srcset` of an `<img>`, with absolute urls; empty until the image is ready. `base`: see `UploadOptions`. */
export function srcset(record: Pick<ImageRecord, "embed">, base?: string | URL): string;
