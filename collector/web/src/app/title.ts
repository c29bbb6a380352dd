import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const shown = signal("");

/** What the view that is open shows, in the title of the tab, for as long as it does. */
export function useTitle(text: string): void {
  useEffect(() => {
    shown.value = text;
    return () => {
      shown.value = "";
    };
  }, [text]);
}

/** The title of the tab: of what is shown, or else of the view. */
export function useTabTitle(view: string): void {
  const name = shown.value || view;
  useEffect(() => {
    document.title = name ? `${name} · spanhouse` : "spanhouse";
  }, [name]);
}
