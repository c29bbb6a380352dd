// What many spans and traces have in common: how long they take, what they wait for, what is new among them.
import type { ComponentType } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Query } from "../../api/client";
import { linkTo, parameter, parameters } from "../../app/location";
import type { TimeRange } from "../../time/range";
import { useRange } from "../../time/useRange";
import { Tabs } from "../../ui/Tabs";
import { Filters } from "../search/Filters";
import { activeFilters, OF_TRACES, tailQuery } from "../search/filters";
import { QueryBox } from "../search/QueryBox";
import "../search/search.css";
import "../services/services.css";
import "./analyze.css";
import { CriticalPaths } from "./CriticalPaths";
import { Latencies } from "./Latencies";
import { NewNames } from "./NewNames";
import { OperationRanking } from "./OperationRanking";
import { OverTime } from "./OverTime";

const TABS = [
  ["latencies", "Latencies"],
  ["operations", "Operations"],
  ["over-time", "Over time"],
  ["critical-path", "Critical path"],
  ["new", "What is new"],
] as const;

export interface AnalysisProps {
  /** What spans must be like, and those of the critical path's traces. */
  conditions: Query;
  range: TimeRange;
}

const PARTS: Record<string, ComponentType<AnalysisProps>> = {
  "latencies": Latencies,
  "operations": OperationRanking,
  "over-time": OverTime,
  "critical-path": CriticalPaths,
  "new": NewNames,
};

export default function AnalyzeView() {
  const [round, setRound] = useState(0);
  const range = useRange(0, round);
  const tab = parameter("tab", "latencies");
  const Part = PARTS[tab] ?? Latencies;
  const asked = parameters.value.toString();
  const said = useMemo(tailQuery, [asked]);
  const ofTraces = tab !== "critical-path" ? activeFilters().filter(({ name }) => OF_TRACES.includes(name)) : [];
  const conditions = { ...said, ...Object.fromEntries(ofTraces.map(({ name }) => [name, null])) };
  return (
    <div class="stack">
      <div class="row spread">
        <h1>Analyze</h1>
        <a class="button" href={linkTo("/search", said)}>Their traces</a>
      </div>
      <QueryBox error={undefined} onAgain={() => setRound(round + 1)} verb="Analyze" />
      <Filters />
      <Tabs view="/analyze" label="Analyses" tabs={TABS} keep={{ ...said, by: parameter("by") }} />
      {ofTraces.length > 0 && (
        <p class="note warn" role="status">
          {ofTraces.map(({ label }) => label).join(", ")}: conditions on whole traces count in <a href={linkTo("/analyze", { ...said, tab: "critical-path" })}>Critical path</a> only.
          Say in the query what some span of the trace is like, in braces: <code>{"{IsRootSpan() and duration > 2s}"}</code>
        </p>
      )}
      <Part conditions={conditions} range={range} />
    </div>
  );
}
