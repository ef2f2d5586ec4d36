/** Access of this tab: its key, and what the key may do. */

import { get, key, session } from "./api.js";
import { askForKey } from "./windows.js";

/** A key is sent in a header: it has visible ASCII characters only. */
const KEY = /^[!-~]{1,512}$/;

/** Scopes of the caller. Event: `change`. */
export class Access extends EventTarget {
  constructor(limits) {
    super();
    this.isRequired = limits.authentication === "required";
    session.askForKey = () => this.ask();
    this.take(limits);
  }

  take(limits) {
    session.scopes = new Set(limits.scopes);
    this.dispatchEvent(new CustomEvent("change"));
  }

  may(scope) {
    return session.scopes.has(scope);
  }

  get needsKey() {
    return this.isRequired && !session.scopes.size;
  }

  /** Ask for a key until it is valid or the question is canceled. Returns true if there is a valid key now. */
  ask() {
    if (!this.isRequired) return Promise.resolve(false);
    this.asking ??= this.askUntilValid().finally(() => (this.asking = null));
    return this.asking;
  }

  async askUntilValid() {
    const before = key.get();
    let isWrong = before !== "" && !(await this.read());
    for (;;) {
      const given = await askForKey(isWrong);
      if (given === null) {
        key.set(this.needsKey ? "" : before);
        return false;
      }
      if (KEY.test(given)) {
        key.set(given);
        if (await this.read()) return true;
      }
      isWrong = true;
    }
  }

  /** Read the scopes of the key. Returns true if it is valid. */
  async read() {
    this.take(await get("limits"));
    return session.scopes.size > 0;
  }

  /** Forget the key, with all that it has shown. */
  forget() {
    key.set("");
    location.reload();
  }
}
