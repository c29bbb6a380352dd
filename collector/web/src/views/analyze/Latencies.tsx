// How long spans take: all of them in a heat map, and in groups by whatever they agree in.
import type { Query, Schemas } from "../../api/client";
import { together, useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery } from "../../time/range";
import { Change } from "../../ui/Figure";
import { showCount, showDuration, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { SortHead } from "../../ui/SortHead";
import { Apart } from "./Apart";
import type { AnalysisProps } from "./AnalyzeView";
import { HeatMap, useHeatMap } from "./HeatMap";
import { GroupBy, groupedBy, GroupName, headOf } from "./GroupBy";
import { searchOf } from "./searches";

type Found = Schemas["GroupLatencies"];
type Group = Found["groups"][number];

const PERCENTILES = ["75", "90", "95", "99", "99.9"];
const SORTS = ["total", "count", "errorRate", "percentile", "max"] as const;
type SortName = (typeof SORTS)[number];
const MOST = 100;

export function Latencies({ conditions, range }: AnalysisProps) {
  const mapped = useHeatMap(conditions, range);
  return (
    <>
      <HeatMap {...mapped} />
      {mapped.grid && <Apart conditions={conditions} range={range} slow={mapped.slow} />}
      <Groups conditions={conditions} range={range} />
    </>
  );
}

function Groups({ conditions, range }: AnalysisProps) {
  const by = groupedBy(conditions);
  const percentile = PERCENTILES.includes(parameter("percentile")) ? parameter("percentile") : "95";
  const sort = SORTS.find((name) => name === parameter("sort")) ?? "total";
  const query: Query = { ...conditions, by, percentile: ["50", percentile], sort, limit: MOST };
  const answer = useAnswer<Found>("/api/v1/analysis/latencies", { query: { ...query, ...rangeQuery(range) }, workspace: currentWorkspace() });
  const { data, loading } = answer;
  const length = range.end - range.start;
  const compared = parameter("beside") === "before";
  const earlier = rangeQuery({ start: range.start - length, end: range.start });
  const before = useAnswer<Found>(compared ? "/api/v1/analysis/latencies" : null, { query: { ...query, ...earlier }, workspace: currentWorkspace() });
  return (
    <section class="stack" aria-label="Groups">
      <h2>In groups</h2>
      <div class="row spread">
        <GroupBy by={by} range={range} />
        <div class="row">
          <label class="row">
            Percentile
            <select value={percentile} onChange={(event) => setParameters({ percentile: event.currentTarget.value === "95" ? null : event.currentTarget.value }, true)}>
              {PERCENTILES.map((each) => <option key={each} value={each}>{each}</option>)}
            </select>
          </label>
          <label class="row">
            <input type="checkbox" checked={compared} onChange={() => setParameters({ beside: compared ? null : "before" }, true)} /> Beside the range before
          </label>
        </div>
      </div>
      <AnswerNote of={compared ? together(answer, before) : answer} what="groups" />
      {data && (data.groups.length
        ? <>
            <Table found={data} before={compared ? before.data : undefined} percentile={percentile} sort={sort} loading={loading} />
            {!data.complete && <p class="soft">The first {data.groups.length} of {showCount(data.groupCount)} groups.</p>}
          </>
        : <p class="soft">No such span is stored in this time range.</p>)}
    </section>
  );
}

function Table({ found, before, percentile, sort, loading }: { found: Found; before: Found | undefined; percentile: string; sort: SortName; loading: boolean }) {
  const total = found.groups.reduce((sum, group) => sum + Number(group.totalNanos), 0);
  const earlier = new Map(before?.groups.map((group) => [group.key.join("\n"), group]));
  const head = { sort, onSort: (name: SortName) => setParameters({ sort: name === "total" ? null : name }, true) };
  return (
    <div class={loading ? "scroll-x loading" : "scroll-x"}>
      <table class="data" aria-label="Groups of spans">
        <thead>
          <tr>
            <th scope="col">{headOf(found.by)}</th>
            <SortHead {...head} name="count" label="Spans" />
            <SortHead {...head} name="errorRate" label="Failed" />
            <th scope="col" class="number">Half within</th>
            <SortHead {...head} name="percentile" label={`${percentile} % within`} />
            <SortHead {...head} name="max" label="Longest" />
            <SortHead {...head} name="total" label="Share of time" />
            <th scope="col"><span class="visually-hidden">Narrow</span></th>
          </tr>
        </thead>
        <tbody>
          {found.groups.map((group) => (
            <Row key={group.key.join("\n")} group={group} before={before && (earlier.get(group.key.join("\n")) ?? null)} found={found} share={total ? Number(group.totalNanos) / total : 0} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** `before` is null where there was no such group, undefined where nobody asked. */
function Row({ group, before, found, share }: { group: Group; before: Group | null | undefined; found: Found; share: number }) {
  const search = group.search && searchOf(found.search, group.search);
  const [half, within] = group.percentiles.map(({ nanos }) => Number(nanos));
  const [halfBefore, withinBefore] = before?.percentiles.map(({ nanos }) => Number(nanos)) ?? [];
  return (
    <tr>
      <th scope="row" class="wrapped"><GroupName by={found.by} texts={group.key} href={search ? linkTo("/search", { ...search, sort: "duration" }) : undefined} /></th>
      <td class="number">{showCount(group.count)}{before !== undefined && <Beside now={group.count} before={before?.count} more="neither" />}</td>
      <td class="number">
        {Number(group.errors) && search ? <a class="error-text" href={linkTo("/search", { ...search, status: "error" })}>{showShare(group.errorRate)}</a> : showShare(group.errorRate)}
      </td>
      <td class="number">{showDuration(half ?? 0)}{before !== undefined && <Beside now={half} before={halfBefore} more="worse" />}</td>
      <td class="number">{showDuration(within ?? 0)}{before !== undefined && <Beside now={within} before={withinBefore} more="worse" />}</td>
      <td class="number">{search
        ? <a href={linkTo("/search", { ...search, minDuration: `${group.maxNanos}ns` })}>{showDuration(group.maxNanos)}</a>
        : showDuration(group.maxNanos)}</td>
      <td class="number"><span class="share-bar" style={{ width: `${share * 5}rem` }} /> {showShare(share)}</td>
      <td>{search && group.key.length > 0 && (
        <button type="button" class="button plain" aria-label={`Analyze only ${group.key.join(", ")}`} onClick={() => setParameters({ q: String(search["q"] ?? ""), box: null })}>only these</button>
      )}</td>
    </tr>
  );
}

function Beside({ now, before, more }: { now: number | string | undefined; before: number | string | undefined; more: "worse" | "neither" }) {
  return <div class="figure-before">{before === undefined ? "new" : <Change now={now} before={before} more={more} />}</div>;
}
