import type { Schemas } from "../../api/client";
import { showDuration, showRate } from "../../ui/format";

const OF_SEVERITY: Record<string, string> = { critical: "error", error: "error", warning: "warn", info: "plain" };
const OF_STATUS: Record<string, string> = { active: "error", acknowledged: "warn", pending: "warn", resolved: "good", inactive: "plain" };

export function Severity({ severity }: { severity: string }) {
  return <span class={`badge ${OF_SEVERITY[severity] ?? "plain"}`}>{severity}</span>;
}

export function Status({ status, flapping }: { status: string; flapping?: boolean }) {
  return (
    <>
      <span class={`badge ${OF_STATUS[status] ?? "plain"}`}>{status}</span>
      {flapping && <> <span class="badge plain" title="It comes and goes, and stays active until it was quiet for long enough">flapping</span></>}
    </>
  );
}

/** Labels as chips; the words where there are none. */
export function Labels({ labels, otherwise = "all spans" }: { labels: Record<string, string>; otherwise?: string }) {
  const named = Object.entries(labels);
  if (!named.length) return <span class="soft">{otherwise}</span>;
  return <>{named.map(([name, value]) => <span key={name} class="label-pair"><span class="soft">{name}</span> {value || "(none)"} </span>)}</>;
}

/** A value of an alert, in its unit. */
export function showMeasured(value: number | null, unit: Schemas["AlertEvent"]["unit"]): string {
  if (value === null) return "nothing";
  if (unit === "s") return showDuration(value * 1e9);
  return unit === "1/s" ? showRate(value) : value.toPrecision(3);
}
