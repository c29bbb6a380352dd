// What is kept of which services, and what holds for one.
import type { Schemas } from "../../api/client";
import type { Kind } from "../../objects/kind";
import { Objects } from "../../objects/Objects";
import { showShare } from "../../ui/format";
import { Check } from "./Check";

type Config = Schemas["TracingConfig"];

const TRACING_CONFIGS: Kind<Config> = {
  path: "tracing-configs",
  plural: "configs",
  schema: "TracingSettings",
  noun: "tracing config",
  nameOf: (config) => config.service,
  columns: [
    { head: "Keeps", cell: (config) => (config.enabled ? `${showShare(config.samplingRate)} of the traces` : "nothing") },
    { head: "Without", cell: (config) => config.excludedPaths.join(", ") },
    { head: "Comment", cell: (config) => <span class="said">{config.comment}</span> },
  ],
  first: ["service", "enabled", "samplingRate", "excludedPaths", "comment"],
  canToggle: true,
  canToggleMany: true,
  empty: (
    <p>
      Everything is kept. A tracing config says of a service, or of all that a glob such as <code>shop-*</code> matches, at what rate its traces are kept. It needs the
      processor <code>service_policy</code>, or SDKs with a remote sampler.
    </p>
  ),
};

export default function TracingView() {
  return (
    <div class="stack">
      <h1>Tracing</h1>
      <Check />
      <Objects kind={TRACING_CONFIGS} />
    </div>
  );
}
