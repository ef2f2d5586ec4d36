/** Numbers, sizes and times as text. */

const INTEGER = new Intl.NumberFormat("en");

/** `1234` → `1,234`. */
export const count = (number) => INTEGER.format(number);

/** `1 image`, `3 images`. */
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** Bytes in decimal units: `812 B`, `1.4 MB`. */
export function bytes(size) {
  if (size < 1000) return `${size} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = size / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Seconds as `18 s` or `3 min`. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "long", year: "numeric" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Day of a time of the API, in the time zone of the viewer: for headings. */
export const day = (time) => DAY.format(new Date(time));
/** Key that is equal for two times on one day of the viewer. */
export const dayKey = (time) => new Date(time).toDateString();
export const clock = (time) => TIME.format(new Date(time));
export const moment = (time) => MOMENT.format(new Date(time));

/** Share by which a size is below another: `-94 %`. */
export function saved(size, original) {
  const share = Math.floor((1 - size / original) * 100); // 100 % would say that nothing is left
  return share > 0 ? `−${share} %` : "";
}

/** Whole days until a time, at least 0. */
export const daysUntil = (time) => Math.max(0, Math.ceil((new Date(time) - Date.now()) / 86400000));
