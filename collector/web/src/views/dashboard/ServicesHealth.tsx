import { useMemo } from "preact/hooks";
import { linkTo } from "../../app/location";
import { showDuration, showRate, showShare } from "../../ui/format";
import { HealthBadge, type Service } from "../services/health";
import { badnessOf } from "../services/rows";
import { ServiceLink } from "../services/ServiceLink";

const SHOWN = 12;

/** The services, the worst first, each with why it is called so. */
export function ServicesHealth({ services }: { services: readonly Service[] }) {
  const bad = services.filter((service) => service.health === "failing" || service.health === "degraded").length;
  const worst = useMemo(() => [...services].sort((one, other) => badnessOf(other) - badnessOf(one)), [services]);
  return (
    <section class="stack" aria-label="Services">
      <h2>
        Services <span class="soft">{bad ? `${bad} of ${services.length} do not do well` : `all ${services.length} do well`}</span>
      </h2>
      <ul class="health-cards">
        {worst.slice(0, SHOWN).map((service) => {
          const { current: now, health, reasons } = service;
          return (
            <li key={service.service} class={`card ${health}`}>
              <div class="row spread">
                <span>
                  <ServiceLink name={service.service} />
                </span>
                <HealthBadge health={health} reasons={reasons} />
              </div>
              {now && <div class="small">{showRate(now.perSecond)} · {showShare(now.errorRate)} failed · 95 % in {showDuration(Number(now.p95Nanos))}</div>}
              {health !== "healthy" && <div class="small">{reasons.join("; ")}</div>}
            </li>
          );
        })}
      </ul>
      {services.length > SHOWN && <p><a href={linkTo("/services")}>All {services.length} services</a></p>}
    </section>
  );
}
