// Conditions as chips, and a form to add one.
import { useState } from "preact/hooks";
import { useAnswer } from "../../api/useAnswer";
import type { Schemas } from "../../api/client";
import { parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { SECOND } from "../../time/moment";
import { currentRange, rangeQuery } from "../../time/range";
import { activeFilters, FILTERS, type FilterName } from "./filters";

const STATUSES = ["unset", "ok", "error"];
const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const DURATIONS: readonly FilterName[] = ["minDuration", "maxDuration", "minTraceDuration", "maxTraceDuration"];

export function Filters() {
  const [adding, setAdding] = useState<FilterName>("service");
  const [value, setValue] = useState("");
  const active = activeFilters();
  const choices = useChoices(adding);
  const add = (): void => {
    if (value) setParameters({ [adding]: value });
    setValue("");
  };
  return (
    <div class="row filters">
      {active.map(({ name, label, value: said }) => (
        <span key={name} class="chip">
          {label}: <b>{said}</b>
          <button type="button" aria-label={`Remove the condition on ${label}`} onClick={() => setParameters({ [name]: null })}>×</button>
        </span>
      ))}
      <form class="row" onSubmit={(event) => { event.preventDefault(); add(); }}>
        <label>
          <span class="visually-hidden">Condition on</span>
          <select value={adding} onChange={(event) => { setAdding(event.currentTarget.value as FilterName); setValue(""); }}>
            {FILTERS.map(([name, label]) => <option key={name} value={name}>{label}</option>)}
          </select>
        </label>
        <label>
          <span class="visually-hidden">Value</span>
          <input list="filter-choices" value={value} placeholder={DURATIONS.includes(adding) ? "250ms" : ""} onInput={(event) => setValue(event.currentTarget.value)} />
        </label>
        <datalist id="filter-choices">{choices.map((choice) => <option key={choice} value={choice} />)}</datalist>
        <button type="submit" class="button" disabled={!value}>Add</button>
      </form>
      {parameter("status") !== "error" && (
        <button type="button" class="button" onClick={() => setParameters({ status: "error" })}>Only errors</button>
      )}
    </div>
  );
}

function useChoices(name: FilterName): readonly string[] {
  const { start, end } = currentRange();
  // To the minute, so that the question is not another one with each key.
  const query = rangeQuery({ start: start - (start % (60n * SECOND)), end: end - (end % (60n * SECOND)) + 60n * SECOND });
  const workspace = currentWorkspace();
  const service = parameter("service");
  const services = useAnswer<Schemas["Services"]>(name === "service" || name === "rootService" ? "/api/v1/services" : null, { query, workspace });
  const operations = useAnswer<Schemas["Operations"]>(
    name === "operation" && service ? `/api/v1/services/${encodeURIComponent(service)}/operations` : null, { query, workspace },
  );
  if (name === "status") return STATUSES;
  if (name === "kind") return KINDS;
  if (name === "operation") return operations.data?.operations.map((each) => each.name) ?? [];
  return services.data?.services.map((each) => each.name) ?? [];
}
