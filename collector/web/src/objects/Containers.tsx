// Fields that hold others: objects, lists, names with values, and things of several kinds.
import { useId, useState } from "preact/hooks";
import { Field, ownFaults, Said, type FieldProps } from "./Field";
import { beginning, nameInWords, variantOf, type Shape } from "./shape";

type Members = Record<string, unknown>;

export function Container(props: FieldProps) {
  const { shape, label, path, faults, value, onChange } = props;
  const said = useId();
  const isLeftOut = shape.optional && shape.otherwise === null && value === undefined && (shape.kind === "object" || shape.kind === "either");
  return (
    <fieldset class="field-group" aria-describedby={said}>
      <legend>{label}</legend>
      <Said id={said} text={shape.description} faults={ownFaults(faults, path)} />
      {isLeftOut ? (
        <button type="button" class="button" aria-label={`Set ${label}`} onClick={() => onChange(shape.kind === "object" ? beginning({ ...shape, optional: false, otherwise: undefined }) : {})}>Set</button>
      ) : (
        <Inner {...props} />
      )}
      {!isLeftOut && shape.optional && shape.otherwise === null && (
        <button type="button" class="button plain" aria-label={`Leave out ${label}`} onClick={() => onChange(undefined)}>Leave out</button>
      )}
    </fieldset>
  );
}

function Inner(props: FieldProps) {
  const { shape, value } = props;
  switch (shape.kind) {
    case "object":
      return <ObjectFields {...props} shape={shape} />;
    case "union":
      return <Union {...props} shape={shape} />;
    case "either":
      return <Either {...props} variants={shape.variants} />;
    case "choices":
      return <Choices {...props} choices={shape.choices} chosen={(value ?? shape.otherwise ?? []) as readonly string[]} />;
    case "list":
      return <List {...props} item={shape.item} />;
    case "map":
      return <Pairs {...props} />;
    default:
      return null;
  }
}

/** The fields of an object, one below the other: those of `only`, in its order, or all. */
export function ObjectFields({ shape, path, value, onChange, faults, pickers, only }: FieldProps & { shape: Shape & { kind: "object" }; only?: readonly string[] }) {
  const members = (value as Members | undefined) ?? {};
  const fields = only ? only.flatMap((wanted) => shape.fields.filter(([name]) => name === wanted)) : shape.fields;
  return (
    <>
      {fields.map(([name, inner]) => (
        <Field key={name} shape={inner} label={nameInWords(name)} path={path ? `${path}.${name}` : name} value={members[name] ?? undefined} faults={faults} pickers={pickers}
          onChange={(changed) => onChange(withMember(members, name, changed))} />
      ))}
    </>
  );
}

function withMember(members: Members, name: string, value: unknown): Members {
  const { [name]: _, ...others } = members;
  return value === undefined ? others : { ...others, [name]: value };
}

function Union(props: FieldProps & { shape: Shape & { kind: "union" } }) {
  const { shape, label, value, onChange } = props;
  const [name, inner, said] = variantOf(shape, value);
  return (
    <>
      <div class="row" role="radiogroup" aria-label={label}>
        {shape.variants.map(([each]) => (
          <label key={each} class="row variant">
            <input type="radio" name={`${props.path}-${shape.tag}`} checked={each === name} onChange={() => onChange(variantOf(shape, { ...carried(said), [shape.tag]: each })[2])} />
            {nameInWords(each)}
          </label>
        ))}
      </div>
      {inner.description && <div class="field-help">{inner.description}</div>}
      {inner.kind === "object" && <ObjectFields {...props} shape={inner} value={said} onChange={(changed) => onChange({ ...(changed as Members), [shape.tag]: name })} />}
    </>
  );
}

/** What is meant by the same name whatever the kind: an address stays when the kind changes. */
function carried({ url, headers }: Members): Members {
  return { ...(url === undefined ? {} : { url }), ...(headers === undefined ? {} : { headers }) };
}

