import { useState } from "preact/hooks";
import { parameter, setParameters } from "../app/location";
import { Dialog } from "../ui/Dialog";
import { parseMoment } from "./range";

const PRESETS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"] as const;
const ZONES = ["local", "UTC", ...Intl.supportedValuesOf("timeZone")];

/** Chooses the time range and the zone; both are in the URL. */
export function TimePicker() {
  const [open, setOpen] = useState(false);
  const from = parameter("from", "now-1h");
  const to = parameter("to", "now");
  const label = to === "now" && from.startsWith("now-") ? `Last ${from.slice(4)}` : `${short(from)} – ${short(to)}`;
  return (
    <>
      <button type="button" class="button" onClick={() => setOpen(true)} aria-haspopup="dialog">
        <span class="visually-hidden">Time range: </span>
        {label}
      </button>
      {open && <Chooser from={from} to={to} onClose={() => setOpen(false)} />}
    </>
  );
}

function Chooser({ from, to, onClose }: { from: string; to: string; onClose: () => void }) {
  const [start, setStart] = useState(from);
  const [end, setEnd] = useState(to);
  const fault = faultOf(start, end);
  return (
    <Dialog title="Time range" onClose={onClose}>
      <div class="stack">
        <div class="row">
          {PRESETS.map((preset) => (
            <button
              key={preset}
              type="button"
              class="button"
              aria-pressed={from === `now-${preset}` && to === "now"}
              onClick={() => { setParameters({ from: `now-${preset}`, to: null }); onClose(); }}
            >
              Last {preset}
            </button>
          ))}
        </div>
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            if (fault) return;
            setParameters({ from: start, to: end === "now" ? null : end });
            onClose();
          }}
        >
          <label class="stack">
            From
            <input value={start} aria-invalid={Boolean(fault)} onInput={(event) => setStart(event.currentTarget.value)} />
          </label>
          <label class="stack">
            To
            <input value={end} aria-invalid={Boolean(fault)} onInput={(event) => setEnd(event.currentTarget.value)} />
          </label>
          <p class="soft">
            <code>now</code>, <code>now-90m</code>, or a time such as <code>2026-03-01T12:00:00Z</code>.
          </p>
          {fault && <p class="error-text" role="alert">{fault}</p>}
          <button type="submit" class="button primary">
            Show
          </button>
        </form>
        <label class="row">
          Times in
          <select value={parameter("tz", "local")} onChange={(event) => setParameters({ tz: event.currentTarget.value === "local" ? null : event.currentTarget.value })}>
            {ZONES.map((zone) => (
              <option key={zone} value={zone}>
                {zone === "local" ? "the zone of this machine" : zone}
              </option>
            ))}
          </select>
        </label>
      </div>
    </Dialog>
  );
}

function faultOf(start: string, end: string): string {
  const from = parseMoment(start);
  const to = parseMoment(end);
  if (from === undefined) return `From: ${JSON.stringify(start)} is no time. Try now-1h.`;
  if (to === undefined) return `To: ${JSON.stringify(end)} is no time. Try now.`;
  return from < to ? "" : "From must be earlier than To.";
}

function short(text: string): string {
  const moment = parseMoment(text);
  return text.startsWith("now") || moment === undefined ? text : new Date(Number(moment / 1_000_000n)).toISOString().slice(0, 16).replace("T", " ") + "Z";
}
