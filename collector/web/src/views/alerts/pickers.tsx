// Choosing other objects by their names where the API wants their ids.
import { inWorkspace } from "../../app/workspace";
import { useAnswer } from "../../api/useAnswer";
import { ownFaults, Said, type FieldProps } from "../../objects/Field";
import { useId } from "preact/hooks";

interface Named {
  id: string;
  name: string;
}

/** Lists of one page are chosen from; there are few channels and rules. */
const MOST = 500;

function pickerOf(path: string, plural: string, none: string) {
  return function Picker({ shape, label, path: field, value, onChange, faults }: FieldProps) {
    const said = useId();
    const { data } = useAnswer<Record<string, readonly Named[]>>(inWorkspace(path), { query: { limit: MOST } });
    const chosen = (value ?? []) as readonly string[];
    const known = data?.[plural] ?? [];
    const gone = data ? chosen.filter((id) => !known.some((each) => each.id === id)).map((id) => ({ id, name: `${id} (gone)` })) : [];
    const wrong = faults.filter((fault) => fault.field.startsWith(`${field}[`)).map((fault) => fault.detail);
    return (
      <fieldset class="field-group" aria-describedby={said}>
        <legend>{label}</legend>
        <Said id={said} text={shape.description.replace(/^Ids of (.)/, (_, first: string) => first.toUpperCase())} faults={[...ownFaults(faults, field), ...wrong]} />
        {data && !known.length && <span class="soft">{none}</span>}
        <div class="row">
          {[...known, ...gone].map(({ id, name }) => (
            <label key={id} class="row">
              <input type="checkbox" checked={chosen.includes(id)} onChange={(event) => onChange(event.currentTarget.checked ? [...chosen, id] : chosen.filter((other) => other !== id))} />
              {name}
            </label>
          ))}
        </div>
      </fieldset>
    );
  };
}

export const ChannelPicker = pickerOf("channels", "channels", "There is no channel yet, so nobody is told.");
export const RulePicker = pickerOf("alert-rules", "alertRules", "There is no rule yet.");
