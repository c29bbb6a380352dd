import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { nowNs } from "../../time/moment";
import { type TimeRange } from "../../time/range";
import { Chart } from "../../ui/Chart";
import { showDuration, showRate, showShare } from "../../ui/format";
import { columnOf, ratesOf, stepsOf } from "../../ui/steps";

type Requests = Schemas["Requests"];

/** Requests over time, each chart with what it was in the range before. */
export function RequestCharts({ series, range }: { series: Schemas["DashboardSeries"]; range: TimeRange }) {
  const { starts, charts } = useMemo(() => {
    const steps = stepsOf(range, BigInt(series.stepNanos), nowNs());
    type Value = (requests: Requests) => number | string;
    const rates = (value: Value) => ratesOf(series.points, steps, ({ current }) => current && value(current));
    const now = (value: Value) => columnOf(series.points, steps, ({ current }) => current && value(current), null);
    const before = (value: Value, absent: number | null) => columnOf(series.points, steps, ({ previous }) => previous && value(previous), absent);
    return {
      starts: steps.starts,
      charts: {
        rate: [
          { label: "requests", values: rates((requests) => requests.perSecond), color: "--accent", area: true },
          { label: "failed", values: rates((requests) => Number(requests.perSecond) * Number(requests.errorRate)), color: "--error", area: true },
          { label: "before", values: before((requests) => requests.perSecond, 0), color: "--text-soft", dashed: true },
        ],
        failed: [
          { label: "failed", values: now((requests) => requests.errorRate), color: "--error", area: true },
          { label: "before", values: before((requests) => requests.errorRate, null), color: "--text-soft", dashed: true },
        ],
        durations: [
          { label: "half within", values: now((requests) => requests.p50Nanos), color: "--good" },
          { label: "95 %", values: now((requests) => requests.p95Nanos), color: "--accent" },
          { label: "99 %", values: now((requests) => requests.p99Nanos), color: "--warn" },
          { label: "95 % before", values: before((requests) => requests.p95Nanos, null), color: "--text-soft", dashed: true },
        ],
      },
    };
  }, [series]);
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
    const found = stepsOf(range, BigInt(red.stepNanos), nowNs());
    return {
      starts: found.starts,
      rate: [
        { label: "spans", values: ratesOf(points, found, (point) => point.spansPerSecond), color: "--accent", area: true },
        { label: "failed", values: ratesOf(points, found, (point) => Number(point.spansPerSecond) * Number(point.errorRate)), color: "--error", area: true },
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
