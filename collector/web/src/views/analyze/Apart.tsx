// What some spans have that the others have not: where to look for the cause.
import type { Query, Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, showSecond, type TimeRange } from "../../time/range";
import { showCount, showDuration, showShare } from "../../ui/format";
import { AnswerNote, Incomplete } from "../../ui/notes";
import { readBox, type Box } from "./heatMap";
import { searchOf } from "./searches";

type Found = Schemas["SpanDifferences"];
type Value = Found["differences"][number]["values"][number];

const SHOWN = 10;
const MORE = 50;
/** These say of failed spans no more than that they failed. */
const OF_FAILURE = ["field status", "field status.message"];

interface Props {
  /** What all spans fit, those that are compared and those that they are compared with. */
  conditions: Query;
  range: TimeRange;
  /** The duration in nanoseconds from which on spans are called slow. */
  slow: number;
}

/** Spans that can be compared with the others. */
interface Way {
  words: string;
  query: Query;
  /** What everybody knows of them. */
  known: readonly string[];
}

export function Apart({ conditions, range, slow }: Props) {
  const box = readBox(parameter("box"));
  const chosen = parameter("apart", box ? "box" : "");
  const ways: Record<string, Way> = {
    failed: { words: "Failed spans", query: { selection: "status = error" }, known: OF_FAILURE },
    slow: { words: `Spans over ${showDuration(slow)}`, query: { selection: `duration > ${Math.round(slow)}ns` }, known: [] },
    ...(box && { box: { words: boxWords(box), query: boxQuery(box, range), known: [] } }),
  };
  const way = ways[chosen];
  return (
    <section class="card stack" aria-label="What sets them apart">
      <h2>What sets them apart</h2>
      <div class="row" role="group" aria-label="Which spans are compared with the others">
        {Object.entries(ways).map(([name, { words }]) => (
          <button key={name} type="button" class="button" aria-pressed={name === chosen} onClick={() => setParameters({ apart: name === chosen ? null : name, ...(box && name === chosen ? { box: null } : {}) }, true)}>{words}</button>
        ))}
        {box && <button type="button" class="button plain" onClick={() => setParameters({ box: null, apart: null }, true)}>Choose nothing in the map</button>}
      </div>
      {way ? <Compared query={{ ...conditions, ...rangeQuery(range), ...way.query }} known={conditions["service"] ? [...way.known, "field service"] : way.known} timed={chosen === "box"} />
        : <p class="soft">Compares them with the other spans, by all of their attributes. Drag over a part of the map above to compare that.</p>}
    </section>
  );
}

function boxWords({ start, end, durations }: Box): string {
  const times = `${showSecond(start)} to ${showSecond(end).slice(11)}`;
  return durations ? `${showDuration(durations.from)} to ${showDuration(durations.to)}, ${times}` : times;
}

/** A part of some durations is compared with spans of all other durations; one of all durations with the time before it, which is as
 * long as itself where the map begins with it. */
function boxQuery({ start, end, durations }: Box, range: TimeRange): Query {
  const selected = { start: String(start), end: String(end) };
  if (durations) {
    const { from, to } = durations;
    const others = { baselineStart: String(range.start), baselineEnd: String(range.end), baseline: `duration < ${from}ns or duration > ${to}ns` };
    return { ...selected, ...others, selection: `duration >= ${from}ns and duration <= ${to}ns` };
  }
  return { ...selected, baselineStart: String(start > range.start ? range.start : start - (end - start)), baselineEnd: String(start) };
}

function Compared({ query, known, timed }: { query: Query; known: readonly string[]; timed: boolean }) {
  const all = parameter("differences") === "all";
  const asked = { ...query, limit: (all ? MORE : SHOWN) + OF_FAILURE.length + 1, values: 1 };
  const answer = useAnswer<Found>("/api/v1/analysis/differences", { query: asked, workspace: currentWorkspace() });
  const { data, loading } = answer;
  if (!data) return <AnswerNote of={answer} what="differences" />;
  const rows = data.differences.filter(({ level, key }) => !known.includes(`${level} ${key}`)).slice(0, all ? MORE : SHOWN);
  if (!data.selection.spans || !data.baseline.spans) return <p class="soft">{data.selection.spans ? "There are no others to compare them with." : "No span is such."}</p>;
  if (!rows.length) return <p class="soft">Nothing: no attribute has other values among them than among the others.</p>;
  return (
    <div class={loading ? "stack loading" : "stack"}>
      <AnswerNote of={answer} what="differences" />
      {!data.complete && data.incompleteBecause && <Incomplete reason={data.incompleteBecause} />}
      <div class="scroll-x">
        <table class="data" aria-label="What sets them apart">
          <thead>
            <tr>
              <th scope="col">Attribute and value</th>
              <th scope="col" class="number">Of {showCount(data.selection.spans)} such</th>
              <th scope="col" class="number">Of {showCount(data.baseline.spans)} others</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ level, key, values: [value] }) => value && (
              <tr key={`${level} ${key}`}>
                <th scope="row" class="wrapped">
                  <span class="soft">{level === "field" || level === "span" ? "" : `${level}: `}{key}</span> <Searched value={value} whole={data.search} timed={timed} />
                </th>
                <Share share={value.selection.share} look="bad" />
                <Share share={value.baseline.share} look="" />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {(all || data.total > rows.length + known.length) && (
        <p><button type="button" class="button" onClick={() => setParameters({ differences: all ? null : "all" }, true)}>{all ? "Fewer" : "More"}</button></p>
      )}
    </div>
  );
}

/** The value, as a search for the spans that have it; `timed` within the time of those that are compared. */
function Searched({ value: { value, search }, whole, timed }: { value: Value; whole: Found["search"]; timed: boolean }) {
  const text = value || "(nothing)";
  if (!search) return <b>{text}</b>;
  const { start, end } = whole;
  return <a href={linkTo("/search", searchOf(whole, timed ? { start, end, ...search } : search))}>{text}</a>;
}

function Share({ share, look }: { share: number | string; look: string }) {
  return (
    <td class="number">
      <span class={`share-bar ${look}`} style={{ width: `${Number(share) * 4}rem` }} /> {showShare(share)}
    </td>
  );
}
