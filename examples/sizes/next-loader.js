/** Loader of next/image. In next.config.js: `images: { loader: "custom", loaderFile: "./next-loader.js" }`.
 *
 * `<Image src="<id>" width={640} height={480} alt="…" />`; the format follows the browser.
 */
const BASE = process.env.NEXT_PUBLIC_DARKROOM_URL;

export default function darkroomLoader({ src, width, quality }) {
  return `${BASE}/i/${src}?w=${width}&q=${quality || 75}`;
}
