import { useState } from "preact/hooks";
import { parameter, setParameters } from "../app/location";
import { Dialog } from "../ui/Dialog";
import { isMoving, nowNs, parseMoment } from "./moment";
import { currentRange, currentZone, showMinute, showSecond, type TimeRange } from "./range";

const PRESETS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"] as const;
const ZONES = ["local", "UTC", ...Intl.supportedValuesOf("timeZone")];

/** Chooses the time range and the zone; both are in the URL. */
export function TimePicker() {
  const [open, setOpen] = useState(false);
  const from = parameter("from", "now-1h");
  const to = parameter("to", "now");
  return (
    <>
      <button type="button" class="button" onClick={() => setOpen(true)} aria-haspopup="dialog">
        <span class="visually-hidden">Time range: </span>
        {inWords(from, to)}
      </button>
      {open && <Chooser from={from} to={to} onClose={() => setOpen(false)} />}
    </>
  );
}

function Chooser({ from, to, onClose }: { from: string; to: string; onClose: () => void }) {
  const [start, setStart] = useState(() => editable(from));
  const [end, setEnd] = useState(() => editable(to));
  const fault = faultOf(start, end);
  const show = (range: { from: string; to: string | null }): void => {
    setParameters(range);
    onClose();
  };
  const move = (way: (range: TimeRange) => TimeRange): void => {
    const moved = way(currentRange());
    show({ from: inUrl(moved.start), to: inUrl(moved.end) });
  };
  const setZone = (zone: string): void => {
    // What is typed means the same moment by the other clock.
    const [first, last] = [start, end].map(said);
    setParameters({ tz: zone === "local" ? null : zone });
    if (first !== undefined) setStart(editable(first));
    if (last !== undefined) setEnd(editable(last));
  };
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
              onClick={() => show({ from: `now-${preset}`, to: null })}
            >
              Last {preset}
            </button>
          ))}
        </div>
        <div class="row" role="group" aria-label="From the range that is shown">
          <button type="button" class="button" onClick={() => move(({ start, end }) => ({ start: start - (end - start), end: start }))}>
            ← Before
          </button>
          <button type="button" class="button" onClick={() => move(({ start, end }) => ({ start: end, end: end + (end - start) }))}>
            After →
          </button>
          <button type="button" class="button" onClick={() => move(({ start, end }) => ({ start: start - (end - start) / 2n, end: end + (end - start) / 2n }))}>
            Twice as long
          </button>
        </div>
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            const [first, last] = [start, end].map(said);
            if (!fault && first && last) show({ from: first, to: last === "now" ? null : last });
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
            <code>now</code>, <code>now-90m</code>, or a time such as <code>2026-03-01 12:00</code>.
          </p>
          {fault && <p class="error-text" role="alert">{fault}</p>}
          <button type="submit" class="button primary">
            Show
          </button>
        </form>
        <label class="row">
          Times in
          <select value={parameter("tz", "local")} onChange={(event) => setZone(event.currentTarget.value)}>
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

function momentOf(text: string): bigint | undefined {
  return parseMoment(text, nowNs(), currentZone());
}

function faultOf(start: string, end: string): string {
  const from = momentOf(start);
  const to = momentOf(end);
  if (from === undefined) return `From: ${JSON.stringify(start)} is no time. Try now-1h.`;
  if (to === undefined) return `To: ${JSON.stringify(end)} is no time. Try now.`;
  return from < to ? "" : "From must be earlier than To.";
}

/** A moment as the URL has it: the same for everybody, wherever they are. */
function inUrl(moment: bigint): string {
  return new Date(Number(moment / 1_000_000n)).toISOString();
}

/** What is typed, as the URL has it. */
function said(text: string): string | undefined {
  const moment = momentOf(text);
  if (isMoving(text)) return text.trim();
  return moment === undefined ? undefined : inUrl(moment);
}

/** What the URL says, as people type it. */
function editable(text: string): string {
  const moment = momentOf(text);
  return isMoving(text) || moment === undefined ? text : showSecond(moment);
}

/** A time without what it has in common with another one: the year, or all of the date. */
function besides(time: string, known: string): string {
  if (time.slice(0, 10) === known.slice(0, 10)) return time.slice(11);
  return time.slice(0, 4) === known.slice(0, 4) ? time.slice(5) : time;
}

const TWO_MINUTES = 120_000_000_000n;

function inWords(from: string, to: string): string {
  if (to === "now" && from.startsWith("now-")) return `Last ${from.slice(4)}`;
  const [start, end] = [momentOf(from), momentOf(to)];
  if (start === undefined || end === undefined) return `${from} – ${to}`;
  const show = end - start < TWO_MINUTES ? showSecond : showMinute;
  const [first, last, now] = [show(start), show(end), showSecond(nowNs())];
  return `${isMoving(from) ? from : besides(first, now)} – ${isMoving(to) ? to : besides(last, first)}`;
}
