// What a dry run tells, as bars over time: one line for each alert.
import type { Schemas } from "../../api/client";

export type Moment = Schemas["AlertRuleDryRun"]["moments"][number];

export interface Bar {
  status: Moment["status"];
  /** Nanoseconds since 1970; the end is where another status begins, or the range ends. */
  from: bigint;
  to: bigint;
  value: number | null;
}

export interface Line {
  group: Record<string, string>;
  bars: Bar[];
  /** So often people would have been told that it is wrong. */
  fired: number;
}

const CALM = new Set(["inactive", "resolved"]);

/** The lines of all alerts, the one that fired most often first. */
export function linesOf(moments: readonly Moment[], end: bigint): Line[] {
  const lines = new Map<string, { line: Line; open: Bar | undefined }>();
  for (const { group, status, atUnixNano, value, told } of moments) {
    const key = JSON.stringify(Object.entries(group).sort());
    const known = lines.get(key) ?? { line: { group, bars: [], fired: 0 }, open: undefined };
    lines.set(key, known);
    if (told === "fired") known.line.fired += 1;
    if (known.open?.status === status) continue;
    if (known.open) known.open.to = BigInt(atUnixNano);
    known.open = CALM.has(status) ? undefined : { status, from: BigInt(atUnixNano), to: end, value };
    if (known.open) known.line.bars.push(known.open);
  }
  return [...lines.values()].map(({ line }) => line).sort((one, other) => other.fired - one.fired);
}
