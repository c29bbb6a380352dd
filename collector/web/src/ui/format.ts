// Numbers and durations, in the few digits that people read.

/** In seconds. */
const DAY = 86_400;

/** A duration in nanoseconds: three digits and the unit that fits, `1.24 ms`. */
export function showDuration(ns: bigint | number | string): string {
  let value = Number(ns);
  if (!Number.isFinite(value)) return "–";
  const sign = value < 0 ? "-" : "";
  value = Math.abs(value);
  if (value >= 60e9) {
    const seconds = Math.round(value / 1e9);
    if (seconds >= 2 * DAY) return `${sign}${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / 3600)} h`;
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    return sign + (hours ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`);
  }
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]] as const) {
    if (value >= size) return `${sign}${threeDigits(value / size)} ${unit}`;
  }
  return `${sign}${Math.round(value)} ns`;
}

function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A service or an operation, which may be there without a name. */
export function showName(name: string | null | undefined): string {
  return name || "(no name)";
}

/** A count: `1,234`, `12.3 k`, `4.56 M`. */
export function showCount(value: number | string): string {
  const number = Number(value);
  if (!Number.isFinite(number)) return "–";
  if (Math.abs(number) < 10_000) return number.toLocaleString("en-US", { maximumFractionDigits: number % 1 ? 1 : 0 });
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (Math.abs(number) >= size) return `${threeDigits(number / size)} ${unit}`;
  }
  return String(number);
}

/** A rate, which is given per second: that of rare things is told by the minute, the hour or the day. */
export function showRate(value: number | string): string {
  const number = Number(value);
  if (!Number.isFinite(number)) return "–";
  if (number >= 100) return `${showCount(Math.round(number))}/s`;
  if (number >= 0.1 || number <= 0) return `${number >= 1 ? number.toFixed(1) : Number(number.toPrecision(2))}/s`;
  for (const [unit, seconds] of [["min", 60], ["h", 3600]] as const) {
    if (number * seconds >= 1) return `${(number * seconds).toFixed(1)}/${unit}`;
  }
  return `${Number((number * 86_400).toPrecision(2))}/d`;
}

/** A share from 0 to 1 as per cent. */
export function showShare(value: number | string): string {
  const percent = Number(value) * 100;
  if (!Number.isFinite(percent)) return "–";
  return `${percent === 0 ? "0" : percent < 0.01 ? "<0.01" : percent < 10 ? percent.toFixed(2) : percent.toFixed(1)} %`;
}
