// axios: an object that it turns into a form, with lists as `tags[]`; then the list and the delete.
const axios = require("axios")
const {openAsBlob} = require("node:fs")
const {basename} = require("node:path")

async function main() {
  const [service, path] = process.argv.slice(2)
  const file = new File([await openAsBlob(path)], basename(path), {type: "image/png"})
  const sent = await axios.postForm(`${service}/upload`, {title: "Crème", tags: ["sea", "evening"], file})
  const listed = await axios.get(`${service}/images`)
  const deleted = []
  for (const image of listed.data.items) {
    deleted.push((await axios.delete(`${service}/images/${image.id}`)).status)
  }
  const uploads = [{way: "form", status: sent.status, record: sent.data}]
  console.log(JSON.stringify({uploads, listed: listed.data.items.length, deleted}))
}

main()
