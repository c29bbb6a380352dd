// One service: how it does, over time and by operation; how long its spans take; what fails; on whom it depends.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { together, useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { useTitle } from "../../app/title";
import { currentWorkspace, inWorkspace } from "../../app/workspace";
import { rangeQuery } from "../../time/range";
import { useRange } from "../../time/useRange";
import { serviceColor } from "../../ui/colors";
import { Figure } from "../../ui/Figure";
import { showCount, showDuration, showName, showRate, showShare } from "../../ui/format";
import { AnswerNote, Empty } from "../../ui/notes";
import { Apart } from "../analyze/Apart";
import { HeatMap, useHeatMap } from "../analyze/HeatMap";
import { Dependencies } from "./Dependencies";
import { Errors } from "./Errors";
import { HealthBadge } from "./health";
import { NothingCounted } from "./NothingCounted";
import { Operations } from "./Operations";
import { RequestCharts, SpanCharts } from "./RequestCharts";

const AGAIN_MS = 30_000;

export function ServiceView({ name }: { name: string }) {
  useTitle(name);
  const range = useRange(AGAIN_MS);
  const query = useMemo(() => ({ ...rangeQuery(range), service: name }), [range, name]);
  const conditions = { service: name };
  const mapped = useHeatMap(conditions, range);
  const series = useAnswer<Schemas["DashboardSeries"]>(inWorkspace("dashboard/series"), { query });
  const dashboard = useAnswer<Schemas["Dashboard"]>(inWorkspace("dashboard"), { query: { ...query, limit: 1 } });
  const red = useAnswer<Schemas["Red"]>("/api/v1/red", { query: { ...query, limit: 1 }, workspace: currentWorkspace() });
  const service = dashboard.data?.services[0];
  const requests = dashboard.data?.requests;
  const spans = red.data?.series[0];
  return (
    <div class="stack">
      <div class="row spread">
        <h1 class="row">
          <span class="dot" style={{ background: serviceColor(name) }} /> {showName(name)}
          {service && <HealthBadge health={service.health} reasons={service.reasons} />}
        </h1>
        <span class="row">
          <a class="button" href={linkTo("/search", { service: name })}>Traces</a>
          <a class="button" href={linkTo("/search", { service: name, status: "error" })}>Failed traces</a>
          <a class="button" href={linkTo("/analyze", { service: name, by: "operation" })}>Analyze</a>
          <a class="button" href={linkTo("/topology", { service: name })}>Topology</a>
          <a class="button" href={linkTo("/services")}>All services</a>
        </span>
      </div>
      {service && service.reasons.length > 0 && <p class={`note ${service.health === "idle" ? "" : "warn"}`}>{sentence(service.reasons)}</p>}
      <AnswerNote of={together(series, dashboard, red)} what="the service" />
      {requests && (requests.current || requests.previous) && (
        <div class="cards" role="group" aria-label="Requests of this time range, and of the one before">
          <Figure name="Requests" now={requests.current?.perSecond} before={requests.previous?.perSecond} format={showRate} more="neither" />
          <Figure name="Failed" now={requests.current?.errorRate} before={requests.previous?.errorRate} format={showShare} more="worse" />
          <Figure name="Half within" now={requests.current?.p50Nanos} before={requests.previous?.p50Nanos} format={showDuration} more="worse" />
          <Figure name="95 % within" now={requests.current?.p95Nanos} before={requests.previous?.p95Nanos} format={showDuration} more="worse" />
          <Figure name="99 % within" now={requests.current?.p99Nanos} before={requests.previous?.p99Nanos} format={showDuration} more="worse" />
          <Figure name="All in all" now={requests.current?.count} before={requests.previous?.count} format={showCount} more="neither" />
        </div>
      )}
      {series.data && series.data.points.some((point) => point.current) && <RequestCharts series={series.data} range={range} />}
      {requests && !requests.current && spans && red.data && (
        <>
          <p class="soft">Nothing was asked of this service in this time range; these are all of its spans.</p>
          <SpanCharts red={red.data} range={range} />
        </>
      )}
      {requests && !requests.current && red.data && !spans && mapped.map && (mapped.grid ? <NothingCounted range={range} /> : <NothingSent name={name} />)}
      {spans && <Operations service={name} range={range} />}
      <HeatMap {...mapped} />
      {mapped.grid && <Apart conditions={conditions} range={range} slow={mapped.slow} />}
      <div class="pairs">
        <Errors service={name} range={range} />
        <Dependencies service={name} range={range} />
      </div>
    </div>
  );
}

/** What is said of a service that is silent, or of a name that none has. */
function NothingSent({ name }: { name: string }) {
  return (
    <Empty title={`${showName(name)} has sent no spans in this time range`}>
      <p>Choose a longer one above, or look at <a href={linkTo("/services")}>all services</a>.</p>
    </Empty>
  );
}

function sentence(reasons: readonly string[]): string {
  const text = reasons.join("; ");
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
