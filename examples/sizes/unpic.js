/** Unpic: its provider for directus speaks the parameters of Darkroom.
 *
 * `<Image {...darkroom("https://img.example.org", id)} width={640} height={480} alt="…" />`, with the `Image` of
 * `@unpic/react`, `@unpic/vue`, `@unpic/svelte` and others. The height must have the aspect ratio of the image, or one
 * of `DARKROOM_ON_DEMAND_RATIOS`.
 */
export function darkroom(base, id) {
  return { src: `${base}/i/${id}`, cdn: "directus" };
}
