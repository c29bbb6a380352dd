// What is said in place of data: that something went wrong and what would be right, or that there is nothing yet.
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";

export function ErrorNote({ error, onRetry }: { error: ApiError; onRetry?: () => void }) {
  return (
    <div class="note error" role="alert">
      <strong>{error.title}.</strong> {error.detail}
      {error.faults.length > 0 && (
        <ul>
          {error.faults.map((fault) => (
            <li key={fault.field}>
              <code>{fault.field}</code>: {fault.detail}
            </li>
          ))}
        </ul>
      )}
      {onRetry && (
        <p>
          <button type="button" class="button" onClick={onRetry}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Says to those who cannot see it that something is being loaded. */
export function Loading({ what }: { what: string }) {
  return (
    <p class="soft" role="status">
      Loading {what} …
    </p>
  );
}

/** An answer that is not whole, and why. */
export function Incomplete({ reason }: { reason: string }) {
  return (
    <div class="note warn" role="status">
      This is not all there is: {reason}
    </div>
  );
}
