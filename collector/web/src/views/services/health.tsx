import type { Schemas } from "../../api/client";

export type Service = Schemas["Dashboard"]["services"][number];
export type Health = Service["health"];

/** What a state is called, and its look. */
const LOOKS: Record<Health, [string, string]> = { failing: ["failing", "error"], degraded: ["degraded", "warn"], idle: ["idle", "plain"], healthy: ["healthy", "good"] };

/** How a service does, and why. */
export function HealthBadge({ health, reasons }: { health: Health; reasons: readonly string[] }) {
  const [word, look] = LOOKS[health];
  return <span class={`badge ${look}`} title={reasons.join("\n")}>{word}</span>;
}
