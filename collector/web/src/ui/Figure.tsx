import { growth } from "./steps";

interface Props {
  name: string;
  now: number | string | undefined;
  before: number | string | undefined;
  format: (value: number) => string;
  /** Whether more of it is worse, better, or neither. */
  more: "worse" | "better" | "neither";
}

/** Less of a change than this is none that anybody needs to know of. */
const NOTABLE = 0.1;

/** One number, and beside it what it was in the range before. */
export function Figure({ name, now, before, format, more }: Props) {
  return (
    <div class="card">
      <div class="soft">{name}</div>
      <div class="figure-value">{now === undefined ? "–" : format(Number(now))}</div>
      <div class="figure-before">
        {before === undefined ? "nothing before" : <>before {format(Number(before))} <Change now={now} before={before} more={more} /></>}
      </div>
    </div>
  );
}

/** How much more or less, in the colour of whether that is good. */
export function Change({ now, before, more }: Pick<Props, "now" | "before" | "more">) {
  const change = growth(now, before);
  if (change === null || Math.abs(change) < NOTABLE) return null;
  const kind = more === "neither" ? "" : (change > 0) === (more === "worse") ? "worse" : "better";
  return <span class={kind}>{change > 9 ? `${(change + 1).toFixed(0)} times` : `${change > 0 ? "+" : "−"}${Math.round(Math.abs(change) * 100)} %`}</span>;
}
