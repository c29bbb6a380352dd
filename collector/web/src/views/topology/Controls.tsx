import { parameter, setParameters } from "../../app/location";

/** What a topology can be compared with, by the text in the URL. */
export const PERIODS: Record<string, string> = { before: "the time just before", day: "a day before", week: "a week before" };
const DEPTHS = ["1", "2", "3", "5", "10"];
const DIRECTIONS: Record<string, string> = { "": "callers and called", upstream: "callers", downstream: "called" };

/** Around which service one looks, how far, and what with it is compared. */
export function Controls({ services }: { services: readonly string[] }) {
  const service = parameter("service");
  return (
    <div class="row">
      <label class="row">
        Around
        <input list="topology-services" value={service} placeholder="all services" onChange={(event) => setParameters({ service: event.currentTarget.value })} />
        <datalist id="topology-services">{services.map((name) => <option key={name} value={name} />)}</datalist>
      </label>
      {service && (
        <>
          <label class="row">
            as far as
            <select value={parameter("depth", "1")} onChange={(event) => setParameters({ depth: event.currentTarget.value === "1" ? null : event.currentTarget.value })}>
              {DEPTHS.map((depth) => <option key={depth} value={depth}>{depth === "1" ? "1 call" : `${depth} calls`}</option>)}
            </select>
          </label>
          <label class="row">
            <span class="visually-hidden">Direction</span>
            <select value={parameter("direction")} onChange={(event) => setParameters({ direction: event.currentTarget.value })}>
              {Object.entries(DIRECTIONS).map(([direction, name]) => <option key={direction} value={direction}>{name}</option>)}
            </select>
          </label>
          <button type="button" class="button" onClick={() => setParameters({ service: null, depth: null, direction: null })}>All services</button>
        </>
      )}
      <label class="row">
        Compare with
        <select value={parameter("compare")} onChange={(event) => setParameters({ compare: event.currentTarget.value })}>
          <option value="">nothing</option>
          {Object.entries(PERIODS).map(([period, name]) => <option key={period} value={period}>{name}</option>)}
        </select>
      </label>
    </div>
  );
}
