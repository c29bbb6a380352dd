// Wall clocks: what they show in a zone at a moment, and when they show something.

const formats = new Map<string | undefined, Intl.DateTimeFormat | null>();

function formatOf(zone: string | undefined): Intl.DateTimeFormat | null {
  let format = formats.get(zone);
  if (format === undefined) formats.set(zone, (format = made(zone)));
  return format;
}

function made(zone: string | undefined): Intl.DateTimeFormat | null {
  try {
    return new Intl.DateTimeFormat("en-GB", {
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
      fractionalSecondDigits: 3, hourCycle: "h23", ...(zone ? { timeZone: zone } : {}),
    });
  } catch {
    return null;
  }
}

/** Whether there is a zone of this name. */
export function isZone(zone: string): boolean {
  return formatOf(zone) !== null;
}

/** What a clock shows at a moment in milliseconds since 1970: `2026-03-01 12:00:00.000`. No zone is that of this machine. */
export function clockAt(milliseconds: number, zone: string | undefined): string {
  const format = formatOf(zone) ?? formatOf(undefined);
  const parts = Object.fromEntries(format?.formatToParts(milliseconds).map((part) => [part.type, part.value]) ?? []);
  return `${parts["year"]}-${parts["month"]}-${parts["day"]} ${parts["hour"]}:${parts["minute"]}:${parts["second"]}.${parts["fractionalSecond"]}`;
}

const CLOCK = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?))? ?(z|[+-]\d\d:?\d\d)?$/i;

/** When a clock shows a text such as `2026-03-01 12:00`, in milliseconds since 1970: one of the zone, unless the text names its distance
 * from UTC. Undefined for what is no such text. Of a time that is there twice, since clocks are put back, the first one is meant. */
export function momentOf(text: string, zone: string | undefined): number | undefined {
  const found = CLOCK.exec(text);
  if (!found) return undefined;
  const [, day, time = "00:00", distance = ""] = found;
  const wall = Date.parse(`${day}T${time.replace(",", ".")}Z`);
  if (Number.isNaN(wall)) return undefined;
  if (distance) return wall - (distance.length > 1 ? minutesOf(distance) * 60_000 : 0);
  return wall - aheadOfUtc(wall - aheadOfUtc(wall - HOURS_12, zone), zone);
}

/** Zones are less than that away from UTC, but for a few islands. */
const HOURS_12 = 43_200_000;

function minutesOf(distance: string): number {
  const [sign, hours, minutes] = [distance[0] === "-" ? -1 : 1, Number(distance.slice(1, 3)), Number(distance.slice(-2))];
  return sign * (hours * 60 + minutes);
}

/** How many milliseconds the clocks of a zone are ahead of UTC. */
function aheadOfUtc(milliseconds: number, zone: string | undefined): number {
  return Date.parse(`${clockAt(milliseconds, zone).replace(" ", "T")}Z`) - milliseconds;
}
