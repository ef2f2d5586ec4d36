/** Print the urls that front ends and the adapters of examples/sizes build for an image, by front end. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [examples, base, id] = process.argv.slice(2);
process.env.NEXT_PUBLIC_DARKROOM_URL = base;
const require = createRequire(`${process.env.NODE_PATH}/`);
const adapter = (name) => import(new URL(`sizes/${name}`, pathToFileURL(`${examples}/`)));
const named = (srcset) => srcset.split(",").map((entry) => entry.trim().split(" "));

const { getImageProps } = require("next/image");
const loader = (await adapter("next-loader.js")).default;
const next = getImageProps({ src: id, width: 640, height: 480, alt: "", sizes: "100vw", loader }).props;

const { transformProps } = require("@unpic/core");
const { darkroom } = await adapter("unpic.js");
const unpic = transformProps({ ...darkroom(base, id), width: 640, height: 480, layout: "constrained" });

const nuxt = (await adapter("nuxt-provider.js")).default();
const nuxtUrl = (modifiers) => nuxt.getImage(id, { modifiers, baseURL: base }).url;

const astro = (await adapter("astro-service.js")).default;
const options = { src: `${base}/i/${id}`, width: 640, height: 640, format: "webp", fit: "cover" };

const { imageAttributes, sizeUrl } = await adapter("darkroom.js");
const plain = imageAttributes(`${base}/`, id, { widths: [384, 640], ratio: 1 });

console.log(
  JSON.stringify({
    next: [...named(next.srcSet), [next.src, null]],
    unpic: [...named(unpic.srcset), [unpic.src, null]],
    nuxt: [
      [nuxtUrl({ width: 640 }), "640w"],
      [nuxtUrl({ width: 640, height: 640, format: "webp", quality: 50, fit: "cover" }), "640w"],
      [nuxtUrl({}), null],
    ],
    astro: [[astro.getURL(options), "640w"], ...astro.getSrcSet(options).map(({ url, descriptor }) => [url, descriptor])],
    plain: [[plain.src, null], ...named(plain.srcset), [sizeUrl(base, id), null]],
  }),
);
