/** Print the urls that the signer of docs/sizes.md builds. Arguments: the signer's module, key, id, sizes as JSON. */
import { pathToFileURL } from "node:url";

const [module, key, id, sizes] = process.argv.slice(2);
const { sizeUrl } = await import(pathToFileURL(module));
console.log(JSON.stringify(JSON.parse(sizes).map((size) => sizeUrl("https://img.example.org", key, id, size))));
