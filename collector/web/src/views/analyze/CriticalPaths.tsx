// What traces were waiting for: the fast ones, and the slow ones. Where the slow ones waited longer is why they are slow.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery } from "../../time/range";
import { colorAmong, colorsTogether } from "../../ui/colors";
import { showCount, showDuration, showName, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { linkToService } from "../services/ServiceLink";
import type { AnalysisProps } from "./AnalyzeView";
import { rowsOf, type Band, type Contribution, type PathRow } from "./bands";

type Found = Schemas["AggregateCriticalPath"];

const WAYS = { operation: "operation", service: "service", callPath: "all calls from the root down" };
const SHOWN = 20;
const ASKED = 200;
/** At most so many traces are looked at, unless somebody wants more of them. */
const [USUAL, MOST] = [1000, 5000];
/** Parts of a bar that are less of it than this have no place in it. */
const LEAST = 0.004;

export function CriticalPaths({ conditions, range }: AnalysisProps) {
  const wanted = parameter("per", "operation");
  const per = wanted in WAYS ? wanted : "operation";
  const sample = parameter("sample") === "most" ? MOST : USUAL;
  const query = { ...conditions, ...rangeQuery(range), by: per, sample, limit: ASKED };
  const answer = useAnswer<Found>("/api/v1/analysis/critical-path", { query, workspace: currentWorkspace() });
  const { data, loading } = answer;
  return (
    <>
      <div class="row spread">
        <p class="soft">What the ends of traces were waiting for, from the fastest traces to the slowest.</p>
        <div class="row">
          <label class="row">
            <input type="checkbox" checked={sample === MOST} onChange={() => setParameters({ sample: sample === MOST ? null : "most" }, true)} /> Look at up to {showCount(MOST)} traces
          </label>
          <label class="row">
            Added up by
            <select value={per} onChange={(event) => setParameters({ per: event.currentTarget.value === "operation" ? null : event.currentTarget.value }, true)}>
              {Object.entries(WAYS).map(([name, words]) => <option key={name} value={name}>{words}</option>)}
            </select>
          </label>
        </div>
      </div>
      <AnswerNote of={answer} what="what traces were waiting for" />
      {data && !data.complete && <p class="soft">{data.incompleteBecause}</p>}
      {data && (data.bands.length ? <Bands found={data} loading={loading} /> : <p class="soft">No such trace is stored in this time range.</p>)}
    </>
  );
}

function Bands({ found, loading }: { found: Found; loading: boolean }) {
  const rows = useMemo(() => rowsOf(found.bands), [found]);
  const services = useMemo(() => colorsTogether(found.bands.flatMap(({ contributions }) => contributions.map(serviceOf))), [found]);
  const all = parameter("rows") === "all";
  const colorOf = (each: Contribution): string => colorAmong(services, serviceOf(each));
  const longest = Math.max(...found.bands.map((band) => Number(band.meanNanos)), 1);
  return (
    <div class={loading ? "stack loading" : "stack"}>
      <div class="bands">
        {found.bands.map((band) => (
          <div key={band.low} class="band">
            <span>{bandName(band)} <span class="small">{showCount(band.count)} {Number(band.count) === 1 ? "trace" : "traces"}</span></span>
            <span class="band-bar" aria-hidden="true" style={{ width: `${Math.max((Number(band.meanNanos) / longest) * 100, 1)}%` }}>
              {band.contributions.filter(({ share }) => Number(share) >= LEAST).map((each) => (
                <span key={pathText(each)} title={`${pathText(each)}: ${showShare(each.share)}, ${showDuration(Number(each.meanNanos))}`} style={{ flexGrow: Number(each.share), background: colorOf(each) }} />
              ))}
            </span>
            <span class="small">{showDuration(band.minNanos)} to {showDuration(band.maxNanos)}, {showDuration(Number(band.meanNanos))} on average</span>
          </div>
        ))}
      </div>
      <div class="scroll-x">
        <table class="data path-table" aria-label="What traces were waiting for">
          <thead>
            <tr>
              <th scope="col">Waited for</th>
              {found.bands.map((band) => <th key={band.low} scope="col" class="number">{bandName(band)}</th>)}
              <th scope="col" class="number" title="How much longer the slowest traces waited for it than the fastest">Slowest more</th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, all ? rows.length : SHOWN).map((row) => <Row key={row.name} row={row} color={colorOf(row.first)} />)}
          </tbody>
        </table>
      </div>
      {rows.length > SHOWN && (
        <p><button type="button" class="button" onClick={() => setParameters({ rows: all ? null : "all" }, true)}>{all ? "Fewer" : `All ${rows.length}`}</button></p>
      )}
      <p class="soft">Each figure is how long a trace waited on average; it leads to the one that waited longest.</p>
    </div>
  );
}

function Row({ row, color }: { row: PathRow; color: string }) {
  return (
    <tr>
      <th scope="row" class="wrapped"><Path path={row.first.path} color={color} /></th>
      {row.cells.map((cell, at) => <Cell key={at} cell={cell} what={row.name} />)}
      <td class="number">{row.more > 0 ? `+${showDuration(row.more)}` : showDuration(row.more)}</td>
    </tr>
  );
}

function Cell({ cell, what }: { cell: Contribution | undefined; what: string }) {
  const [exemplar] = cell?.exemplars ?? [];
  if (!cell || !exemplar) return <td class="number">–</td>;
  const told = `${what}: in ${showShare(cell.frequency)} of the traces; the longest waited ${showDuration(exemplar.nanos)}`;
  return (
    <td class="number">
      <span class="share-bar" style={{ width: `${Number(cell.share) * 3}rem` }} aria-hidden="true" />{" "}
      <a href={linkTo(`/trace/${exemplar.traceId}`, { span: exemplar.spanId })} title={told}>{showDuration(Number(cell.meanNanos))}</a>
      <div class="small">{showShare(cell.share)}</div>
    </td>
  );
}

/** The last call of a path, and above it those that led to it. */
function Path({ path, color }: { path: Contribution["path"]; color: string }) {
  const last = path.at(-1);
  if (!last) return null;
  return (
    <>
      {path.length > 1 && <div class="small">{path.slice(0, -1).map(frameText).join(" → ")} →</div>}
      <span class="dot" style={{ background: color }} /> {last.operation
        ? <>{last.operation} <span class="soft">{showName(last.service)}</span></>
        : <a href={linkToService(last.service)}>{showName(last.service)}</a>}
    </>
  );
}

function frameText({ service, operation }: Contribution["path"][number]): string {
  return operation ? `${showName(service)}: ${operation}` : showName(service);
}

function pathText({ path }: Contribution): string {
  return path.map(frameText).join(" → ");
}

function serviceOf({ path }: Contribution): string {
  return path.at(-1)?.service ?? "";
}

/** Between which percentiles of the durations the traces of a band are. */
function bandName({ low, high }: Band): string {
  if (Number(low) === 0) return `fastest ${Number(high)} %`;
  if (Number(high) === 100) return `slowest ${Number((100 - Number(low)).toFixed(4))} %`;
  return `${Number(low)} to ${Number(high)} %`;
}
