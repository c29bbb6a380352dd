// How many spans there are over time, in groups.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { nowNs } from "../../time/moment";
import { rangeQuery, type TimeRange } from "../../time/range";
import { Chart } from "../../ui/Chart";
import { colorsTogether } from "../../ui/colors";
import { showCount, showRate, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { columnOf, ratesOf, stepsOf } from "../../ui/steps";
import type { AnalysisProps } from "./AnalyzeView";
import { GroupBy, groupedBy, GroupName, headOf, wordsOf } from "./GroupBy";
import { searchOf } from "./searches";

type Found = Schemas["SpanThroughput"];
type Series = Found["series"][number];
type Point = Series["points"][number];

/** As many lines as can be told from one another. */
const DRAWN = 8;
const MEASURES = {
  all: { words: "Spans", of: (point: Point) => point.perSecond, show: showRate, isRate: true },
  failed: { words: "Failed spans", of: ({ perSecond, errors, count }: Point) => (Number(perSecond) * Number(errors)) / Number(count), show: showRate, isRate: true },
  share: { words: "Share that failed", of: ({ errors, count }: Point) => Number(errors) / Number(count), show: showShare, isRate: false },
} as const;
type Measure = keyof typeof MEASURES;

export function OverTime({ conditions, range }: AnalysisProps) {
  const by = groupedBy(conditions);
  const wanted = parameter("of", "all");
  const measure: Measure = wanted in MEASURES ? (wanted as Measure) : "all";
  const answer = useAnswer<Found>("/api/v1/analysis/throughput", { query: { ...conditions, ...rangeQuery(range), by }, workspace: currentWorkspace() });
  const { data, loading } = answer;
  return (
    <>
      <div class="row spread">
        <GroupBy by={by} range={range} />
        <div class="row" role="group" aria-label="What is counted">
          {Object.entries(MEASURES).map(([name, { words }]) => (
            <button key={name} type="button" class="button" aria-pressed={name === measure} onClick={() => setParameters({ of: name === "all" ? null : name }, true)}>{words}</button>
          ))}
        </div>
      </div>
      <AnswerNote of={answer} what="spans over time" />
      {data && (data.series.length
        ? <Groups found={data} range={range} measure={measure} loading={loading} />
        : <p class="soft">No such span is stored in this time range.</p>)}
    </>
  );
}

function Groups({ found, range, measure, loading }: { found: Found; range: TimeRange; measure: Measure; loading: boolean }) {
  const drawn = found.series.slice(0, DRAWN);
  const names = drawn.map(({ key }) => wordsOf(found.by, key));
  const colors = useMemo(() => colorsTogether(names), [found]);
  const colorNames = names.map((name) => `--service-${colors.get(name) ?? 0}`);
  return (
    <div class={loading ? "stack loading" : "stack"}>
      <h2 class="visually-hidden">Over time</h2>
      <Lines found={found} drawn={drawn} colors={colorNames} range={range} measure={measure} />
      <Table found={found} colors={colorNames} />
      {!found.complete && <p class="soft">The {found.series.length} groups with the most spans, of {showCount(found.groupCount)}.</p>}
    </div>
  );
}

function Lines({ found, drawn, colors, range, measure }: { found: Found; drawn: readonly Series[]; colors: readonly string[]; range: TimeRange; measure: Measure }) {
  const { words, show } = MEASURES[measure];
  const { starts, lines } = useMemo(() => {
    const steps = stepsOf(range, BigInt(found.stepNanos), nowNs());
    const { of, isRate } = MEASURES[measure];
    // Points of the first step begin with the time range, and steps of the chart with the step.
    const step = BigInt(found.stepNanos);
    return {
      starts: steps.starts,
      lines: drawn.map(({ key, ...series }, at) => {
        const points = series.points.map((point) => ({ ...point, startUnixNano: String((BigInt(point.startUnixNano) / step) * step) }));
        return { label: wordsOf(found.by, key), color: colors[at] ?? "", values: isRate ? ratesOf(points, steps, of) : columnOf(points, steps, of, null) };
      }),
    };
  }, [found, measure]);
  return (
    <>
      <Chart title={words} starts={starts} series={lines} format={show} height={260} />
      {found.series.length > DRAWN && <p class="soft">The chart has the {DRAWN} groups with the most spans.</p>}
    </>
  );
}

function Table({ found, colors }: { found: Found; colors: readonly string[] }) {
  return (
    <div class="scroll-x">
      <table class="data" aria-label="Groups of spans">
        <thead>
          <tr>
            <th scope="col">{headOf(found.by)}</th>
            <th scope="col" class="number">Spans</th>
            <th scope="col" class="number">Rate</th>
            <th scope="col" class="number">Failed</th>
          </tr>
        </thead>
        <tbody>
          {found.series.map((series, at) => {
            const search = series.search && searchOf(found.search, series.search);
            return (
              <tr key={series.key.join("\n")}>
                <th scope="row" class="wrapped"><GroupName by={found.by} texts={series.key} href={search ? linkTo("/search", search) : undefined} color={colors[at] && `var(${colors[at]})`} /></th>
                <td class="number">{showCount(series.count)}</td>
                <td class="number">{showRate(series.perSecond)}</td>
                <td class="number">
                  {Number(series.errors) && search ? <a class="error-text" href={linkTo("/search", { ...search, status: "error" })}>{showShare(series.errorRate)}</a> : showShare(series.errorRate)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
