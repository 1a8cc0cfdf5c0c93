/** How times, amounts and names are written. */

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const COUNT = new Intl.NumberFormat();
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** A moment, in the reader's zone. */
export function when(time: string | null | undefined): string {
  return time ? WHEN.format(new Date(time)) : "–";
}

/** How long ago, or in how long. */
export function ago(time: string, now = Date.now()): string {
  const secs = (new Date(time).getTime() - now) / 1000;
  const units: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const [unit, size] = units.find(([, size]) => Math.abs(secs) >= size) ?? ["second", 1];
  return RELATIVE.format(Math.trunc(secs / size), unit);
}

/** A whole number, with separators. */
export function count(number: number): string {
  return COUNT.format(number);
}

/** A rate, precise where it is small. */
export function rate(number: number): string {
  return number >= 100 ? COUNT.format(Math.round(number)) : number.toFixed(1);
}

/** A length of time in its two largest units. */
export function duration(secs: number): string {
  if (secs < 1) return "0 s";
  const parts: [string, number][] = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  let rest = Math.round(secs);
  const words: string[] = [];
  for (const [unit, size] of parts) {
    const whole = Math.floor(rest / size);
    rest %= size;
    if (whole > 0 && words.length < 2) words.push(`${whole} ${unit}`);
  }
  return words.join(" ");
}

/** A price in major units. */
export function price(amount: number, currency: string): string {
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount);
}

/** An amount in minor units, as payments have. */
export function minor(amount: number, currency: string): string {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** `in_progress` → `in progress`. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

/** An id that is short enough to compare by eye: its prefix and its end, which is the random part. */
export function shortId(id: string): string {
  const [prefix, rest] = id.split(/_(?=[^_]*$)/);
  return rest ? `${prefix}_…${rest.slice(-6)}` : id;
}
