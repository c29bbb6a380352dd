// Moments as people type them: relative to now (`now-1h`), or absolute. Times are whole nanoseconds, as bigint.
import { momentOf } from "./zone";

export const SECOND = 1_000_000_000n;
const UNITS: Record<string, bigint> = { s: SECOND, m: 60n * SECOND, h: 3600n * SECOND, d: 86_400n * SECOND, w: 604_800n * SECOND };
const RELATIVE = /^now(?:-(\d{1,6})([smhdw]))?$/;

/** Nanoseconds since 1970, by the clock of this machine. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** What a text says: `now`, `now-15m`, seconds to nanoseconds since 1970, or a time such as `2026-03-01 12:00`. Undefined: neither.
 *
 * Times that do not name their zone are those of `zone`, which is that of this machine where there is none. */
export function parseMoment(text: string, now: bigint, zone: string | undefined): bigint | undefined {
  const said = text.trim();
  const relative = RELATIVE.exec(said);
  if (relative) return relative[1] ? now - BigInt(relative[1]) * (UNITS[relative[2] ?? ""] ?? 0n) : now;
  if (/^\d{10,19}$/.test(said)) return BigInt(said.padEnd(19, "0"));
  const milliseconds = momentOf(said, zone);
  return milliseconds === undefined ? undefined : BigInt(milliseconds) * 1_000_000n;
}

/** Whether a text moves on with time. */
export function isMoving(text: string): boolean {
  return RELATIVE.test(text.trim());
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
