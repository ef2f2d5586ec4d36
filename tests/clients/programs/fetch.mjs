// Node's own fetch: a form, a raw body and a ticket, then the list and the deletes.
import {openAsBlob} from "node:fs"
import {basename} from "node:path"

const [service, path] = process.argv.slice(2)
const file = await openAsBlob(path, {type: "image/png"})
const uploads = []

const form = new FormData()
form.append("title", "Crème")
form.append("tags", "sea")
form.append("tags", "evening")
form.append("file", file, basename(path))
const first = await fetch(`${service}/upload`, {method: "POST", body: form})
uploads.push({way: "form", status: first.status, record: await first.json()})

const name = encodeURIComponent(basename(path))
const raw = await fetch(`${service}/upload?on_duplicate=create&filename=${name}`, {method: "POST", body: file})
uploads.push({way: "raw", status: raw.status, record: await raw.json()})

const wanted = {filename: basename(path), content_type: file.type, bytes: file.size}
const asked = await fetch(`${service}/upload/direct`, {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify(wanted),
})
const ticket = await asked.json()
const put = await fetch(ticket.url, {method: ticket.method, headers: ticket.headers, body: file})
const record = await (await fetch(`${service}/images/${ticket.id}?wait=20`)).json()
uploads.push({way: "ticket", status: put.status, record})

const listed = await (await fetch(`${service}/images`)).json()
const deleted = []
for (const image of listed.items) {
  deleted.push((await fetch(`${service}/images/${image.id}`, {method: "DELETE"})).status)
}
console.log(JSON.stringify({uploads, listed: listed.items.length, deleted}))
