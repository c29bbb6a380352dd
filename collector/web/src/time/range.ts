// The time range and the zone that the URL names, and times in that zone.
import { parameter } from "../app/location";
import { isMoving, nowNs, parseMoment, SECOND } from "./moment";
import { clockAt, isZone } from "./zone";

export interface TimeRange {
  start: bigint;
  end: bigint;
}

/** The range that the URL names, an hour until now otherwise. */
export function currentRange(now: bigint = nowNs()): TimeRange {
  const zone = currentZone();
  const end = parseMoment(parameter("to", "now"), now, zone) ?? now;
  const start = parseMoment(parameter("from", "now-1h"), now, zone) ?? end - 3600n * SECOND;
  return start < end ? { start, end } : { start: end - SECOND, end };
}

/** Whether the range ends now, and so moves on with time. */
export function isRelative(): boolean {
  return isMoving(parameter("to", "now"));
}

/** `start` and `end` as the API wants them: in seconds, since it takes small numbers for those, whatever is meant. */
export function rangeQuery(range: TimeRange): { start: string; end: string } {
  return { start: inSeconds(range.start), end: inSeconds(range.end) };
}

function inSeconds(ns: bigint): string {
  return `${ns / SECOND}.${String(ns % SECOND).padStart(9, "0")}`;
}

/** The zone in which times are shown, a name of the IANA database; undefined for that of this machine. */
export function currentZone(): string | undefined {
  const named = parameter("tz", "local");
  return named !== "local" && isZone(named) ? named : undefined;
}

/** A time, to the millisecond, in the chosen zone. */
export function showTime(ns: bigint): string {
  return clockAt(Number(ns / 1_000_000n), currentZone());
}

/** A time, to the second, in the chosen zone. */
export function showSecond(ns: bigint): string {
  return showTime(ns).slice(0, 19);
}

/** The time of day, to the second, in the chosen zone. */
export function showClock(ns: bigint): string {
  return showTime(ns).slice(11, 19);
}

/** A time, to the minute, in the chosen zone. */
export function showMinute(ns: bigint): string {
  return showTime(ns).slice(0, 16);
}
