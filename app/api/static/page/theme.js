/** Theme: that of the system, unless the menu overrides it. The choice is remembered. */

const NAME = "darkroom.theme";
const THEMES = ["system", "light", "dark"];

export const theme = () => localStorage.getItem(NAME) || "system";

export function applyTheme(wanted = theme()) {
  if (wanted === "system") localStorage.removeItem(NAME);
  else localStorage.setItem(NAME, wanted);
  document.documentElement.dataset.theme = wanted;
}

export const nextTheme = () => THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
