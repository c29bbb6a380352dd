// What spans of one group agree in.
import { useState } from "preact/hooks";
import type { Query, Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";
import { serviceColor } from "../../ui/colors";

const FIELDS = ["service", "operation", "kind", "status", "status.message", "scope.name"];
const MOST = 5;
const OFFERED = 200;

/** The fields and attributes that the URL names; otherwise services, or the operations of the one that is asked for. */
export function groupedBy({ service }: Query): readonly string[] {
  const said = parameter("by").split(",").filter(Boolean);
  return said.length ? said.slice(0, MOST) : [service ? "operation" : "service"];
}

export function GroupBy({ by, range }: { by: readonly string[]; range: TimeRange }) {
  const [text, setText] = useState("");
  const { data } = useAnswer<Schemas["Tags"]>("/api/v1/tags", { query: { ...rangeQuery(range), limit: OFFERED }, workspace: currentWorkspace() });
  const keys = data?.tags.filter(({ levels }) => levels.some((level) => level === "span" || level === "resource")).map(({ key }) => key) ?? [];
  const choose = (wanted: readonly string[]): void => setParameters({ by: wanted.join(",") });
  const offered = FIELDS.slice(0, 4).filter((field) => !by.includes(field));
  return (
    <div class="row" role="group" aria-label="Grouped by">
      Grouped by
      {by.map((key) => (
        <span key={key} class="chip">
          <b>{key}</b>
          <button type="button" aria-label={`Do not group by ${key}`} onClick={() => choose(by.filter((each) => each !== key))}>×</button>
        </span>
      ))}
      {by.length < MOST && (
        <>
          {offered.map((field) => (
            <button key={field} type="button" class="button plain" onClick={() => choose([...by, field])}>+ {field}</button>
          ))}
          <form class="row" onSubmit={(event) => {
            event.preventDefault();
            if (text.trim() && !by.includes(text.trim())) choose([...by, text.trim()]);
            setText("");
          }}>
            <label>
              <span class="visually-hidden">Attribute to group by</span>
              <input list="group-choices" value={text} placeholder="http.route" onInput={(event) => setText(event.currentTarget.value)} />
            </label>
            <datalist id="group-choices">{[...FIELDS, ...keys].map((key) => <option key={key} value={key} />)}</datalist>
            <button type="submit" class="button" disabled={!text.trim()}>Add</button>
          </form>
        </>
      )}
    </div>
  );
}

/** What groups agree in, as the head of their column. */
export function headOf(by: readonly string[]): string {
  return by.map(nameOf).join(" · ");
}

/** What the spans of a group agree in. */
export function wordsOf(by: readonly string[], texts: readonly string[]): string {
  return texts.map((text, at) => text || `(no ${nameOf(by[at] ?? "")})`).join(" · ") || "all spans";
}

/** The language of the search box calls the name of a span so. */
function nameOf(key: string): string {
  return key === "name" ? "operation" : key;
}

/** What the spans of a group agree in, which leads to their traces; in a colour, or in that of their service. */
export function GroupName({ by, texts, href, color }: { by: readonly string[]; texts: readonly string[]; href: string | undefined; color?: string | undefined }) {
  const service = texts[by.indexOf("service")];
  const shown = color ?? (service === undefined ? undefined : serviceColor(service));
  const words = wordsOf(by, texts);
  return (
    <>
      {shown !== undefined && <><span class="dot" style={{ background: shown }} />{" "}</>}
      {href ? <a href={href}>{words}</a> : words}
    </>
  );
}
