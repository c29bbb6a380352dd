// What is odd about a trace, what was done about it, and why it may be so.
import { useState } from "preact/hooks";
import { setParameters } from "../../app/location";
import { showCount } from "../../ui/format";
import { choosing } from "./choice";
import type { Header, LoadedTrace } from "./loading";

const WHY: Record<string, string> = {
  "missing-parent": "The parent has not come: its service may not send spans, may sample otherwise, or may still hold them back.",
  "own-parent": "A span names itself as its parent: a fault of its instrumentation.",
  "cycle": "Spans are each other's ancestors: ids are used twice.",
  "shared-span-id": "Client and server report one id, as Zipkin's libraries do.",
  "repeated-span-id": "Several spans have one id: a fault of an instrumentation, or one that is sent again with other contents.",
  "ends-before-start": "The end lies before the start: the clock was set back meanwhile, or an end was never set.",
  "no-start": "The start is 0, so that of the parent is taken.",
  "no-end": "There is no duration, but children last on.",
  "event-outside-span": "An event lies outside of its span's time.",
  "long-gap": "For more than an hour nothing started: the id may have been used twice.",
  "clock-skew": "The clocks of two hosts do not agree; “Adjust clocks” shows times by the root's.",
};
const SHOWN = 20;

export function Warnings({ trace: { header, bars } }: { trace: LoadedTrace }) {
  const [open, setOpen] = useState("");
  const byKind = new Map<string, Header["warnings"]>();
  for (const warning of header.warnings) {
    const known = byKind.get(warning.kind);
    if (known) known.push(warning);
    else byKind.set(warning.kind, [warning]);
  }
  if (!byKind.size) return null;
  const chosen = byKind.get(open);
  return (
    <>
      <div class="row warnings" role="group" aria-label="What is odd about this trace">
        {[...byKind].map(([kind, warnings]) => (
          <button key={kind} type="button" class="badge warn" aria-expanded={open === kind} onClick={() => setOpen(open === kind ? "" : kind)}>
            {kind.replaceAll("-", " ")} <b>{showCount(warnings.length)}</b>
          </button>
        ))}
      </div>
      {chosen && (
        <section class="note warn warned" aria-label={open.replaceAll("-", " ")}>
          <p>{WHY[open]}</p>
          <ul>
            {chosen.slice(0, SHOWN).map((warning) => (
              <li key={`${warning.index} ${warning.text}`}>
                <button type="button" class="link mono" onClick={() => setParameters(choosing(bars, bars.place[warning.index] as number, true))}>{warning.spanId}</button> {warning.text}
              </li>
            ))}
            {chosen.length > SHOWN && <li>and {showCount(chosen.length - SHOWN)} more</li>}
          </ul>
        </section>
      )}
    </>
  );
}
