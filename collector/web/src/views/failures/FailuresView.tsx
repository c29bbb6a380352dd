// What fails on purpose: the switch that ends all of it, what holds now, and the rules.
import type { Schemas } from "../../api/client";
import type { Kind } from "../../objects/kind";
import { Objects } from "../../objects/Objects";
import { nameInWords } from "../../objects/shape";
import { showMinute } from "../../time/range";
import { showShare } from "../../ui/format";
import "./failures.css";
import { HoldsNow } from "./HoldsNow";
import { Switch } from "./Switch";

type Rule = Schemas["FailureRule"];

const HOUR_MS = 3_600_000;

const FAILURE_RULES: Kind<Rule> = {
  path: "failure-rules",
  plural: "failureRules",
  schema: "FailureRuleSettings",
  noun: "failure rule",
  nameOf: (rule) => rule.name,
  columns: [
    { head: "Service", cell: (rule) => <code>{rule.service}</code> },
    { head: "Fails by", cell: (rule) => `${nameInWords(rule.failure.type ?? "")}, in ${showShare(rule.probability)} of the traces` },
    { head: "Until", cell: (rule) => <Until rule={rule} /> },
  ],
  first: ["name", "service", "failure", "probability", "endsAt", "match"],
  begin: () => ({ endsAt: new Date(Date.now() + HOUR_MS).toISOString() }),
  canToggle: true,
  empty: (
    <p>
      A failure rule makes requests of a service fail or wait, for a while and for a share of the traces, so that you see what happens then. Services follow it by their
      SDK; load tests and saved requests do, too.
    </p>
  ),
};

export default function FailuresView() {
  return (
    <div class="stack">
      <h1>Failures on purpose</h1>
      <Switch />
      <HoldsNow />
      <Objects kind={FAILURE_RULES} />
    </div>
  );
}

function Until({ rule }: { rule: Rule }) {
  const now = Date.now();
  const state = Date.parse(rule.endsAt) <= now ? "over" : rule.startsAt && Date.parse(rule.startsAt) > now ? "to come" : rule.enabled ? "" : "off";
  return <>{showMinute(BigInt(Date.parse(rule.endsAt)) * 1_000_000n)} {state && <span class="badge plain">{state}</span>}</>;
}
