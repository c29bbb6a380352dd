// All services of a time range: how much is asked of them, what fails, how long it takes, and how that changes.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { together, useAnswer } from "../../api/useAnswer";
import { decoded, parameter, path, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { nowNs } from "../../time/moment";
import { rangeQuery } from "../../time/range";
import { useRange } from "../../time/useRange";
import { Change } from "../../ui/Figure";
import { showDuration, showRate, showShare } from "../../ui/format";
import { AnswerNote, Incomplete } from "../../ui/notes";
import { SortHead } from "../../ui/SortHead";
import { Spark } from "../../ui/Spark";
import { ratesOf, stepsOf, type Steps } from "../../ui/steps";
import { HealthBadge } from "./health";
import { NothingCounted } from "./NothingCounted";
import { rowsOf, SORTS, type Row, type SortName } from "./rows";
import { ServiceLink } from "./ServiceLink";
import { ServiceView } from "./ServiceView";
import "./services.css";
import { useAllSeries } from "./useAllSeries";

const AGAIN_MS = 30_000;

export default function ServicesView() {
  const name = decoded(path.value.slice("/services/".length));
  return name ? <ServiceView key={name} name={name} /> : <ServiceList />;
}

function ServiceList() {
  const range = useRange(AGAIN_MS);
  const dashboard = useAnswer<Schemas["Dashboard"]>(inWorkspace("dashboard"), { query: { ...rangeQuery(range), limit: 1 } });
  const red = useAllSeries(range);
  const text = parameter("name");
  const wanted = parameter("sort", "health") as SortName;
  const sort = SORTS.includes(wanted) ? wanted : "health";
  const steps = useMemo(() => (red.data ? stepsOf(range, BigInt(red.data.stepNanos), nowNs()) : { starts: [], over: 1 }), [red.data]);
  const rows = useMemo(() => rowsOf(dashboard.data?.services ?? [], red.data?.series ?? [], text, sort), [dashboard.data, red.data, text, sort]);
  const isThere = dashboard.data && red.data;
  const onSort = (name: SortName): void => setParameters({ sort: name === "health" ? null : name }, true);
  return (
    <div class="stack">
      <div class="row spread">
        <h1>Services</h1>
        <label class="row">
          Name
          <input type="search" value={text} placeholder="any" onInput={(event) => setParameters({ name: event.currentTarget.value }, true)} />
        </label>
      </div>
      <AnswerNote of={together(dashboard, red)} what="services" />
      {isThere && (dashboard.data?.complete === false || red.data?.nextCursor) && (
        <Incomplete reason="there are more services than can be shown. Look for one by its name, or choose a shorter time range." />
      )}
      {isThere && rows.length === 0 && (text ? <p class="empty">No service has “{text}” in its name.</p> : <NothingCounted range={range} />)}
      {isThere && rows.length > 0 && (
        <div class="scroll-x">
          <table class="data" aria-label="Services">
            <thead>
              <tr>
                <SortHead name="name" sort={sort} onSort={onSort} label="Service" number={false} />
                <SortHead name="health" sort={sort} onSort={onSort} label="Health" number={false} />
                <SortHead name="rate" sort={sort} onSort={onSort} label="Requests" />
                <SortHead name="errors" sort={sort} onSort={onSort} label="Failed" />
                <SortHead name="p95" sort={sort} onSort={onSort} label="95 % within" />
                <th scope="col">Spans over time</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => <ServiceRow key={row.name} row={row} steps={steps} />)}
            </tbody>
          </table>
        </div>
      )}
      {isThere && rows.length > 0 && (
        <p class="soft">
          Requests are spans with which work enters a service; of those that serve nobody, all spans are told. Percentages say how much changed since the range before. In the trend, red is what failed.
        </p>
      )}
    </div>
  );
}

function ServiceRow({ row: { name, service, series }, steps }: { row: Row; steps: Steps }) {
  const { current: now, previous: before } = service ?? { current: null, previous: null };
  // What serves nobody is told by all of its spans.
  const rate = now?.perSecond ?? series?.spansPerSecond;
  const errorRate = now?.errorRate ?? series?.errorRate;
  const p95 = now?.p95Nanos ?? series?.p95Nanos;
  return (
    <tr class={now ? "" : "soft"}>
      <th scope="row">
        <ServiceLink name={name} />
      </th>
      <td>{service ? <HealthBadge health={service.health} reasons={service.reasons} /> : "serves nobody"}</td>
      <td class="number">
        <Small now={now?.perSecond} before={before?.perSecond} more="neither" /> {rate === undefined ? "–" : showRate(rate)}
      </td>
      <td class={`number ${Number(errorRate) ? "error-text" : ""}`}>{errorRate === undefined ? "–" : showShare(errorRate)}</td>
      <td class="number">
        <Small now={now?.p95Nanos} before={before?.p95Nanos} more="worse" /> {p95 === undefined ? "–" : showDuration(Number(p95))}
      </td>
      <td>
        {series && <Spark values={ratesOf(series.points, steps, (point) => point.spansPerSecond)} failed={ratesOf(series.points, steps, (point) => Number(point.spansPerSecond) * Number(point.errorRate))} />}
      </td>
    </tr>
  );
}

function Small({ now, before, more }: { now: number | string | undefined; before: number | string | undefined; more: "worse" | "neither" }) {
  return <span class="figure-before change"><Change now={now} before={before} more={more} /></span>;
}
