/** Provider of @nuxt/image. In nuxt.config:
 *
 * `image: { provider: "darkroom", providers: { darkroom: { provider: "~/nuxt-provider.js",
 *   options: { baseURL: "https://img.example.org" } } } }`, and then `<NuxtImg src="<id>" width="640" />`.
 */
const NAMES = { width: "w", height: "h", quality: "q", format: "fm", fit: "fit" };

export function getImage(src, { modifiers = {}, baseURL = "/" } = {}) {
  const known = Object.entries(modifiers).filter(([name, value]) => NAMES[name] && value);
  const query = new URLSearchParams(known.map(([name, value]) => [NAMES[name], value]));
  const path = `${baseURL.replace(/\/$/, "")}/i/${src.replace(/^\//, "")}`;
  return { url: known.length ? `${path}?${query}` : path };
}

/** @nuxt/image 2 takes a function that makes the provider. */
export default () => ({ getImage });
