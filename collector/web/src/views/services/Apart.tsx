// What the failed or the slow spans of a service have that its others have not: where to look for the cause.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";
import { showCount, showDuration, showShare } from "../../ui/format";
import { ErrorNote, Incomplete, Loading } from "../../ui/notes";

type Found = Schemas["SpanDifferences"];
type Value = Found["differences"][number]["values"][number];

const SHOWN = 10;
/** These say no more than that spans failed, or of which service they are. */
const KNOWN = ["field status", "field status.message", "field service"];

/** `slow` is the duration in nanoseconds from which on spans are called slow. */
export function Apart({ service, range, slow }: { service: string; range: TimeRange; slow: number }) {
  const chosen = parameter("apart");
  const ways = [["failed", "Failed spans", "status = error"], ["slow", `Spans over ${showDuration(slow)}`, `duration > ${Math.round(slow)}ns`]] as const;
  const selection = ways.find(([way]) => way === chosen)?.[2];
  return (
    <section class="card stack" aria-label="What sets them apart">
      <h2>What sets them apart</h2>
      <div class="row" role="group" aria-label="Which spans are compared with all others of the service">
        {ways.map(([way, words]) => (
          <button key={way} type="button" class="button" aria-pressed={way === chosen} onClick={() => setParameters({ apart: way === chosen ? null : way }, true)}>{words}</button>
        ))}
      </div>
      {selection ? <Compared service={service} range={range} selection={selection} />
        : <p class="soft">Compares them with the other spans of this service, by all of their attributes.</p>}
    </section>
  );
}

function Compared({ service, range, selection }: { service: string; range: TimeRange; selection: string }) {
  const query = { ...rangeQuery(range), service, selection, limit: SHOWN + KNOWN.length, values: 1 };
  const { data, error, again } = useAnswer<Found>("/api/v1/analysis/differences", { query, workspace: currentWorkspace() });
  if (error) return <ErrorNote error={error} onRetry={again} />;
  if (!data) return <Loading what="differences" />;
  const rows = data.differences.filter(({ level, key }) => !KNOWN.includes(`${level} ${key}`)).slice(0, SHOWN);
  if (!data.selection.spans || !data.baseline.spans) return <p class="soft">{data.selection.spans ? "All spans are such." : "No span is such."}</p>;
  if (!rows.length) return <p class="soft">Nothing: no attribute has other values among them than among the others.</p>;
  return (
    <>
      {!data.complete && data.incompleteBecause && <Incomplete reason={data.incompleteBecause} />}
      <div class="scroll-x">
        <table class="data" aria-label="What sets them apart">
          <thead>
            <tr>
              <th scope="col">Attribute and value</th>
              <th scope="col" class="number">Of {showCount(data.selection.spans)} such</th>
              <th scope="col" class="number">Of the others</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ level, key, values: [value] }) => value && (
              <tr key={`${level} ${key}`}>
                <th scope="row" class="wrapped">
                  <span class="soft">{level === "field" || level === "span" ? "" : `${level}: `}{key}</span> <Searched value={value} service={service} />
                </th>
                <Share share={value.selection.share} look="bad" />
                <Share share={value.baseline.share} look="" />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** The value, as a search for the spans that have it. */
function Searched({ value: { value, search }, service }: { value: Value; service: string }) {
  const words = (search as { q?: string[] } | null)?.q;
  const text = value || "(nothing)";
  return words ? <a href={linkTo("/search", { service, q: words.join(" and ") })}>{text}</a> : <b>{text}</b>;
}

function Share({ share, look }: { share: number | string; look: string }) {
  return (
    <td class="number">
      <span class={`share-bar ${look}`} style={{ width: `${Number(share) * 4}rem` }} /> {showShare(share)}
    </td>
  );
}
