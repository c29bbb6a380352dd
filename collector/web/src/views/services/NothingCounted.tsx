import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";
import { Empty } from "../../ui/notes";
import { SendSpans } from "../../ui/SendSpans";

/** Why there are no numbers: no spans at all, or nothing that counts them; and what to do in either case. */
export function NothingCounted({ range }: { range: TimeRange }) {
  const query = { ...rangeQuery(range), limit: 1 };
  const { data } = useAnswer<Schemas["Services"]>("/api/v1/services", { query, workspace: currentWorkspace() });
  if (data?.services.length) {
    return (
      <Empty title="There are spans, but nothing counts them">
        <p>Rates, errors and durations are counted on the way in. Put these into the pipeline in <code>collector.yaml</code>:</p>
        <pre>processors:{"\n"}  red_metrics:{"\n"}  topology:{"\n\n"}service:{"\n"}  pipelines:{"\n"}    traces:{"\n"}      processors: [red_metrics, topology, batch]</pre>
        <p>Until then, <a href={linkTo("/search")}>search the traces</a>.</p>
      </Empty>
    );
  }
  return (
    <Empty title="No service has sent spans in this time range">
      <p>Choose a longer time range above, or send spans.</p>
      <SendSpans />
    </Empty>
  );
}
