"use strict";

// ReDoc's footer loads a logo from its maker's server. This page makes requests to its own server only: both ways in
// which React sets the source of an image replace urls of other servers by an empty image.
const EMPTY = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E";
const own = (address) => (/^https?:/.test(address) ? EMPTY : address);

const setAttribute = Element.prototype.setAttribute;
HTMLImageElement.prototype.setAttribute = function (name, value) {
  setAttribute.call(this, name, name === "src" ? own(value) : value);
};

const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
Object.defineProperty(HTMLImageElement.prototype, "src", {
  ...source,
  set(value) {
    source.set.call(this, own(value));
  },
});
