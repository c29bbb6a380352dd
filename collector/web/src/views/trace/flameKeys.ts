// Where keys lead in a flame graph.
import { endOf, nextPlace, type Bars } from "./model";

/** The place to which a key leads from one, among those from `first` to before `end`; undefined for other keys. `at` outside of these
 * is none, from where every key leads to the first. */
export function placeBy(key: string, bars: Bars, at: number, first: number, end: number): number | undefined {
  const way = WAYS[key];
  if (!way) return undefined;
  return at < first || at >= end ? first : way(bars, at, first, end);
}

type Way = (bars: Bars, at: number, first: number, end: number) => number;

const down: Way = (bars, at) => {
  let longest = at;
  for (let child = at + 1; child < endOf(bars, at); child = endOf(bars, child)) {
    if (longest === at || (bars.duration[child] as number) > (bars.duration[longest] as number)) longest = child;
  }
  return longest;
};
const up: Way = (bars, at, first) => ((bars.parent[at] as number) < first ? at : (bars.parent[at] as number));
const aside = (step: 1 | -1): Way => (bars, at, first, end) => {
  for (let place = at + step; place >= first && place < end; place += step) if (bars.depth[place] === bars.depth[at]) return place;
  return at;
};
const failed = (step: 1 | -1): Way => (bars, at, first, end) => {
  const found = nextPlace(bars.count, at, step, (place) => place >= first && place < end && bars.failed[place] === 1);
  return found < 0 ? at : found;
};

const WAYS: Readonly<Record<string, Way>> = {
  ArrowDown: down, j: down, ArrowUp: up, k: up, ArrowRight: aside(1), l: aside(1), ArrowLeft: aside(-1), h: aside(-1),
  Home: (_bars, _at, first) => first, End: (_bars, _at, _first, end) => end - 1, e: failed(1), E: failed(-1),
};
