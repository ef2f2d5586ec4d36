/** The webhook endpoints: a row for each, with what can be done. */

import { get, patch, post, remove } from "../api.js";
import { h, icon } from "../dom.js";
import { moment } from "../format.js";
import { button, message, outcome, panelSection, refill, stateWord } from "./rows.js";
import { askForEndpoint, confirmDeletion, confirmRotation, showSecret } from "./windows.js";

const MOST = 100;
/** A test is looked at this often, at most as many times, until it has been tried once. */
const LOOK_MILLISECONDS = 500;
const LOOKS = 60;

export class Endpoints {
  /** `actions`: report(error), toast(text), loaded(endpoints), sent(). */
  constructor(actions) {
    this.actions = actions;
    this.list = h("ul", { class: "panel-list", "aria-label": "Endpoints" });
    this.add = h("button", { type: "button", class: "button primary", onclick: () => this.create() }, icon("plus"), "Create endpoint");
    this.element = panelSection("Endpoints", this.add, this.list);
  }

  /** Read the endpoints again. An answer that another request has overtaken is dropped. */
  async load() {
    this.asked = (this.asked || 0) + 1;
    const { asked } = this;
    try {
      const { items } = await get("webhooks", { query: { limit: MOST } });
      if (asked !== this.asked) return;
      this.actions.loaded(items);
      const rows = items.map((each) => this.row(each));
      const none = message("No endpoints. An endpoint is a URL of your server that gets a signed request when an image changes.");
      refill(this.list, rows.length ? rows : none, this.add);
    } catch (error) {
      if (asked !== this.asked) return;
      refill(this.list, message(error.message, () => this.load()), this.add);
    }
  }

  row(endpoint) {
    const { url, status } = endpoint;
    const facts = [
      endpoint.description,
      endpoint.events.includes("*") ? "All events" : endpoint.events.join(", "),
      endpoint.owner === null ? null : `Owner ${endpoint.owner}`,
      endpoint.previous_secret_until ? `The previous secret is valid until ${moment(endpoint.previous_secret_until)}` : null,
    ].filter(Boolean);
    return h(
      "li",
      { class: "panel-row", "data-id": endpoint.id },
      h("div", { class: "panel-line" }, h("strong", { class: "panel-name", dir: "auto" }, url), stateWord(status)),
      h("p", { class: "note", dir: "auto" }, facts.join(" · ")),
      endpoint.failing_since ? h("p", { class: "note panel-failing" }, `Failing since ${moment(endpoint.failing_since)}`) : null,
      status === "paused" ? h("p", { class: "note" }, "It has failed for an hour, and is tried at most every 15 minutes.") : null,
      h(
        "div",
        { class: "buttons" },
        endpoint.enabled ? button("test", "Test", `Test ${url}`, () => this.test(endpoint)) : null,
        button("rotate", "Rotate secret", `Rotate secret of ${url}`, () => this.rotate(endpoint)),
        status === "paused" ? button("resume", "Resume", `Resume ${url}`, () => this.switch(endpoint, true)) : null,
        status === "disabled"
          ? button("switch", "Enable", `Enable ${url}`, () => this.switch(endpoint, true))
          : button("switch", "Disable", `Disable ${url}`, () => this.switch(endpoint, false)),
        button("delete", "Delete", `Delete ${url}`, () => this.delete(endpoint), "danger"),
      ),
    );
  }

  async create() {
    let values = { url: "", description: "", owner: "", events: null };
    let problem = null;
    for (;;) {
      values = await askForEndpoint(values, problem);
      if (values === null) return;
      try {
        const made = await post("webhooks", { ...values, description: values.description || null, owner: values.owner || null, events: values.events || ["*"] });
        await this.load();
        await showSecret(made);
        return;
      } catch (error) {
        problem = error; // the fields are shown again, with the reason
      }
    }
  }

  async test(endpoint) {
    await this.try(async () => {
      const { id } = await post(`webhooks/${endpoint.id}/test`);
      this.actions.toast("Test sent.", { short: true });
      this.actions.sent();
      for (let look = 0; look < LOOKS; look += 1) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
        const { attempts, status } = await get(`deliveries/${id}`);
        if (!attempts.length && status === "pending") continue;
        const last = attempts.at(-1);
        this.actions.toast(status === "delivered" ? `Test delivered: ${outcome(last)}.` : `Test failed: ${last ? outcome(last) : status}.`);
        break;
      }
      this.actions.sent();
      await this.load();
    });
  }

  async rotate(endpoint) {
    if (!(await confirmRotation(endpoint))) return;
    await this.try(async () => {
      const made = await post(`webhooks/${endpoint.id}/rotate`);
      await this.load();
      await showSecret(made);
    });
  }

  async switch(endpoint, enabled) {
    await this.try(async () => {
      await patch(`webhooks/${endpoint.id}`, { enabled });
      await this.load();
      this.actions.toast(enabled ? "Endpoint enabled." : "Endpoint disabled. Its pending deliveries are dropped.");
    });
  }

  async delete(endpoint) {
    if (!(await confirmDeletion(endpoint))) return;
    await this.try(async () => {
      await remove(`webhooks/${endpoint.id}`);
      await this.load();
      this.add.focus();
      this.actions.toast("Endpoint deleted.");
      this.actions.sent();
    });
  }

  async try(action) {
    try {
      await action();
    } catch (error) {
      this.actions.report(error);
    }
  }
}
