"use strict";

// ReDoc's footer wants its maker's logo from the maker's server. This page asks nobody but its own: React sets a
// picture's address both ways, and both give an empty picture for another server's.
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
