// Spans of the trace in groups: who did the work, and who was waited for.
import { useMemo, useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { colorAmong } from "../../ui/colors";
import { showCount, showDuration, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { SortHead } from "../../ui/SortHead";
import { adjusters, pathOf, type LoadedTrace } from "./loading";

type Found = Schemas["TraceStatistics"];
type Group = Found["groups"][number];

const GROUPINGS: readonly [string, string][] = [
  ["service,operation", "service and operation"],
  ["service", "service"],
  ["operation", "operation"],
  ["kind", "kind"],
  ["status", "status"],
];
const ATTRIBUTE = "attribute.";

const COLUMNS = {
  spans: ["Spans", (group: Group) => group.spanCount],
  errors: ["Errors", (group: Group) => group.errorCount],
  self: ["Self time", (group: Group) => Number(group.selfNanos)],
  path: ["On the critical path", (group: Group) => Number(group.onPathNanos)],
  total: ["Together", (group: Group) => Number(group.totalNanos)],
  mean: ["Mean", (group: Group) => Number(group.meanNanos)],
  longest: ["Longest", (group: Group) => Number(group.maxNanos)],
} as const;
type Column = keyof typeof COLUMNS;

function isColumn(name: string): name is Column {
  return Object.hasOwn(COLUMNS, name);
}

export function Statistics({ traceId, trace }: { traceId: string; trace: LoadedTrace }) {
  const by = parameter("by", "service,operation");
  const query = { by: by.startsWith(ATTRIBUTE) ? [by] : by.split(","), adjust: adjusters() };
  const answer = useAnswer<Found>(`${pathOf(traceId)}/statistics`, { query, workspace: currentWorkspace() });
  const { data, loading } = answer;
  return (
    <div class={loading && data ? "stack loading" : "stack"}>
      <Grouping by={by} />
      <AnswerNote of={answer} what="statistics" />
      {data && <Groups traceId={traceId} trace={trace} found={data} />}
    </div>
  );
}

function Grouping({ by }: { by: string }) {
  const [key, setKey] = useState(by.startsWith(ATTRIBUTE) ? by.slice(ATTRIBUTE.length) : "");
  return (
    <div class="row" role="group" aria-label="Grouped by">
      By
      {GROUPINGS.map(([name, words]) => (
        <button key={name} type="button" class="button" aria-pressed={by === name} onClick={() => setParameters({ by: name })}>{words}</button>
      ))}
      <form class="row" onSubmit={(event) => { event.preventDefault(); if (key.trim()) setParameters({ by: ATTRIBUTE + key.trim() }); }}>
        <label class="row">
          or attribute
          <input value={key} size={22} placeholder="db.system" onInput={(event) => setKey(event.currentTarget.value)} />
        </label>
        <button type="submit" class="button" disabled={!key.trim()}>Group</button>
      </form>
    </div>
  );
}

function Groups({ traceId, trace, found }: { traceId: string; trace: LoadedTrace; found: Found }) {
  const named = parameter("sort", "self");
  const sort = isColumn(named) ? named : "self";
  const [, valueOf] = COLUMNS[sort];
  const groups = useMemo(() => [...found.groups].sort((one, other) => valueOf(other) - valueOf(one)), [found, sort]);
  return (
    <>
      <p class="soft">
        {showCount(found.roots)} {found.roots === 1 ? "root" : "roots"}, {showCount(found.leaves)} {found.leaves === 1 ? "span that calls" : "spans that call"} nothing,
        at most {showCount(found.widest)} {found.widest === 1 ? "call" : "calls"} of one span{found.missingParents > 0 && `, ${showCount(found.missingParents)} parents that have not come`}.
      </p>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="Statistics">
        <table class="data">
          <caption class="visually-hidden">Statistics by {found.by.join(" and ")}</caption>
          <thead>
            <tr>
              {found.by.map((name) => <th key={name} scope="col">{name.replace(ATTRIBUTE, "")}</th>)}
              {Object.entries(COLUMNS).map(([name, [label]]) => (
                <SortHead key={name} name={name} sort={sort} label={label} onSort={(chosen) => setParameters({ sort: chosen }, true)} />
              ))}
            </tr>
          </thead>
          <tbody>{groups.map((group) => <Row key={group.key.join("\0")} traceId={traceId} trace={trace} by={found.by} group={group} />)}</tbody>
        </table>
      </div>
    </>
  );
}

function Row({ traceId, trace, by, group }: { traceId: string; trace: LoadedTrace; by: readonly string[]; group: Group }) {
  return (
    <tr>
      {group.key.map((text, at) => (
        <td key={by[at]} class={by[at] === "service" ? "group-service" : "group-key"}>
          {by[at] === "service" && <><span class="dot" style={{ background: colorAmong(trace.colors, text) }} />{" "}</>}
          {text && (by[at] === "service" || by[at] === "operation")
            ? <a class={by[at] === "service" ? "name" : ""} href={linkTo(`/trace/${traceId}`, { find: text, adjust: adjusters().join(",") })} title="Find them in the waterfall">{text}</a>
            : text ? <span>{text}</span> : <span class="soft">(none)</span>}
        </td>
      ))}
      <td class="number">{showCount(group.spanCount)}</td>
      <td class={group.errorCount ? "number error-text" : "number"}>{showCount(group.errorCount)}</td>
      <td class="number">{showDuration(group.selfNanos)} <span class="small">{showShare(group.selfShare)}</span></td>
      <td class="number">{showDuration(group.onPathNanos)}</td>
      <td class="number">{showDuration(group.totalNanos)}</td>
      <td class="number">{showDuration(Number(group.meanNanos))}</td>
      <td class="number">{showDuration(group.maxNanos)}</td>
    </tr>
  );
}
