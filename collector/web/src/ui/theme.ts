import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "spanhouse.theme";

function remembered(): Theme {
  const text = localStorage.getItem(KEY);
  return text === "light" || text === "dark" ? text : "system";
}

/** What the person has chosen; as their machine has it, otherwise. */
export const theme = signal<Theme>(remembered());

effect(() => {
  if (theme.value === "system") {
    delete document.documentElement.dataset["theme"];
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset["theme"] = theme.value;
    localStorage.setItem(KEY, theme.value);
  }
});
