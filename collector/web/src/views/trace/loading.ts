// Loads a trace in two steps: what fits on a screen at once, then the rest.
import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, type Schemas } from "../../api/client";
import { currentWorkspace } from "../../app/workspace";
import { readBars, type Bar } from "./model";

export type Header = Omit<Schemas["Waterfall"], "bars">;

export interface LoadedTrace {
  header: Header;
  bars: readonly Bar[];
  /** Whether bars are still to come. */
  more: boolean;
}

const FIRST = 1000;

/** The trace of an id, with times as they are or adjusted. */
export function useTrace(traceId: string, adjust: readonly string[]): { trace?: LoadedTrace; error?: ApiError } {
  const [state, setState] = useState<{ trace?: LoadedTrace; error?: ApiError }>({});
  const workspace = currentWorkspace();
  useEffect(() => {
    const abort = new AbortController();
    setState({});
    load(traceId, workspace, adjust, abort.signal, (trace) => setState({ trace })).catch((error: unknown) => {
      if (error instanceof ApiError) setState({ error });
      else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    });
    return () => abort.abort();
  }, [traceId, workspace, adjust.join()]);
  return state;
}

async function load(
  traceId: string, workspace: string, adjust: readonly string[], signal: AbortSignal, show: (trace: LoadedTrace) => void,
): Promise<void> {
  let bars: readonly Bar[] = [];
  for (;;) {
    // The daemon reads the whole trace for each answer, so what does not fit on a screen is asked for at once.
    const query = { offset: bars.length, limit: bars.length ? null : FIRST, adjust };
    const path = `/api/v1/traces/${encodeURIComponent(traceId)}/waterfall`;
    const { bars: raw, ...header } = await ask<Schemas["Waterfall"]>(path, { query, workspace, signal });
    bars = [...bars, ...readBars(raw, bars)];
    const more = bars.length < header.barCount && raw.length > 0;
    show({ header, bars, more });
    if (!more) return;
  }
}
