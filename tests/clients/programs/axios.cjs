// axios: an object that it turns into a form, with lists as `tags[]`; then the list and the delete.
const axios = require("axios")
const {createReadStream} = require("node:fs")

async function main() {
  const [service, path] = process.argv.slice(2)
  const form = {title: "Crème", tags: ["sea", "evening"], file: createReadStream(path)}
  const sent = await axios.postForm(`${service}/upload`, form)
  const listed = await axios.get(`${service}/images`)
  const deleted = []
  for (const image of listed.data.items) {
    deleted.push((await axios.delete(`${service}/images/${image.id}`)).status)
  }
  const uploads = [{way: "form", status: sent.status, record: sent.data}]
  console.log(JSON.stringify({uploads, listed: listed.data.items.length, deleted}))
}

main()
