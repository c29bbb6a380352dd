import { effect, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";

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

/** Renders anew when the colours change, by choice or by the machine; the number is another one each time. For canvases. */
export function useColorsChange(): number {
  const [changes, setChanges] = useState(0);
  const chosen = theme.value;
  useEffect(() => {
    const changed = (): void => setChanges((before) => before + 1);
    const machine = window.matchMedia("(prefers-color-scheme: dark)");
    machine.addEventListener("change", changed);
    // The choice reaches the document in an effect, which runs before those of views.
    changed();
    return () => machine.removeEventListener("change", changed);
  }, [chosen]);
  return changes;
}
