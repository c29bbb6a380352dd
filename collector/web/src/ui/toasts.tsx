import { signal } from "@preact/signals";
import { ApiError } from "../api/client";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const toasts = signal<Toast[]>([]);
let next = 1;

/** Tell of something that was done, or could not be. */
export function tell(text: string, bad = false): void {
  const id = next++;
  toasts.value = [...toasts.value, { id, text, bad }];
  if (!bad) setTimeout(() => dismiss(id), 6000);
}

/** Tell why something that a person wanted was not done. */
export function tellError(error: unknown): void {
  tell(error instanceof ApiError ? `${error.title}: ${error.detail}` : String(error), true);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`note ${toast.bad ? "error" : ""}`} role={toast.bad ? "alert" : "status"}>
          <div class="row spread">
            <span>{toast.text}</span>
            <button type="button" class="button plain" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
              ×
            </button>
          </div>
        </div>
      ))}
    </div>
  );
}
