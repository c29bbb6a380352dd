// One run: its figures as they come, over time, what failed, and traces of its slowest requests.
import { useEffect, useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { showSecond } from "../../time/range";
import { Chart } from "../../ui/Chart";
import { Confirm } from "../../ui/Dialog";
import { showCount, showDuration, showRate, showShare } from "../../ui/format";
import { ErrorNote, Loading } from "../../ui/notes";
import { tell, tellError } from "../../ui/toasts";
import { State } from "./Runs";
import { useRun, type Figures } from "./useRun";

type Run = Schemas["LoadTestRunResult"];

const AGAIN_MS = 3000;
const PERCENTILES = [["mean", "Mean"], ["p50", "p50"], ["p90", "p90"], ["p95", "p95"], ["p99", "p99"], ["p999", "p99.9"], ["max", "Longest"]] as const;

export function RunPage({ id }: { id: string }) {
  const { run, latest, total, error } = useRun(id);
  if (!run) return error ? <ErrorNote error={error} /> : <Loading what="the run" />;
  return (
    <section class="stack">
      <div class="row">
        <a class="button" href={linkTo("/load-tests", { tab: "runs" })}>← All</a>
        <h2 class="title">{run.name}</h2>
        <span role="status"><State run={run} /></span>
        {run.state === "running" ? <Cancel run={run} /> : <Compare run={run} />}
      </div>
      <p class="soft">
        Started {showSecond(BigInt(run.startedAtUnixNano))} by {run.startedBy}
        {latest && ` · now ${showRate(latest.requestsPerSecond)}, ${showShare(latest.errorShare)} failed, ${showCount(latest.inFlight)} in flight`}
      </p>
      {error && <ErrorNote error={error} />}
      {total && <Totals total={total} />}
      <OverTime run={run} />
      {total && <Percentiles total={total} />}
      {total && <Failures total={total} />}
      <Traces title="Slowest requests" traces={run.result.slowest} />
      <Traces title="Failed requests" traces={run.result.failedTraces} />
    </section>
  );
}

function Totals({ total }: { total: Figures }) {
  const figures = [
    ["Sent", showCount(total.sent)], ["A second", showRate(total.requestsPerSecond)], ["Failed", showShare(total.errorShare)],
    ["p50", timeOf(total.responseTime.p50)], ["p99", timeOf(total.responseTime.p99)],
  ] as const;
  return (
    <div class="cards">
      {figures.map(([name, value]) => (
        <div key={name} class={name === "Failed" && total.failed ? "card run-failed" : "card"}>
          <div class="soft">{name}</div>
          <div class="run-figure">{value}</div>
        </div>
      ))}
    </div>
  );
}

function timeOf(nanos: string | null): string {
  return nanos === null ? "–" : showDuration(nanos);
}

function OverTime({ run }: { run: Run }) {
  const running = run.state === "running";
  const { data, again } = useAnswer<Schemas["LoadTestSeries"]>(inWorkspace(`load-test-runs/${run.id}/series`), {}, running ? AGAIN_MS : 0);
  useEffect(() => again(), [running]);
  const points = data?.points ?? [];
  if (points.length < 2) return null;
  const began = Number(BigInt(run.startedAtUnixNano) / 1_000_000n) / 1000;
  const starts = points.map((point) => began + point.atSeconds);
  const nanos = (value: string | null): number | null => (value === null ? null : Number(value));
  return (
    <div class="charts">
      <Chart title="Requests a second" starts={starts} format={showCount} series={[
        { label: "sent", values: points.map((point) => point.requestsPerSecond), color: "--accent", area: true },
        { label: "failed", values: points.map((point) => (point.seconds ? point.failed / point.seconds : 0)), color: "--error" },
      ]} />
      <Chart title="Response time" starts={starts} format={showDuration} series={[
        { label: "p99", values: points.map((point) => nanos(point.responseTime.p99)), color: "--warn" },
        { label: "p50", values: points.map((point) => nanos(point.responseTime.p50)), color: "--accent" },
      ]} />
    </div>
  );
}

function Percentiles({ total }: { total: Figures }) {
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Times">
      <table class="data run-table">
        <caption class="visually-hidden">Times</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {PERCENTILES.map(([name, words]) => <th key={name} scope="col" class="number">{words}</th>)}
          </tr>
        </thead>
        <tbody>
          {([["Response", "from when it was due", total.responseTime], ["Service", "from when it was sent", total.serviceTime]] as const).map(([name, from, times]) => (
            <tr key={name}>
              <td>{name} <span class="soft">{from}</span></td>
              {PERCENTILES.map(([percentile]) => <td key={percentile} class="number">{timeOf(times[percentile])}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Failures({ total }: { total: Figures }) {
  if (!total.failures.length && !total.injected.length) return null;
  return (
    <div class="card">
      <h3>What failed</h3>
      <ul>
        {total.failures.map(({ cause, count, example }) => <li key={cause}><strong>{showCount(count)}</strong> {cause} {example && <span class="soft said">{example}</span>}</li>)}
        {total.injected.map(({ type, count }) => <li key={`injected ${type}`}><strong>{showCount(count)}</strong> on purpose: {type}</li>)}
      </ul>
    </div>
  );
}

function Traces({ title, traces }: { title: string; traces: Run["result"]["slowest"] }) {
  if (!traces.length) return null;
  return (
    <div class="card">
      <h3>{title}</h3>
      <ul class="run-traces">
        {traces.map(({ traceId, durationNanos, cause }) => (
          <li key={traceId}>
            <a class="mono" href={linkTo(`/trace/${traceId}`)}>{traceId.slice(0, 8)}</a> {showDuration(durationNanos)} {cause && <span class="error-text">{cause}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Cancel({ run }: { run: Run }) {
  const [asking, setAsking] = useState(false);
  const cancel = (): void => {
    ask(inWorkspace(`load-test-runs/${run.id}/cancel`), { method: "POST", body: {} }).then(() => tell("The run is being ended"), tellError);
  };
  return (
    <>
      <button type="button" class="button danger" onClick={() => setAsking(true)}>Cancel the run</button>
      {asking && <Confirm title="End this run now?" detail="What was measured so far is kept." verb="End it" onClose={() => setAsking(false)} onConfirm={cancel} />}
    </>
  );
}

/** Chooses another run of the same test to compare this one with. */
function Compare({ run }: { run: Run }) {
  const { data } = useAnswer<Schemas["LoadTestRuns"]>(inWorkspace("load-test-runs"), { query: { loadTest: run.loadTest, limit: 50 } });
  const others = data?.runs.filter((other) => other.id !== run.id && other.state !== "running") ?? [];
  if (!others.length) return null;
  return (
    <label class="row">
      Compare with
      <select value="" onChange={(event) => setParameters({ base: event.currentTarget.value })}>
        <option value="">another run …</option>
        {others.map((other) => <option key={other.id} value={other.id}>{showSecond(BigInt(other.startedAtUnixNano))} ({other.state})</option>)}
      </select>
    </label>
  );
}
