// What is said in place of data: that something went wrong and what would be right, or that there is nothing yet.
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import type { Standing } from "../api/useAnswer";
import { showSecond } from "../time/range";

/** Why something could not be had. `shown` is when that came which is shown in its place, if anything is. */
export function ErrorNote({ error, onRetry, shown }: { error: ApiError; onRetry?: () => void; shown?: bigint | undefined }) {
  return (
    <div class={shown === undefined ? "note error" : "note warn outdated"} role="alert">
      {shown !== undefined && <><strong>Not up to date:</strong> what is shown is of {showSecond(shown)}. </>}
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

/** What is to be known of an answer besides what it says: that it is on its way, has failed to come, or is an old one and why. */
export function AnswerNote({ of: { data, at, error, again }, what }: { of: Standing; what: string }) {
  if (error) return <ErrorNote error={error} onRetry={again} shown={data === undefined ? undefined : at} />;
  return data === undefined ? <Loading what={what} /> : null;
}

/** An answer that is not whole, and why. */
export function Incomplete({ reason }: { reason: string }) {
  return (
    <div class="note warn" role="status">
      This is not all there is: {reason}
    </div>
  );
}