function Either(props: FieldProps & { variants: readonly Shape[] }) {
  const { variants, value, onChange, label } = props;
  const at = typeof value === "object" ? variants.findIndex((each) => each.kind === "object") : 0;
  const inner = variants[Math.max(at, 0)] as Shape;
  return (
    <>
      <div class="row" role="radiogroup" aria-label={label}>
        {variants.map((each, which) => (
          <label key={which} class="row variant">
            <input type="radio" name={`${props.path}-either`} checked={which === at} onChange={() => onChange(each.kind === "object" ? {} : undefined)} />
            {each.kind === "object" ? "A secret" : "As it is"}
          </label>
        ))}
      </div>
      {inner.kind === "object" ? <ObjectFields {...props} shape={inner} /> : <Field {...props} shape={inner} />}
    </>
  );
}

function Choices({ choices, chosen, onChange }: FieldProps & { choices: readonly string[]; chosen: readonly string[] }) {
  return (
    <div class="row">
      {choices.map((each) => (
        <label key={each} class="row">
          <input type="checkbox" checked={chosen.includes(each)}
            onChange={(event) => onChange(event.currentTarget.checked ? [...chosen, each] : chosen.filter((other) => other !== each))} />
          {each}
        </label>
      ))}
    </div>
  );
}

function List({ item, label, path, value, onChange, faults, shape }: FieldProps & { item: Shape }) {
  const items = (value ?? shape.otherwise ?? []) as readonly unknown[];
  const change = (at: number, changed: unknown): void => onChange(items.map((each, other) => (other === at ? changed ?? "" : each)));
  return (
    <>
      {items.map((each, at) => (
        <div key={at} class="row field-item">
          <div class="stack">
            <Field shape={{ ...item, optional: true, description: "" } as Shape} label={`${label} ${at + 1}`} path={`${path}[${at}]`} value={each} faults={faults} onChange={(changed) => change(at, changed)} />
          </div>
          <button type="button" class="button plain" aria-label={`Remove ${label} ${at + 1}`} onClick={() => onChange(items.filter((_, other) => other !== at))}>×</button>
        </div>
      ))}
      <button type="button" class="button" aria-label={`Add to ${label}`} onClick={() => onChange([...items, item.kind === "object" ? {} : ""])}>Add</button>
    </>
  );
}

/** Names and values; kept as rows, so that a name may be typed. */
function Pairs({ label, path, value, onChange, faults }: FieldProps) {
  const [rows, setRows] = useState<readonly (readonly [string, string])[]>(() => Object.entries((value as Record<string, string> | undefined) ?? {}));
  const put = (next: readonly (readonly [string, string])[]): void => {
    setRows(next);
    const named = next.filter(([name]) => name);
    onChange(named.length ? Object.fromEntries(named) : undefined);
  };
  return (
    <>
      {rows.map(([name, text], at) => (
        <div key={at} class="row">
          <input aria-label={`${label}: name ${at + 1}`} placeholder="name" value={name} onInput={(event) => put(rows.map((row, other) => (other === at ? [event.currentTarget.value, row[1]] : row)))} />
          <input aria-label={`${label}: value of ${name || at + 1}`} placeholder="value" value={text} aria-invalid={ownFaults(faults, `${path}.${name}`).length > 0}
            onInput={(event) => put(rows.map((row, other) => (other === at ? [row[0], event.currentTarget.value] : row)))} />
          <button type="button" class="button plain" aria-label={`Remove ${name || `row ${at + 1}`} of ${label}`} onClick={() => put(rows.filter((_, other) => other !== at))}>×</button>
          {ownFaults(faults, `${path}.${name}`).map((fault) => <span key={fault} class="error-text">{fault}</span>)}
        </div>
      ))}
      <button type="button" class="button" aria-label={`Add to ${label}`} onClick={() => setRows([...rows, ["", ""]])}>Add</button>
    </>
  );
}
