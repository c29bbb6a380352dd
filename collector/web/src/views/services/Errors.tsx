// Why spans of a service failed, by what they say of it.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";
import { showCount, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";

type Breakdown = Schemas["ErrorBreakdown"];

const ASPECTS = [["message", "By message"], ["exception", "By exception"], ["httpStatus", "By HTTP status"], ["operation", "By operation"]] as const;
const SHOWN = 5;

export function Errors({ service, range }: { service: string; range: TimeRange }) {
  const query = { ...rangeQuery(range), service, limit: SHOWN };
  const answer = useAnswer<Breakdown>("/api/v1/analysis/errors", { query, workspace: currentWorkspace() });
  const { data } = answer;
  return (
    <section class="card stack" aria-label="Errors">
      <h2>Errors</h2>
      <AnswerNote of={answer} what="errors" />
      {data && data.errors === 0 && <p class="soft">No span of this service failed.</p>}
      {data && Number(data.errors) > 0 && (
        <>
          <p class="soft">
            {showCount(data.errors)} of {showCount(data.count)} spans failed, {showShare(data.errorRate)}.
          </p>
          {ASPECTS.map(([aspect, title]) => <Causes key={aspect} title={title} aspect={aspect} causes={data.by[aspect]} service={service} />)}
        </>
      )}
    </section>
  );
}

function Causes({ title, aspect, causes: { causes, total }, service }: { title: string; aspect: string; causes: Breakdown["by"]["message"]; service: string }) {
  const said = causes.filter((cause) => cause.key.some(Boolean));
  if (!said.length) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul class="causes">
        {said.map((cause) => {
          const words = (cause.search as { q?: string[] } | null)?.q;
          const text = aspect === "operation" ? cause.key[1] : cause.key.join(" ");
          return (
            <li key={cause.key.join("\n")}>
              <span class="number" title={`${showCount(cause.count)} spans`}>{showShare(cause.share)}</span>
              {words ? <a href={linkTo("/search", { service, status: "error", q: words.join(" and ") })}>{text}</a> : <span>{text}</span>}
              <a class="small" href={linkTo(`/trace/${cause.lastTraceId}`, { span: cause.lastSpanId })} aria-label={`Latest trace with ${text}`}>latest</a>
            </li>
          );
        })}
      </ul>
      {total > causes.length && <p class="small">and {total - causes.length} others</p>}
    </div>
  );
}
