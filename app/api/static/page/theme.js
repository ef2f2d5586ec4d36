/** Theme: that of the system, unless the menu overrides it. The choice is remembered where the browser keeps anything. */

const NAME = "darkroom.theme";
const THEMES = ["system", "light", "dark"];

let chosen = null;

export function theme() {
  try {
    return chosen || localStorage.getItem(NAME) || "system";
  } catch {
    return "system"; // storage is turned off
  }
}

export function applyTheme(wanted = theme()) {
  chosen = wanted;
  try {
    if (wanted === "system") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, wanted);
  } catch {
    // storage is turned off
  }
  document.documentElement.dataset.theme = wanted;
}

export const nextTheme = () => THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
