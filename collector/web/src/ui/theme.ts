import { computed, effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "spanhouse.theme";

function remembered(): Theme {
  const text = localStorage.getItem(KEY);
  return text === "light" || text === "dark" ? text : "system";
}

/** What the person has chosen; as their machine has it, otherwise. */
export const theme = signal<Theme>(remembered());

const machine = window.matchMedia("(prefers-color-scheme: dark)");
const machineIsDark = signal(machine.matches);
machine.addEventListener("change", () => (machineIsDark.value = machine.matches));

/** The colours that are shown. What reads them is drawn anew when they change, which canvases need. */
export const shownColors = computed(() => (theme.value !== "system" ? theme.value : machineIsDark.value ? "dark" : "light"));

effect(() => {
  document.documentElement.dataset["theme"] = shownColors.value;
  if (theme.value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
});
