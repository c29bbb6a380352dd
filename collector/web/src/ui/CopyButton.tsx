import { tell } from "./toasts";

/** Puts a text on the clipboard. */
export function CopyButton({ text, what, label = "copy" }: { text: string; what: string; label?: string }) {
  return (
    <button type="button" class="button plain small" title={`Copy ${what}`} aria-label={`Copy ${what}`}
      onClick={() => navigator.clipboard.writeText(text).then(() => tell(`Copied ${what}`), () => tell(`${what} could not be copied`, true))}>
      {label}
    </button>
  );
}
