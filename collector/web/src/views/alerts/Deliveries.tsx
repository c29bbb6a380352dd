// What came of telling people: which channel took what, and what went wrong.
import type { Schemas } from "../../api/client";
import { linkTo, parameter, setParameters } from "../../app/location";
import { useList } from "../../objects/useList";
import { showSecond } from "../../time/range";
import { Listing } from "../../ui/Listing";
import { Empty } from "../../ui/notes";

type Delivery = Schemas["AlertDeliveries"]["deliveries"][number];

const OUTCOMES = ["", "delivered", "retrying", "failed", "disabled", "gone"] as const;
const BADGES: Record<string, string> = { delivered: "good", retrying: "warn", failed: "error", disabled: "plain", gone: "plain" };

export function Deliveries() {
  const outcome = parameter("outcome");
  const listed = useList<Delivery>("alert-deliveries", "deliveries", { outcome, limit: 50 });
  return (
    <section class="stack">
      <div class="row" role="group" aria-label="Outcome">
        {OUTCOMES.map((each) => (
          <button key={each} type="button" class="button" aria-pressed={outcome === each} onClick={() => setParameters({ outcome: each })}>{each || "all"}</button>
        ))}
      </div>
      <Listing what="Deliveries" of={listed} heads={["When", "Channel", "What", "Outcome", "Attempts", "Answer"]}
        empty={<Empty title="Nothing was sent"><p>Rules name channels, by which people are told. Test a channel to see whether it gets through.</p></Empty>}>
        {listed.data?.map((each) => (
          <tr key={`${each.eventKey} ${each.channelId}`}>
            <td class="when">{showSecond(BigInt(each.atUnixNano))}</td>
            <td>{each.channelName || "gone"} <span class="soft">{each.channelType}</span></td>
            <td>{each.alertId ? <a href={linkTo("/alerts", { alert: each.alertId })}>{each.what}</a> : each.what}</td>
            <td><span class={`badge ${BADGES[each.outcome] ?? "plain"}`}>{each.outcome}</span></td>
            <td class="number">{each.attempts}</td>
            <td class="said">{each.reason}{each.status ? ` (${each.status})` : ""} {each.answer}</td>
          </tr>
        ))}
      </Listing>
    </section>
  );
}
