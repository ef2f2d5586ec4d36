// What a generated client does with the service: `node client.js <url> <file> [<key>]` prints what came of it as JSON.
import { readFileSync } from "node:fs";
import { File } from "node:buffer";

import { deleteImage, editImage, editImages, getImage, getLimits, listImages, upload, uploadForm, uploadJson, uploadRaw } from "./generated";
import { client } from "./generated/client.gen";

async function main(url: string, path: string, key?: string) {
  client.setConfig({ baseUrl: url, auth: key, throwOnError: true });
  const bytes = readFileSync(path);
  const file = new File([bytes], "é.png", { type: "image/png" }) as unknown as Blob;
  const words = { title: "Ä title", tags: ["a", "b,c"] };
  const facts = { metadata: { album: "7" }, visibility: "private" } as const;
  const text = "0.25,0.5";
  const point = { focal_point: { x: 0.25, y: 0.5 } };
  const image_base64 = bytes.toString("base64");
  const query = { on_duplicate: "create" } as const;

  const records = {
    form: (await uploadForm({ body: { file, ...words, ...facts, focal_point: text }, query: { ...query, wait: 20 } })).data,
    json: (await uploadJson({ body: { image_base64, filename: "é.png", ...words, ...facts, ...point }, query })).data,
    raw: (await uploadRaw({
      body: file,
      query: { ...query, ...words, filename: "é.png", metadata: '{"album": "7"}', focal_point: text },
    })).data,
    any: (await upload({ body: { image_base64, filename: "é.png", ...words, ...facts, ...point }, query })).data,
  };
  let finished = (await getImage({ path: { image_id: records.form!.id } })).data!;
  while (finished.status === "pending") {
    finished = (await getImage({ path: { image_id: finished.id }, query: { wait: 5 } })).data!;
  }
  const limits = (await getLimits()).data;
  const listed = (await listImages({ query: { limit: 2 } })).data?.items.length;
  const urls = finished.variants.map((variant) => variant.url);
  const path_of_form = { image_id: records.form!.id };
  const current = await getImage({ path: path_of_form });
  const edited = (await editImage({
    path: path_of_form,
    body: { title: null, metadata: { album: null, set: "x" }, focal_point: { y: 1 } },
    headers: { "if-match": [current.response.headers.get("etag")!] },
  })).data;
  const many = (await editImages({ body: { ids: [records.form!.id, "no-id"], add_tags: ["d"] } })).data;
  const deleted = (await deleteImage({ path: { image_id: records.form!.id } })).response.status;
  const gone = await getImage({ path: { image_id: records.form!.id }, throwOnError: false });
  const code = gone.error && "code" in gone.error ? gone.error.code : undefined;
  console.log(JSON.stringify({ records, status: finished.status, limits, listed, urls, edited, many, deleted, code }));
}

main(process.argv[2]!, process.argv[3]!, process.argv[4]);
