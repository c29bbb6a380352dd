// Finding traces: a query in words, filters as chips, a picture of the hits, and the hits themselves.
import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, ask, type Schemas } from "../../api/client";
import { linkTo, parameter, parameters, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { isRelative } from "../../time/range";
import { CopyButton } from "../../ui/CopyButton";
import { showCount } from "../../ui/format";
import { Empty, ErrorNote, Incomplete, Loading } from "../../ui/notes";
import { Filters } from "./Filters";
import { searchQuery, searchRange, SORTS } from "./filters";
import { Hits } from "./Hits";
import { QueryBox } from "./QueryBox";
import { Scatter } from "./Scatter";
import "./search.css";

type Traces = Schemas["Traces"];

const PAGE = 50;
const LIVE_MS = 3000;

interface Found {
  /** The first page, which tells of all hits. */
  first: Traces;
  traces: Traces["traces"];
  nextCursor: string | null;
  /** Start and end, as they were asked for; pages have to be of one range. */
  range: { start: string; end: string };
}

export default function SearchView() {
  const [live, setLive] = useState(false);
  const { found, error, loading, more } = useSearch(live);
  const sort = parameter("sort", "start");
  return (
    <div class="stack">
      <h1 class="visually-hidden">Search for traces</h1>
      <QueryBox error={error?.parameter === "q" ? error : undefined} />
      <Filters />
      <div class="row spread">
        <div class="row" role="group" aria-label="Order">
          {SORTS.map(([name, label]) => (
            <button key={name} type="button" class="button" aria-pressed={sort === name} onClick={() => setParameters({ sort: name === "start" ? null : name })}>
              {label}
            </button>
          ))}
          <button type="button" class="button" aria-pressed={parameter("order") === "asc"} onClick={() => setParameters({ order: parameter("order") === "asc" ? null : "asc" })}>
            Reversed
          </button>
        </div>
        <div class="row">
          <button type="button" class="button" aria-pressed={live} disabled={!isRelative()} onClick={() => setLive(!live)}
            title={isRelative() ? "Look again every three seconds" : "Only a time range that ends now can be followed"}>
            {live ? "● Live" : "Live"}
          </button>
          <CopyButton text={window.location.href} what="a link to this search" label="Copy link" />
        </div>
      </div>
      {error && error.parameter !== "q" && <ErrorNote error={error} />}
      {!found && loading && <Loading what="traces" />}
      {found && (
        <div class={loading && !live ? "stack loading" : "stack"}>
          <p class="soft" role="status">
            {found.first.totalIsExact ? "" : "At least "}{showCount(found.first.total)} {found.first.total === 1 ? "trace" : "traces"}
          </p>
          {!found.first.complete && found.first.incompleteBecause && <Incomplete reason={found.first.incompleteBecause} />}
          {found.traces.length ? (
            <>
              <Scatter traces={found.traces} range={found.range} />
              <Hits traces={found.traces} />
              {found.nextCursor && (
                <button type="button" class="button" onClick={more} disabled={loading}>
                  More
                </button>
              )}
            </>
          ) : <Nothing />}
        </div>
      )}
    </div>
  );
}

function Nothing() {
  const isFiltered = parameters.value.has("q") || ["service", "operation", "status", "text", "minDuration"].some((name) => parameters.value.has(name));
  return (
    <Empty title="No trace fits">
      {isFiltered ? (
        <p>
          Try a longer time range, or <a href={linkTo("/search")}>search without conditions</a>.
        </p>
      ) : (
        <>
          <p>Nothing was stored in this time range. Point any OpenTelemetry SDK at this machine:</p>
          <pre>
            OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 OTEL_SERVICE_NAME=my-service \{"\n"}
            {"  "}opentelemetry-instrument python my_service.py
          </pre>
          <p>or let the shipped example send some:</p>
          <pre>spanhouse demo</pre>
        </>
      )}
    </Empty>
  );
}

function useSearch(live: boolean): { found: Found | undefined; error: ApiError | undefined; loading: boolean; more: () => void } {
  const [found, setFound] = useState<Found>();
  const [error, setError] = useState<ApiError>();
  const [loading, setLoading] = useState(true);
  const [round, setRound] = useState(0);
  const asked = parameters.value.toString();
  const workspace = currentWorkspace();
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => document.visibilityState === "visible" && setRound((before) => before + 1), LIVE_MS);
    return () => clearInterval(timer);
  }, [live]);
  // Only what the API is asked for makes the question another one.
  const question = useMemo(() => JSON.stringify({ ...searchQuery({ start: 0n, end: 0n }), from: parameter("from"), to: parameter("to"), workspace }), [asked]);
  useEffect(() => {
    const abort = new AbortController();
    const range = searchRange();
    const query = { ...searchQuery(range), limit: PAGE };
    setLoading(true);
    ask<Traces>("/api/v1/traces", { query, workspace, signal: abort.signal }).then(
      (first) => {
        setFound({ first, traces: first.traces, nextCursor: first.nextCursor, range: { start: String(range.start), end: String(range.end) } });
        setError(undefined);
        setLoading(false);
      },
      (caught: unknown) => {
        if (!(caught instanceof ApiError)) return;
        setError(caught);
        setLoading(false);
      },
    );
    return () => abort.abort();
  }, [question, round]);
  const more = (): void => {
    if (!found?.nextCursor) return;
    setLoading(true);
    const query = { ...searchQuery({ start: BigInt(found.range.start), end: BigInt(found.range.end) }), limit: PAGE, cursor: found.nextCursor };
    ask<Traces>("/api/v1/traces", { query, workspace }).then(
      (page) => setFound({ ...found, traces: [...found.traces, ...page.traces], nextCursor: page.nextCursor }),
      (caught: unknown) => caught instanceof ApiError && setError(caught),
    ).finally(() => setLoading(false));
  };
  return { found, error, loading, more };
}
