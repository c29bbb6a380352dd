// Loads a trace, in columns: what takes time is reading it at the daemon, which one answer for all of it does once.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer, type Answered } from "../../api/useAnswer";
import { parameter } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { colorsTogether } from "../../ui/colors";
import { readBars, type Bars } from "./model";
import { readPath, type CriticalPath } from "./path";

export type Header = Omit<Schemas["WaterfallColumns"], "bars">;

export interface LoadedTrace {
  header: Header;
  bars: Bars;
  /** Of its services, told apart from each other. */
  colors: ReadonlyMap<string, number>;
}

/** The trace of an id, with times as they are or adjusted. */
export function useTrace(traceId: string): Omit<Answered<unknown>, "data"> & { trace: LoadedTrace | undefined } {
  const { data, ...asked } = useInColumns<Schemas["WaterfallColumns"]>(`${pathOf(traceId)}/waterfall`);
  const trace = useMemo(() => data && loaded(data), [data]);
  return { trace, ...asked };
}

function loaded({ bars, ...header }: Schemas["WaterfallColumns"]): LoadedTrace {
  return { header, bars: readBars(bars, BigInt(header.startTimeUnixNano)), colors: colorsTogether(Object.keys(header.spansByService)) };
}

/** The critical path of a trace that is here: it takes the daemon as long as the trace does, which it would hold up. */
export function useCriticalPath(traceId: string, trace: LoadedTrace, wanted: boolean): CriticalPath | undefined {
  const { data } = useInColumns<Schemas["CriticalPathColumns"]>(wanted ? `${pathOf(traceId)}/critical-path` : null);
  return useMemo(() => data && readPath(data, BigInt(trace.header.startTimeUnixNano), trace.bars.count), [data]);
}

function useInColumns<T>(path: string | null): Answered<T> {
  return useAnswer<T>(path, { query: { form: "columns", adjust: adjusters() }, workspace: currentWorkspace() });
}

/** What is to be done to times before they are shown. */
export function adjusters(): readonly string[] {
  return parameter("adjust").split(",").filter(Boolean);
}

/** Where the API has a trace. */
export function pathOf(traceId: string): string {
  return `/api/v1/traces/${encodeURIComponent(traceId)}`;
}
