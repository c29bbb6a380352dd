// Alert rules: making them, trying them out over the past, and trying whether people are told.
import { useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { inWorkspace } from "../../app/workspace";
import type { Kind } from "../../objects/kind";
import { Objects } from "../../objects/Objects";
import { Confirm } from "../../ui/Dialog";
import { tell, tellError } from "../../ui/toasts";
import { Severity } from "./badges";
import { DryRun } from "./DryRun";
import { ChannelPicker } from "./pickers";

type Rule = Schemas["AlertRule"];

const RULES: Kind<Rule> = {
  path: "alert-rules",
  plural: "alertRules",
  schema: "AlertRuleSettings",
  noun: "alert rule",
  nameOf: (rule) => rule.name,
  columns: [
    { head: "Severity", cell: (rule) => <Severity severity={rule.severity} /> },
    { head: "Measures", cell: (rule) => conditionInWords(rule.condition as unknown as Record<string, unknown>) },
    { head: "Of", cell: (rule) => scopeInWords(rule) },
  ],
  first: ["name", "condition", "scope", "by", "window", "for", "severity", "channels"],
  pickers: { channels: ChannelPicker },
  canToggle: true,
  empty: (
    <p>
      A rule says what is too slow, fails too often, or is missing. It needs the processor <code>red_metrics</code> in the pipeline, and the extension{" "}
      <code>alerting</code>. Try it out over the past before you save it.
    </p>
  ),
};

export function Rules() {
  return <Objects kind={RULES} actions={(rule) => <TestRule rule={rule} />} extra={(settings) => <DryRun settings={settings} />} />;
}

function TestRule({ rule }: { rule: Rule }) {
  const [asking, setAsking] = useState(false);
  const test = (): void => {
    ask<Schemas["AlertTest"]>(inWorkspace(`alert-rules/${rule.id}/test`), { method: "POST", body: {} }).then(
      (made) => tell(`${made.channels.length} ${made.channels.length === 1 ? "channel is" : "channels are"} being told; Deliveries say what comes of it`),
      tellError,
    );
  };
  return (
    <>
      <button type="button" class="button" aria-label={`Test-fire ${rule.name}`} onClick={() => setAsking(true)}>Test</button>
      {asking && (
        <Confirm title="Send a test?" verb="Send" onClose={() => setAsking(false)} onConfirm={test}
          detail={rule.channels.length ? `The channels of “${rule.name}” are told that this is a test.` : "This rule names no channel, so nobody is told."} />
      )}
    </>
  );
}

/** `p99 above 500ms`. */
function conditionInWords({ measure, of, above, below, objective }: Record<string, unknown>): string {
  const what = measure === "change" ? `${String(of)} against before` : measure === "latency" ? String(of ?? "p99") : String(measure).replace(/[A-Z]/g, (each) => ` ${each.toLowerCase()}`);
  const bounds = [above != null ? `above ${String(above)}` : "", below != null ? `below ${String(below)}` : "", objective != null ? `of ${String(objective)}` : ""];
  return [what, ...bounds.filter(Boolean)].join(" ");
}

function scopeInWords({ scope, by }: Rule): string {
  const said = [scope.service, scope.operation, scope.kind, scope.where].filter(Boolean).join(" · ");
  return `${said || "all spans"}${by.length ? `, each ${by.join(", ")}` : ""}`;
}
