// One field of a form, whatever it holds. What it says of itself, and what the daemon says is wrong with it, stand beside it.
import type { ComponentChildren, ComponentType } from "preact";
import { useId } from "preact/hooks";
import type { FieldFault } from "../api/client";
import { Container } from "./Containers";
import type { Shape } from "./shape";

export interface FieldProps {
  shape: Shape;
  label: string;
  /** Where the field is in the object, as faults name it: `condition.windows[0].rate`. */
  path: string;
  value: unknown;
  /** Undefined says nothing. */
  onChange: (value: unknown) => void;
  faults: readonly FieldFault[];
  /** Fields that are asked for in a way of their own, by their paths. */
  pickers?: Record<string, ComponentType<FieldProps>> | undefined;
}

export function Field(props: FieldProps) {
  const { shape, path, pickers } = props;
  const Picker = pickers?.[path];
  if (Picker) return <Picker {...props} />;
  switch (shape.kind) {
    case "flag":
      return <Flag {...props} />;
    case "choice":
      return <Choice {...props} choices={shape.choices} />;
    case "text":
    case "number":
    case "long":
    case "time":
    case "json":
      return <Typed {...props} />;
    default:
      return <Container {...props} />;
  }
}

/** The faults of a field itself. */
export function ownFaults(faults: readonly FieldFault[], path: string): string[] {
  return faults.filter((fault) => fault.field === path).map((fault) => fault.detail);
}

/** What is said of a field: below it, and read with it. */
export function Said({ id, text, faults }: { id: string; text: string; faults: readonly string[] }) {
  return (
    <div id={id}>
      {faults.map((fault) => <div key={fault} class="error-text">{fault}</div>)}
      {text && <div class="field-help">{inWords(text)}</div>}
    </div>
  );
}

/** A description, with what stands between backquotes as code. */
function inWords(text: string): ComponentChildren {
  return text.split("`").map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part));
}

function Flag({ shape, label, path, value, onChange, faults }: FieldProps) {
  const said = useId();
  return (
    <div class="field">
      <label class="row">
        <input type="checkbox" checked={Boolean(value ?? shape.otherwise)} aria-describedby={said} onChange={(event) => onChange(event.currentTarget.checked)} />
        {label}
      </label>
      <Said id={said} text={shape.description} faults={ownFaults(faults, path)} />
    </div>
  );
}

function Choice({ shape, label, path, value, onChange, faults, choices }: FieldProps & { choices: readonly string[] }) {
  const said = useId();
  const wrong = ownFaults(faults, path);
  const mayBeNothing = shape.otherwise === null || shape.otherwise === undefined;
  return (
    <div class="field">
      <label>
        <span>{label}</span>
        <select value={String(value ?? shape.otherwise ?? "")} aria-invalid={wrong.length > 0} aria-describedby={said}
          onChange={(event) => onChange(event.currentTarget.value || undefined)}>
          {mayBeNothing && <option value="">{shape.optional ? "any" : "choose …"}</option>}
          {choices.map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </label>
      <Said id={said} text={shape.description} faults={wrong} />
    </div>
  );
}

function Typed({ shape, label, path, value, onChange, faults }: FieldProps) {
  const said = useId();
  const wrong = ownFaults(faults, path);
  const hint = shape.otherwise === undefined || shape.otherwise === null || shape.otherwise === "" ? "" : String(shape.otherwise);
  const common = { "aria-invalid": wrong.length > 0, "aria-describedby": said, placeholder: hint, spellcheck: false };
  const take = (text: string): void => onChange(text === "" ? undefined : text);
  return (
    <div class="field">
      <label>
        <span>
          {label}
          {!shape.optional && shape.otherwise === undefined && <span class="error-text" aria-hidden="true"> *</span>}
        </span>
        {shape.kind === "long" ? (
          <textarea {...common} rows={path.endsWith("comment") ? 2 : 5} value={textOf(value)} onInput={(event) => take(event.currentTarget.value)} />
        ) : shape.kind === "json" ? (
          <textarea {...common} rows={3} class="mono" value={typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value, null, 2)}
            onInput={(event) => onChange(parsed(event.currentTarget.value))} />
        ) : shape.kind === "time" ? (
          <input {...common} type="datetime-local" step="1" value={localOf(value)}
            onInput={(event) => onChange(event.currentTarget.value ? new Date(event.currentTarget.value).toISOString() : undefined)} />
        ) : shape.kind === "number" ? (
          <input {...common} type="number" step={shape.whole ? 1 : "any"} min={shape.least} max={shape.most} value={textOf(value)}
            onInput={(event) => onChange(event.currentTarget.value === "" ? undefined : Number(event.currentTarget.value))} />
        ) : (
          <input {...common} type="text" value={textOf(value)} onInput={(event) => take(event.currentTarget.value)} />
        )}
      </label>
      <Said id={said} text={shape.kind === "time" ? `${shape.description} By the clock of this machine.` : shape.description} faults={wrong} />
    </div>
  );
}


function textOf(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

/** JSON while it is one; the text as it stands until then. */
function parsed(text: string): unknown {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A time as `datetime-local` has it. */
function localOf(value: unknown): string {
  const at = new Date(String(value));
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
