// How everything does: numbers beside those of the range before, requests over time, and what stands out.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { together, useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { rangeQuery } from "../../time/range";
import { useRange } from "../../time/useRange";
import { Figure } from "../../ui/Figure";
import { showCount, showDuration, showRate, showShare } from "../../ui/format";
import { AnswerNote, Incomplete } from "../../ui/notes";
import { NothingCounted } from "../services/NothingCounted";
import { RequestCharts } from "../services/RequestCharts";
import { OperationsTable } from "./OperationsTable";
import { ServicesHealth } from "./ServicesHealth";
import "../services/services.css";

const AGAIN_MS = 30_000;
const LISTED = 8;
const THRESHOLDS = ["50ms", "100ms", "250ms", "500ms", "1s", "2s"] as const;

export default function DashboardView() {
  const range = useRange(AGAIN_MS);
  const threshold = parameter("apdex", "500ms");
  const query = useMemo(() => ({ ...rangeQuery(range), apdexThreshold: threshold }), [range, threshold]);
  const answer = useAnswer<Schemas["Dashboard"]>(inWorkspace("dashboard"), { query: { ...query, limit: LISTED } });
  const series = useAnswer<Schemas["DashboardSeries"]>(inWorkspace("dashboard/series"), { query });
  const { data } = answer;
  const now = data?.requests.current;
  const before = data?.requests.previous;
  return (
    <div class="stack">
      <div class="row spread">
        <h1>Dashboard</h1>
        <label class="row">
          Satisfied within
          <select value={threshold} onChange={(event) => setParameters({ apdex: event.currentTarget.value === "500ms" ? null : event.currentTarget.value })}>
            {[...new Set([...THRESHOLDS, threshold])].map((each) => <option key={each} value={each}>{each}</option>)}
          </select>
        </label>
      </div>
      <AnswerNote of={together(answer, series)} what="the dashboard" />
      {data && !now && !before && <NothingCounted range={range} />}
      {data && (now || before) && (
        <>
          {!data.complete && <Incomplete reason="there are more services or operations than could be looked at; choose a shorter time range." />}
          <div class="cards" role="group" aria-label="Requests of this time range, and of the one before">
            <Figure name="Requests" now={now?.perSecond} before={before?.perSecond} format={showRate} more="neither" />
            <Figure name="Failed" now={now?.errorRate} before={before?.errorRate} format={showShare} more="worse" />
            <Figure name="Half within" now={now?.p50Nanos} before={before?.p50Nanos} format={showDuration} more="worse" />
            <Figure name="95 % within" now={now?.p95Nanos} before={before?.p95Nanos} format={showDuration} more="worse" />
            <Figure name="Apdex" now={now?.apdex} before={before?.apdex} format={(value) => value.toFixed(2)} more="better" />
            <Figure name="All in all" now={now?.count} before={before?.count} format={showCount} more="neither" />
          </div>
          {series.data && <RequestCharts series={series.data} range={range} />}
          <ServicesHealth services={data.services} />
          <div class="pairs">
            <OperationsTable title="Most requests" operations={data.operations.mostRequests} shows="rate" />
            <OperationsTable title="Slowest" operations={data.operations.slowest} shows="p95" />
            <OperationsTable title="Most failures" operations={data.operations.mostErrors.filter(({ current }) => Number(current?.failed) > 0)} shows="failed" />
            <OperationsTable title="Most time" operations={data.operations.mostTime} shows="time" />
          </div>
          <p class="soft">
            Requests are spans with which work enters a service. <a href={linkTo("/services")}>All services</a> · <a href={linkTo("/topology")}>Topology</a>
          </p>
        </>
      )}
    </div>
  );
}
