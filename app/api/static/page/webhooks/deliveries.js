/** The deliveries: an event for an endpoint each, with its attempts. */

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { button, host, message, outcome, panelSection, refill, stateWord } from "./rows.js";

const PAGE = 20;
const STATUSES = ["", "pending", "delivered", "dead", "dropped"];

export class Deliveries {
  /** `actions`: report(error), toast(text), open(image). */
  constructor(actions) {
    this.actions = actions;
    this.status = "";
    this.urls = new Map();
    this.asked = 0;
    this.chips = STATUSES.map((status) =>
      h("button", { type: "button", class: "chip", "aria-pressed": String(status === ""), onclick: () => this.filter(status) }, status ? status[0].toUpperCase() + status.slice(1) : "All"),
    );
    this.endpoint = h("select", { class: "field", id: "deliveries-endpoint", "aria-label": "Endpoint", onchange: () => this.load() });
    this.list = h("ul", { class: "panel-list", "aria-label": "Deliveries" });
    this.more = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.load(this.cursor) }, "Show more");
    this.element = panelSection(
      "Deliveries",
      null,
      h("div", { class: "panel-filters" }, h("div", { class: "panel-chips", role: "group", "aria-label": "Status" }, this.chips), this.endpoint),
      this.list,
      this.more,
    );
    this.setEndpoints([]);
  }

  setEndpoints(items) {
    const chosen = this.endpoint.value;
    this.urls = new Map(items.map((each) => [each.id, each.url]));
    const options = items.map((each) => h("option", { value: each.id }, each.description ? `${host(each.url)} (${each.description})` : host(each.url)));
    fill(this.endpoint, h("option", { value: "" }, "All endpoints"), options);
    this.endpoint.value = this.urls.has(chosen) ? chosen : "";
  }

  filter(status) {
    this.status = status;
    this.chips.forEach((chip, at) => chip.setAttribute("aria-pressed", String(STATUSES[at] === status)));
    this.load();
  }

  /** Load the first page, or the one at a cursor. An answer that another request has overtaken is dropped. */
  async load(cursor = null) {
    const asked = ++this.asked;
    try {
      let page = { items: [], next_cursor: cursor };
      do {
        page = await get("deliveries", { query: { limit: PAGE, cursor: page.next_cursor, status: this.status, endpoint: this.endpoint.value } });
      } while (!page.items.length && page.next_cursor && asked === this.asked);
      if (asked !== this.asked) return;
      this.cursor = page.next_cursor;
      const rows = page.items.map((each) => this.row(each));
      if (cursor) {
        this.list.append(...rows);
        rows[0]?.querySelector("summary").focus();
      } else refill(this.list, rows.length ? rows : message(this.emptyWords()), this.chips[0]);
    } catch (error) {
      if (asked !== this.asked) return;
      this.cursor = null;
      refill(this.list, message(error.message, () => this.load()), this.chips[0]);
    }
    this.more.hidden = !this.cursor;
  }

  emptyWords() {
    if (this.status) return `No ${this.status} deliveries.`;
    return this.endpoint.value ? "No deliveries to this endpoint." : "No deliveries. They are kept for 30 days.";
  }

  row(delivery) {
    const last = delivery.attempts.at(-1);
    const facts = [
      ["Endpoint", this.urls.get(delivery.endpoint_id) || `${delivery.endpoint_id} (deleted)`],
      ["Event", delivery.event_id],
      ["Image", delivery.image_id && h("button", { type: "button", class: "link", "data-action": "image", onclick: () => this.actions.open({ id: delivery.image_id }) }, delivery.image_id)],
      ["Owner", delivery.owner],
      ["Next attempt", delivery.next_attempt_at && moment(delivery.next_attempt_at)],
    ].filter(([, value]) => value);
    const isOpen = [...this.list.children].some((each) => each.dataset.id === delivery.id && each.querySelector("details")?.open);
    return h(
      "li",
      { class: "panel-row", "data-id": delivery.id },
      h(
        "details",
        { open: isOpen },
        h(
          "summary",
          { "data-action": "open" },
          h("span", { class: "panel-name" }, delivery.type),
          stateWord(delivery.status),
          h("small", {}, [last && outcome(last), host(this.urls.get(delivery.endpoint_id) || "deleted endpoint"), moment(delivery.created_at)].filter(Boolean).join(" · ")),
        ),
        h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
        attempts(delivery.attempts),
        delivery.status === "pending" ? null : button("again", "Send again", `Send again ${delivery.type} of ${moment(delivery.created_at)}`, () => this.redeliver(delivery)),
      ),
    );
  }

  async redeliver(delivery) {
    try {
      const due = await post(`deliveries/${delivery.id}/redeliver`);
      this.actions.toast("The event is sent again.");
      const row = [...this.list.children].find((each) => each.dataset.id === delivery.id);
      const fresh = row && this.row(due);
      row?.replaceWith(fresh);
      fresh?.querySelector("summary").focus();
    } catch (error) {
      this.actions.report(error);
    }
  }
}

function attempts(list) {
  if (!list.length) return h("p", { class: "note" }, "Not tried yet.");
  const rows = list.map((each) => h("tr", {}, h("td", {}, moment(each.at)), h("td", {}, outcome(each))));
  return h("table", { class: "sizes" }, h("caption", {}, list.length < 10 ? "Attempts" : "Last 10 attempts"), h("tbody", {}, rows));
}
