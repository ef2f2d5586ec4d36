/** Say so if the modules of the page do not arrive, which would leave it blank. Not a module itself. */

addEventListener(
  "error",
  ({ target }) => {
    if (target.tagName !== "SCRIPT") return;
    const words = document.createElement("p");
    words.className = "empty-title";
    words.textContent = "The page could not be loaded.";
    const again = document.createElement("button");
    again.className = "button";
    again.textContent = "Try again";
    again.onclick = () => location.reload();
    const empty = document.getElementById("empty");
    empty.hidden = false;
    empty.replaceChildren(words, again);
  },
  true, // errors of elements do not bubble
);
