/** Webhooks: endpoints and deliveries in a dialog, for callers with the scope `admin`. */

import { h, iconButton } from "../dom.js";
import { Deliveries } from "./deliveries.js";
import { Endpoints } from "./endpoints.js";

const PARAMETER = "webhooks";

const style = h("link", { rel: "stylesheet", href: "static/page/webhooks/webhooks.css" });
const styled = new Promise((resolve) => (style.onload = style.onerror = resolve));
document.head.append(style);

/** The dialog. Its address is `?webhooks=`. */
export class Webhooks {
  /** `actions`: report(error), toast(text), open(image). */
  constructor(dialog, actions) {
    this.dialog = dialog;
    const inDialog = {
      ...actions,
      open: (image) => {
        dialog.close();
        actions.open(image);
      },
    };
    this.deliveries = new Deliveries(inDialog);
    this.endpoints = new Endpoints({
      ...inDialog,
      loaded: (items) => this.deliveries.setEndpoints(items),
      sent: () => this.deliveries.load(),
    });
    const title = h("h2", { id: "webhooks-title", class: "viewer-title", tabIndex: -1, autofocus: true }, "Webhooks");
    const refresh = iconButton("retry", "Refresh", () => this.load());
    const close = iconButton("close", "Close", () => dialog.close());
    dialog.append(
      h("header", { class: "panel-head" }, title, refresh, close),
      h("div", { class: "panel-body" }, this.endpoints.element, this.deliveries.element),
      h("div", { class: "toasts" }),
      h("div", { class: "hidden live", role: "status" }),
    );
    dialog.setAttribute("aria-labelledby", "webhooks-title");
    dialog.addEventListener("close", () => this.onClose());
  }

  async open() {
    await styled;
    if (this.dialog.open) return;
    const address = new URL(location.href);
    if (!address.searchParams.has(PARAMETER)) {
      address.searchParams.set(PARAMETER, "");
      history.pushState(null, "", address);
    }
    this.dialog.showModal();
    this.load();
  }

  async load() {
    await this.endpoints.load(); // deliveries show their urls
    await this.deliveries.load();
  }

  onClose() {
    const address = new URL(location.href);
    if (!address.searchParams.has(PARAMETER)) return; // closed by the history
    address.searchParams.delete(PARAMETER);
    history.replaceState(null, "", address);
  }
}
