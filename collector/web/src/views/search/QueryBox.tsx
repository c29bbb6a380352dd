// The query in words, which completes names and values and says in plain language what is wrong with it.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ask, type ApiError, type Schemas } from "../../api/client";
import { go, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { currentRange, rangeQuery } from "../../time/range";
import { linkToNamed } from "../trace/linkToNamed";
import { typed } from "./typed";

const FIELDS = [
  "service", "name", "kind", "status", "status.message", "duration", "scope.name", "event.name", "trace.duration", "trace.spans", "trace.errors",
  "trace.root.service", "trace.root.name", "trace.annotation",
];
const FIXED: Record<string, readonly string[]> = {
  kind: ["unspecified", "internal", "server", "client", "producer", "consumer"],
  status: ["unset", "ok", "error"],
};
const MOST = 12;
const PAUSE_MS = 120;

interface Props {
  error: ApiError | undefined;
  /** What is done when the query that is shown is asked for once more. */
  onAgain: () => void;
  verb?: string;
}

export function QueryBox({ error, onAgain, verb = "Search" }: Props) {
  const [text, setText] = useState(parameter("q"));
  const [choices, setChoices] = useState<readonly string[]>([]);
  const [marked, setMarked] = useState(-1);
  const box = useRef<HTMLInputElement>(null);
  const list = useId();
  const inUrl = parameter("q");
  useEffect(() => setText(inUrl), [inUrl]);
  const suggest = useSuggestions(setChoices, setMarked);
  const close = (): void => { setChoices([]); setMarked(-1); };
  const run = (): void => {
    suggest("");
    close();
    const trace = linkToNamed(text);
    if (trace) go(trace);
    else if (text.trim() === inUrl) onAgain();
    else setParameters({ q: text.trim() });
  };
  const take = (choice: string): void => {
    const at = box.current?.selectionStart ?? text.length;
    const head = text.slice(0, at);
    const { name, part } = typed(head);
    const written = name && !/^[\w.\-]+$/.test(choice) ? JSON.stringify(choice) : choice;
    const opened = name && head.slice(0, head.length - part.length).endsWith('"');
    const next = head.slice(0, head.length - part.length - (opened ? 1 : 0)) + (opened ? JSON.stringify(choice) : written) + " ";
    setText(next + text.slice(at));
    close();
    box.current?.focus();
  };
  return (
    <form role="search" class="query" onSubmit={(event) => { event.preventDefault(); run(); }}>
      <div class="query-box">
        <input ref={box} type="text" spellcheck={false} autocomplete="off" aria-label="Query" aria-invalid={Boolean(error)} aria-describedby={error ? `${list}-error` : undefined}
          role="combobox" aria-expanded={choices.length > 0} aria-controls={list} aria-activedescendant={marked >= 0 ? `${list}-${marked}` : undefined} aria-autocomplete="list"
          placeholder='service = checkout and http.response.status_code >= 500 and duration > 250ms, or a trace id' value={text}
          onInput={(event) => { setText(event.currentTarget.value); suggest(event.currentTarget.value.slice(0, event.currentTarget.selectionStart ?? undefined)); }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" && choices.length) { setMarked((marked + 1) % choices.length); event.preventDefault(); }
            else if (event.key === "ArrowUp" && choices.length) { setMarked((marked + choices.length - 1) % choices.length); event.preventDefault(); }
            else if ((event.key === "Enter" || event.key === "Tab") && marked >= 0) { take(choices[marked] as string); event.preventDefault(); }
            else if (event.key === "Escape") close();
          }}
          onBlur={() => setTimeout(close, 150)} />
        <ul id={list} role="listbox" aria-label="Completions" hidden={!choices.length}>
          {choices.map((choice, at) => (
            <li key={choice} id={`${list}-${at}`} role="option" aria-selected={at === marked} onMouseDown={(event) => { event.preventDefault(); take(choice); }}>
              {choice}
            </li>
          ))}
        </ul>
      </div>
      <button type="submit" class="button primary">{verb}</button>
      {error && <p id={`${list}-error`} class="error-text query-error" role="alert">{error.detail}</p>}
    </form>
  );
}

function useSuggestions(show: (choices: readonly string[]) => void, mark: (at: number) => void): (head: string) => void {
  const timer = useRef(0);
  const asked = useRef(0);
  const stop = (): void => {
    window.clearTimeout(timer.current);
    asked.current += 1;
  };
  useEffect(() => stop, []);
  return (head) => {
    stop();
    if (!head) return show([]);
    timer.current = window.setTimeout(() => {
      const round = asked.current;
      const take = (choices: readonly string[]): void => {
        if (round !== asked.current) return;
        show(choices);
        mark(-1);
      };
      // What cannot be completed is typed to its end; the search itself tells what is wrong.
      find(head).then(take, () => take([]));
    }, PAUSE_MS);
  };
}

async function find(head: string): Promise<readonly string[]> {
  const { name, part } = typed(head);
  if (!name && !part) return [];
  const query = { ...rangeQuery(currentRange()), prefix: part, limit: MOST };
  const workspace = currentWorkspace();
  const begins = (choice: string): boolean => choice.startsWith(part) && choice !== part;
  if (!name) {
    const tags = await ask<Schemas["Tags"]>("/api/v1/tags", { query, workspace });
    return [...FIELDS, ...tags.tags.map((tag) => tag.key)].filter(begins).slice(0, MOST);
  }
  const fixed = FIXED[name];
  if (fixed) return fixed.filter(begins);
  if (name === "service") {
    const services = await ask<Schemas["Services"]>("/api/v1/services", { query: { ...rangeQuery(currentRange()) }, workspace });
    return services.services.map((service) => service.name).filter(begins).slice(0, MOST);
  }
  const key = name.replace(/^(span|resource|scope|event|link|any)\./, "");
  const values = await ask<Schemas["TagValues"]>(`/api/v1/tags/${encodeURIComponent(key)}/values`, { query, workspace });
  return values.values.filter(begins);
}
