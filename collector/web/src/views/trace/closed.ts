// Which parts of the tree are closed, as the URL names them: what a button closes, then the spans that were closed or opened apart from
// that, as in `all.00f067aa0ba902b7`.
import { placesOf, repeats, type Bars } from "./model";
import { nameOf, placeNamed } from "./named";

/** What buttons close. */
const TOGETHER: Record<string, (bars: Bars) => readonly number[]> = {
  all: (bars) => placesOf(bars, (at) => bars.children[at] !== 0 && bars.depth[at] !== 0),
  repeats,
};

/** The longest address that servers take has room for so many ids and more. */
const MOST = 300;

/** What a button closes, and the places that are otherwise than that. */
function read(bars: Bars, text: string): { together: string; turned: Set<number> } {
  const [first = "", ...rest] = text.split(".");
  const together = Object.hasOwn(TOGETHER, first) ? first : "";
  const places = (together ? rest : [first, ...rest]).map((name) => placeNamed(bars, name));
  return { together, turned: new Set(places.filter((at) => at >= 0)) };
}

/** Places of the bars below which nothing is shown. */
export function closedPlaces(bars: Bars, text: string): ReadonlySet<number> {
  const { together, turned } = read(bars, text);
  const closed = new Set(TOGETHER[together]?.(bars));
  for (const at of turned) if (!closed.delete(at)) closed.add(at);
  return closed;
}

/** The text once what is closed at these places is open, and the other way round. Of very many that differ from what a button closes,
 * the latest are named. */
export function turned(bars: Bars, text: string, places: readonly number[]): string {
  if (!places.length) return text;
  const { together, turned } = read(bars, text);
  for (const at of places) if (!turned.delete(at)) turned.add(at);
  return [...(together ? [together] : []), ...[...turned].slice(-MOST).map((at) => nameOf(bars, at))].join(".");
}
