// Making and changing an object. What the daemon finds wrong stands at the fields; what others have changed meanwhile is shown, not lost.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError, ask } from "../api/client";
import { inWorkspace } from "../app/workspace";
import { ErrorNote, Loading } from "../ui/notes";
import { tell } from "../ui/toasts";
import { ObjectFields } from "./Containers";
import { useShape, type Kind, type Stored } from "./kind";
import { beginning, settingsOf, type Shape } from "./shape";

interface Props<T extends Stored> {
  kind: Kind<T>;
  /** The one that is changed; a new one otherwise. */
  object: T | undefined;
  onSaved: (object: T) => void;
  onLeave: () => void;
  /** What else can be done with what is said, such as trying it out. */
  extra?: ((settings: Record<string, unknown>) => ComponentChildren) | undefined;
}

export function ObjectForm<T extends Stored>(props: Props<T>) {
  const { shape, error } = useShape(props.kind.schema);
  if (error) return <ErrorNote error={error} />;
  if (!shape) return <Loading what="the form" />;
  if (shape.kind !== "object") return null;
  return <Form {...props} shape={shape} />;
}

function Form<T extends Stored>({ kind, object, onSaved, onLeave, extra, shape }: Props<T> & { shape: Shape & { kind: "object" } }) {
  const [settings, setSettings] = useState(() => begun(kind, object, shape));
  const [version, setVersion] = useState(object?.version);
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const [round, setRound] = useState(0);
  const faults = error?.faults ?? [];
  const others = shape.fields.map(([name]) => name).filter((name) => !kind.first.includes(name));
  const isAmongOthers = faults.some((fault) => others.some((name) => fault.field.startsWith(name)));
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      const path = object ? `${kind.path}/${object.id}` : kind.path;
      const saved = await ask<T>(inWorkspace(path), { method: object ? "PUT" : "POST", body: settings, ...(version === undefined ? {} : { version }) });
      tell(`The ${kind.noun} is saved`);
      onSaved(saved);
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  const current = error?.status === 409 ? (error.current as T | null) : null;
  const fields = { shape, label: "", path: "", value: settings, faults, pickers: kind.pickers, onChange: (changed: unknown) => setSettings(changed as Record<string, unknown>) };
  return (
    <form class="stack object-form" noValidate aria-label={object ? `Change the ${kind.noun}` : `New ${kind.noun}`} onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <div key={round} class="stack">
        <ObjectFields {...fields} only={kind.first} />
        {others.length > 0 && (
          <details open={isAmongOthers}>
            <summary>More settings</summary>
            <div class="stack">
              <ObjectFields {...fields} only={others} />
            </div>
          </details>
        )}
      </div>
      {error && !current && (faults.length ? <div class="note error" role="alert"><strong>Not saved.</strong> {error.detail}</div> : <ErrorNote error={error} />)}
      {current && (
        <div class="note warn" role="alert">
          <p>
            <strong>{current.updatedBy} has changed this {kind.noun} meanwhile.</strong> It is now at version {current.version}.
          </p>
          <div class="row">
            <button type="button" class="button" onClick={() => { setSettings(settingsOf(shape, current as unknown as Record<string, unknown>)); setVersion(current.version); setError(undefined); setRound(round + 1); }}>
              Show what it says now
            </button>
            <button type="button" class="button" onClick={() => { setVersion(current.version); setError(undefined); }}>
              Keep mine, to save it over theirs
            </button>
          </div>
        </div>
      )}
      <div class="row">
        <button type="submit" class="button primary" disabled={busy}>Save</button>
        <button type="button" class="button" onClick={onLeave}>Cancel</button>
      </div>
      {extra?.(settings)}
    </form>
  );
}

function begun<T extends Stored>(kind: Kind<T>, object: T | undefined, shape: Shape): Record<string, unknown> {
  if (object) return settingsOf(shape, object as unknown as Record<string, unknown>);
  return { ...(beginning(shape) as Record<string, unknown>), ...kind.begin?.() };
}
