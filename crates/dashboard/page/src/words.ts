// Figures as people say them: the same words as in the terminal (`leno_admin::figures`).

/** `1,204`. */
export const count = (number: number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");

/** `1 call`, `1,204 calls`. */
export const counted = (number: number, one: string, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A share: never nothing of what is something, never all of what is not all. */
export function percent(part: number, of: number): string {
  if (part <= 0) return "0 %";
  if (part >= of) return "100 %";
  const share = (part / of) * 100;
  if (share < 0.1) return "<0.1 %";
  return share < 9.95 ? `${share.toFixed(1)} %` : `${Math.min(99, Math.round(share))} %`;
}

/** Microseconds: `840 µs`, `3.1 ms`, `21 ms`, `1.2 s`. */
export function duration(micros: number): string {
  if (micros < 999.5) return `${micros.toFixed(0)} µs`;
  if (micros < 9_950) return `${(micros / 1e3).toFixed(1)} ms`;
  return micros < 999_500 ? `${(micros / 1e3).toFixed(0)} ms` : `${(micros / 1e6).toFixed(1)} s`;
}

/** Seconds, by their largest unit: `10 s`, `4 min`, `3 h`. */
export function span(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(0)} h`;
}

/** `840 B`, `3.1 kB`, `21 MB`. */
export function bytes(count: number): string {
  if (count < 999.5) return `${count.toFixed(0)} B`;
  if (count < 9_950) return `${(count / 1e3).toFixed(1)} kB`;
  if (count < 999_500) return `${(count / 1e3).toFixed(0)} kB`;
  if (count < 9_950_000) return `${(count / 1e6).toFixed(1)} MB`;
  return count < 999_500_000 ? `${(count / 1e6).toFixed(0)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** How often in a second: `0.2/s`, `44/s`, `12k/s`. */
export function rate(per_second: number): string {
  if (per_second <= 0) return "0/s";
  if (per_second < 0.1) return "<0.1/s";
  if (per_second < 9.95) return `${per_second.toFixed(1)}/s`;
  return per_second < 9_999.5 ? `${count(per_second)}/s` : `${(per_second / 1e3).toFixed(0)}k/s`;
}

/** `09:05`: by hand, for asking the browser for it the first time costs more than a large map. */
const in_two = (...parts: number[]) => parts.map((part) => String(part).padStart(2, "0")).join(":");

/** `16:45:10` of a moment, by this browser's clock. */
export function clock(at: Date | string): string {
  const moment = typeof at === "string" ? new Date(at) : at;
  return Number.isNaN(moment.getTime()) ? String(at) : in_two(moment.getHours(), moment.getMinutes(), moment.getSeconds());
}

/** `02:38`, with its day unless that is today. */
export function moment(at: Date | string): string {
  const moment = typeof at === "string" ? new Date(at) : at;
  if (Number.isNaN(moment.getTime())) return String(at);
  const time = in_two(moment.getHours(), moment.getMinutes());
  const is_today = moment.toDateString() === new Date().toDateString();
  return is_today ? time : `${moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** A name without the namespace that all share where nobody chose one. */
/** Whether it is a service: others that call or are called have no namespace. */
export const is_service = (name: string | undefined): name is string => !!name?.includes("/");

export const short = (name: string) => name.replace(/^default\//, "");

/** Seconds in the two units that matter: `1 h 52 min`. */
export function left(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const both = (large: string, small: number, unit: string) => (small > 0 ? `${large} ${small} ${unit}` : large);
  if (days > 0) return both(`${days} d`, hours, "h");
  if (hours > 0) return both(`${hours} h`, minutes, "min");
  return minutes > 0 ? `${minutes} min` : `${whole} s`;
}

/** `shop/web` of `spiffe://shop.local/ns/shop/sa/web` where `domain` is the mesh's own. */
export function identity(id: string, domain: string): string {
  const [, of, namespace, account] = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id) ?? [];
  return of === domain && namespace && account ? `${namespace}/${account}` : id;
}

/** The first eight digits of a call's id, by which people name it. */
export const short_id = (id: string) => id.slice(0, 8);
