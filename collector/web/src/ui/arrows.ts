// Which of several places an arrow key leads to.

/** Keys, and the way that they point: to the right, and up. */
export const WAYS: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** The place that lies nearest in the direction of a key; the same one where there is none, undefined for other keys. */
export function nextPlace(places: readonly (readonly [number, number])[], from: number, key: string): number | undefined {
  const way = WAYS[key];
  const here = places[from];
  if (!way || !here) return undefined;
  let [best, least] = [from, Infinity];
  places.forEach(([right, up], at) => {
    const [across, above] = [right - here[0], up - here[1]];
    const ahead = across * way[0] + above * way[1];
    const aside = Math.abs(across * way[1]) + Math.abs(above * way[0]);
    // What lies straight ahead is nearer than what lies aside.
    const distance = ahead + 3 * aside;
    if (ahead > 0 && distance < least) [best, least] = [at, distance];
  });
  return best;
}
