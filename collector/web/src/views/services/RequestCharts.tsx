import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { nowNs, type TimeRange } from "../../time/range";
import { Chart } from "../../ui/Chart";
import { showDuration, showRate, showShare } from "../../ui/format";
import { columnOf, stepStarts } from "../../ui/steps";

type Requests = Schemas["Requests"];

/** Requests over time, each chart with what it was in the range before. */
export function RequestCharts({ series, range }: { series: Schemas["DashboardSeries"]; range: TimeRange }) {
  const { starts, of } = useMemo(() => {
    const found = stepStarts(range, BigInt(series.stepNanos), nowNs());
    const column = (side: "current" | "previous", value: (requests: Requests) => number | string, absent: number | null) =>
      columnOf(series.points, found, (point) => point[side] && value(point[side]), absent);
    return { starts: found, of: column };
  }, [series]);
  const charts = useMemo(() => ({
    rate: [
      { label: "requests", values: of("current", (requests) => requests.perSecond, 0), color: "--accent", area: true },
      { label: "failed", values: of("current", (requests) => Number(requests.perSecond) * Number(requests.errorRate), 0), color: "--error", area: true },
      { label: "before", values: of("previous", (requests) => requests.perSecond, 0), color: "--text-soft", dashed: true },
    ],
    failed: [
      { label: "failed", values: of("current", (requests) => requests.errorRate, null), color: "--error", area: true },
      { label: "before", values: of("previous", (requests) => requests.errorRate, null), color: "--text-soft", dashed: true },
    ],
    durations: [
      { label: "half within", values: of("current", (requests) => requests.p50Nanos, null), color: "--good" },
      { label: "95 %", values: of("current", (requests) => requests.p95Nanos, null), color: "--accent" },
      { label: "99 %", values: of("current", (requests) => requests.p99Nanos, null), color: "--warn" },
      { label: "95 % before", values: of("previous", (requests) => requests.p95Nanos, null), color: "--text-soft", dashed: true },
    ],
  }), [of]);
  return (
    <div class="charts">
      <h2 class="visually-hidden">Over time</h2>
      <Chart title="Requests" starts={starts} series={charts.rate} format={showRate} />
      <Chart title="Share that failed" starts={starts} series={charts.failed} format={showShare} atLeast={0.01} />
      <Chart title="Durations" starts={starts} series={charts.durations} format={showDuration} />
    </div>
  );
}

/** All spans of the first series over time, for services that nothing is asked of. */
export function SpanCharts({ red, range }: { red: Schemas["Red"]; range: TimeRange }) {
  const { starts, rate, durations } = useMemo(() => {
    const points = red.series[0]?.points ?? [];
    const found = stepStarts(range, BigInt(red.stepNanos), nowNs());
    return {
      starts: found,
      rate: [
        { label: "spans", values: columnOf(points, found, (point) => point.spansPerSecond, 0), color: "--accent", area: true },
        { label: "failed", values: columnOf(points, found, (point) => Number(point.spansPerSecond) * Number(point.errorRate), 0), color: "--error", area: true },
      ],
      durations: [
        { label: "half within", values: columnOf(points, found, (point) => point.p50Nanos, null), color: "--good" },
        { label: "95 %", values: columnOf(points, found, (point) => point.p95Nanos, null), color: "--accent" },
        { label: "99 %", values: columnOf(points, found, (point) => point.p99Nanos, null), color: "--warn" },
      ],
    };
  }, [red]);
  return (
    <div class="charts">
      <h2 class="visually-hidden">Over time</h2>
      <Chart title="Spans" starts={starts} series={rate} format={showRate} />
      <Chart title="Durations" starts={starts} series={durations} format={showDuration} />
    </div>
  );
}
