/** Sentences for refusals: what happened, why with value and limit, and what to do. */

import { Offline, Problem, session } from "./api.js";
import { count } from "./format.js";

const TYPES = { jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif", avif: "image/avif", heic: "image/heic", heif: "image/heif", tif: "image/tiff", tiff: "image/tiff", bmp: "image/bmp" };
const NAMES = { "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF", "image/avif": "AVIF", "image/heic": "HEIC", "image/heif": "HEIC", "image/tiff": "TIFF", "image/bmp": "BMP" };
/** Letters of a name in a sentence. */
const MOST_LETTERS = 40;
/** Refusals that the same file meets again. */
const PERMANENT = ["unsupported_type", "too_large", "body_too_large", "empty_file", "unreadable"];

export const extensionOf = (name) => (name.includes(".") ? name.split(".").pop() : "");
export const typeOf = (file) => TYPES[extensionOf(file.name).toLowerCase()] || file.type || "";
export const isPermanent = (error) => PERMANENT.includes(error.code);

const accepted = (limits) => `Accepted: ${[...new Set(limits.accepted_types.map((type) => NAMES[type] || type))].join(", ")}.`;
/** `an SVG`, `a PDF`: abbreviations are spelled out when they are read. */
const withArticle = (name) => `${/^[AEFHILMNORSX8]/.test(name) ? "an" : "a"} ${name}`;

/** A size and its limit in megabytes, with as many digits as show that they differ. */
function megabytes(size, limit) {
  const text = (value, digits) => `${Number((value / 1e6).toFixed(digits))} MB`;
  const digits = [0, 1, 2, 3, 6].find((each) => text(size, each) !== text(limit, each) && limit >= 10 ** (6 - each)) ?? 6;
  return [text(size, digits), text(limit, digits)];
}

function tooLarge(name, size, limit) {
  const [found, most] = megabytes(size, limit);
  return `${name} is ${found}; the limit is ${most}.`;
}

/** Raise the refusal of a file that cannot be accepted, before it is read or sent. */
export function checkFile(file, limits) {
  const type = typeOf(file);
  if (!file.size) throw new Problem(0, { code: "empty_file" });
  if (type && !limits.accepted_types.includes(type)) throw new Problem(0, { code: "unsupported_type" });
  if (file.size > limits.max_direct_bytes) throw new Problem(0, { code: "too_large" });
}

/** Sentence for a key that lacks a scope. */
export function lacking(scope) {
  const has = [...session.scopes];
  const verb = { read: "list images", edit: "change images" }[scope] || scope;
  return has.length ? `This key cannot ${verb}. It has: ${has.join(", ")}.` : "An API key is needed.";
}

/** Prepare a name for a sentence: without the middle if it is long, and isolated if it may be written from right to left. */
function short(name) {
  const letters = [...name];
  const shown = letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS - 13).join("")}…${letters.slice(-12).join("")}` : name;
  return /[^\x20-\x7e…]/.test(shown) ? `\u2068${shown}\u2069` : shown;
}

/** Sentence for an upload that was refused. */
export function sentence(file, error, limits) {
  const name = short(file.name);
  const { size } = file;
  if (error instanceof Offline) return `${name} was not sent: the connection was lost too often.`;
  switch (error.code) {
    case "empty_file":
      return `${name} is empty.`;
    case "unreadable":
      return `${name} cannot be read any more. Choose it again.`;
    case "unsupported_type": {
      const told = error.status ? /found: ([A-Za-z0-9 ./+-]{1,40})\)/.exec(error.message)?.[1] : extensionOf(file.name).toUpperCase() || typeOf(file);
      return `${name} is ${told && /^[A-Z0-9]{2,5}$/.test(told) ? withArticle(told) : told ? `of the type ${told}` : "no image of a known type"}. ${accepted(limits)}`;
    }
    case "too_large":
    case "body_too_large":
      return tooLarge(name, size, Math.min(limits.max_direct_bytes, error.document.limit_bytes || Infinity));
    case "storage_full":
      return "The server is full. Delete images or ask its operator.";
    case "quota_exceeded":
      return "Your storage is used up. Delete images, also those in the trash, or ask the operator for more.";
    case "scope_missing":
      return lacking("upload");
    case "key_missing":
    case "key_unknown":
      return "An API key is needed.";
    default:
      return `${name}: ${error.message}`;
  }
}

/** Sentence for an image whose processing has failed. */
export function failure(filename, { code, detail }) {
  const name = short(filename);
  const pixels = /([\d,]{7,}) pixels.*?at most ([\d,]{7,})/.exec(detail);
  if (code === "too_many_pixels" && pixels) {
    const [found, most] = pixels.slice(1).map((text) => Number(text.replaceAll(",", "")) / 1e6);
    const text = (value) => (value < 100 && found - most < 1 ? value.toFixed(1) : count(Math.round(value)));
    if (text(found) !== text(most)) return `${name} has ${text(found)} megapixels; the limit is ${text(most)}. The original is kept.`;
  }
  if (code === "original_missing") return `${name}: ${detail}`;
  const why = code === "corrupt_image" ? ` is damaged. ${detail === "The image is damaged or incomplete." ? "" : detail}` : `: ${detail}`;
  return `${`${name}${why}`.trim()} The original is kept.`;
}
