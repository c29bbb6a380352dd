// Which parts of the tree are closed, as the URL names them: what a button closes, then the positions of spans that were closed or
// opened apart from that, as in `all.3.17`.
import { placesOf, repeats, type Bars } from "./model";

/** What buttons close. */
const TOGETHER: Record<string, (bars: Bars) => readonly number[]> = {
  all: (bars) => placesOf(bars, (at) => bars.children[at] !== 0 && bars.depth[at] !== 0),
  repeats,
};

/** The longest address that servers take has room for so many positions and more. */
const MOST = 500;

function read(text: string): { together: string; turned: number[] } {
  const [first = "", ...rest] = text.split(".");
  const together = Object.hasOwn(TOGETHER, first) ? first : "";
  return { together, turned: (together ? rest : [first, ...rest]).filter((part) => /^\d+$/.test(part)).map(Number) };
}

/** Places of the bars below which nothing is shown. */
export function closedPlaces(bars: Bars, text: string): ReadonlySet<number> {
  const { together, turned } = read(text);
  const closed = new Set(TOGETHER[together]?.(bars));
  for (const index of turned) {
    const at = bars.place[index];
    if (at !== undefined && !closed.delete(at)) closed.add(at);
  }
  return closed;
}

/** The text once what is closed of the spans at these positions is open, and the other way round. Of very many that differ from what a
 * button closes, the latest are named. */
export function turned(text: string, indexes: readonly number[]): string {
  const { together, turned: before } = read(text);
  const after = new Set(before);
  for (const index of indexes) if (!after.delete(index)) after.add(index);
  return [...(together ? [together] : []), ...[...after].slice(-MOST)].join(".");
}
