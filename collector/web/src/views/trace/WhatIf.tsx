// How much sooner the trace would have ended if a span had taken no time, and what keeps it from more.
import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { colorAmong } from "../../ui/colors";
import { showDuration, showName, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { choosing } from "./choice";
import { adjusters, pathOf, type LoadedTrace } from "./loading";
import { barAt, type Bar } from "./model";
import type { OnPath } from "./path";

type Found = Schemas["WhatIf"];

interface Props {
  traceId: string;
  trace: LoadedTrace;
  bar: Bar;
  path: OnPath;
}

export function WhatIf({ traceId, trace, bar, path }: Props) {
  const [open, setOpen] = useState(false);
  if (!path.segments.length && !path.saved) return <p class="note">Not on the critical path: it could have taken {showDuration(path.slack)} longer.</p>;
  return (
    <div class="note">
      <p>{path.segments.length ? "On the critical path." : "Waited for, though only for what it calls."} If it took no time, the trace would end <b>{showDuration(path.saved)} sooner</b>.</p>
      {path.saved < bar.duration && (
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>Why not more?</summary>
          {open && <Levels traceId={traceId} trace={trace} bar={bar} />}
        </details>
      )}
    </div>
  );
}

function Levels({ traceId, trace, bar }: Omit<Props, "path">) {
  const query = { spanId: bar.spanId, adjust: adjusters() };
  const answer = useAnswer<Found>(`${pathOf(traceId)}/what-if`, { query, workspace: currentWorkspace() });
  const { data } = answer;
  if (!data) return <AnswerNote of={answer} what="what would happen" />;
  return (
    <>
      <p>
        {showDuration(data.root.durationNanos)} would become {showDuration(data.projectedNanos)}
        {Number(data.root.durationNanos) > 0 && <>, {showShare(Number(data.savedNanos) / Number(data.root.durationNanos))} less</>}.
      </p>
      {data.levels.length > 0 && (
        <ol class="levels">
          {data.levels.map((level) => (
            <li key={level.index}>
              Without <Named trace={trace} index={level.index} /> its parent ends {showDuration(level.dragNanos)} sooner
              {level.rivalIndex !== null && <>: then it waits for <Named trace={trace} index={level.rivalIndex} /></>}.
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

/** A span by its name, which leads to it. */
function Named({ trace: { bars, colors }, index }: { trace: LoadedTrace; index: number }) {
  const bar = barAt(bars, bars.place[index] as number);
  return (
    <button type="button" class="link" title={showName(bar.service)} onClick={() => setParameters(choosing(bars, bar.at, true), true)}>
      <span class="dot" style={{ background: colorAmong(colors, bar.service) }} /> {showName(bar.name)}
    </button>
  );
}
