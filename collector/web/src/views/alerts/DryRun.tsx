// What a rule would have told of the past, before it is saved.
import { useState } from "preact/hooks";
import { ApiError, ask, type Schemas } from "../../api/client";
import { inWorkspace } from "../../app/workspace";
import { currentRange, rangeQuery, showClock, showMinute, type TimeRange } from "../../time/range";
import { ErrorNote } from "../../ui/notes";
import { Labels } from "./badges";
import { linesOf, type Line } from "./timeline";

interface Ran {
  came: Schemas["AlertRuleDryRun"];
  range: TimeRange;
}

const MOST_LINES = 30;

export function DryRun({ settings }: { settings: Record<string, unknown> }) {
  const [ran, setRan] = useState<Ran>();
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    const range = currentRange();
    try {
      const came = await ask<Schemas["AlertRuleDryRun"]>(inWorkspace("alert-rules/dry-run"), { method: "POST", query: rangeQuery(range), body: settings });
      setRan({ came, range });
      setError(undefined);
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
      setRan(undefined);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="card stack" aria-label="Try it out">
      <div class="row spread">
        <span>
          <strong>Try it out</strong> <span class="soft">over the time range that is chosen at the top. Nobody is told.</span>
        </span>
        <button type="button" class="button" disabled={busy} onClick={() => void run()}>{busy ? "Trying …" : "Try it out"}</button>
      </div>
      {error && <ErrorNote error={error} />}
      {ran && <Outcome {...ran} />}
    </section>
  );
}

function Outcome({ came, range }: Ran) {
  const lines = linesOf(came.moments, range.end);
  const fired = lines.reduce((sum, line) => sum + line.fired, 0);
  return (
    <>
      <p role="status">
        {came.withSpans === 0
          ? `None of ${came.evaluations} evaluations has found spans. Is the service spelt as it calls itself?`
          : `It would have fired ${fired} ${fired === 1 ? "time" : "times"} in ${came.evaluations} evaluations.`}
      </p>
      {lines.length > 0 && (
        <div class="dry-run">
          {lines.slice(0, MOST_LINES).map((line) => <Row key={JSON.stringify(line.group)} line={line} range={range} />)}
          <div class="row spread soft small"><span>{showMinute(range.start)}</span><span>{showMinute(range.end)}</span></div>
        </div>
      )}
      {lines.length > MOST_LINES && <p class="soft">and {lines.length - MOST_LINES} alerts more</p>}
    </>
  );
}

function Row({ line, range }: { line: Line; range: TimeRange }) {
  const whole = Number(range.end - range.start);
  const told = line.bars.map((bar) => `${bar.status} ${showClock(bar.from)} to ${showClock(bar.to)}`).join("; ");
  return (
    <div>
      <div class="row spread"><span><Labels labels={line.group} /></span><span class="soft">fired {line.fired} ×</span></div>
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={told || "never"}>
        <rect width="1000" height="10" class="calm" />
        {line.bars.map((bar) => {
          const from = (Number(bar.from - range.start) / whole) * 1000;
          return <rect key={String(bar.from)} class={bar.status} x={Math.max(from, 0)} width={Math.max((Number(bar.to - bar.from) / whole) * 1000, 2)} height="10"><title>{told}</title></rect>;
        })}
      </svg>
    </div>
  );
}
