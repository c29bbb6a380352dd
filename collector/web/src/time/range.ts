// Time ranges as people type them: relative to now (`now-1h`), or absolute. Times are whole nanoseconds, as bigint.
import { parameter } from "../app/location";

export const SECOND = 1_000_000_000n;
const UNITS: Record<string, bigint> = { s: SECOND, m: 60n * SECOND, h: 3600n * SECOND, d: 86_400n * SECOND, w: 604_800n * SECOND };
const RELATIVE = /^now(?:-(\d{1,6})([smhdw]))?$/;

export interface TimeRange {
  start: bigint;
  end: bigint;
}

/** Nanoseconds since 1970, by the clock of this machine. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** What a text says: `now`, `now-15m`, milliseconds since 1970, or a time such as `2026-03-01T12:00:00Z`. Undefined: neither. */
export function parseMoment(text: string, now: bigint = nowNs()): bigint | undefined {
  const relative = RELATIVE.exec(text.trim());
  if (relative) return relative[1] ? now - BigInt(relative[1]) * (UNITS[relative[2] ?? ""] ?? 0n) : now;
  if (/^\d{10,19}$/.test(text)) return BigInt(text.padEnd(19, "0"));
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds) * 1_000_000n;
}

/** The range that the URL names, an hour until now otherwise. */
export function currentRange(now: bigint = nowNs()): TimeRange {
  const end = parseMoment(parameter("to", "now"), now) ?? now;
  const start = parseMoment(parameter("from", "now-1h"), now) ?? end - 3600n * SECOND;
  return start < end ? { start, end } : { start: end - SECOND, end };
}

/** Whether the range moves on with time. */
export function isRelative(): boolean {
  return RELATIVE.test(parameter("to", "now"));
}

/** `start` and `end` as the API wants them. */
export function rangeQuery(range: TimeRange): { start: string; end: string } {
  return { start: String(range.start), end: String(range.end) };
}

/** The zone in which times are shown: `local`, `UTC`, or a name of the IANA database. */
export function currentZone(): string | undefined {
  const named = parameter("tz", "local");
  return named === "local" ? undefined : named;
}

/** A time, to the millisecond, in the chosen zone. */
export function showTime(ns: bigint, zone: string | undefined = currentZone()): string {
  const date = new Date(Number(ns / 1_000_000n));
  const options: Intl.DateTimeFormatOptions = {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    fractionalSecondDigits: 3, hourCycle: "h23", ...(zone ? { timeZone: zone } : {}),
  };
  try {
    const parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", options).formatToParts(date).map((part) => [part.type, part.value]));
    return `${parts["year"]}-${parts["month"]}-${parts["day"]} ${parts["hour"]}:${parts["minute"]}:${parts["second"]}.${parts["fractionalSecond"]}`;
  } catch {
    return date.toISOString().replace("T", " ").replace("Z", "");
  }
}

/** How long ago, in one unit: `5m ago`. */
export function showAge(ns: bigint, now: bigint = nowNs()): string {
  const seconds = Number((now - ns) / SECOND);
  if (seconds < 0) return "in the future";
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["m", 60]] as const) {
    if (seconds >= size) return `${Math.floor(seconds / size)}${unit} ago`;
  }
  return `${seconds}s ago`;
}
