// Which calls are meant, as the address says it and as `leno tap` is told it.
import type { Recorded, Which } from "../api/types";

/** The filters by the names of the command line's options. */
export const FILTERS = ["from", "to", "method", "path", "status", "code"] as const;

/** What proxies are asked, by what the address says. A name without a namespace is one of `default`. */
export function which(query: URLSearchParams): Which {
  const text = (name: string) => query.get(name)?.trim() || undefined;
  const whole = (name: string | undefined) => (name && !name.includes("/") && !["probe", "unknown"].includes(name) ? `default/${name}` : name);
  return {
    failed: query.get("failed") === "" || query.get("failed") === "1" || undefined,
    party: whole(text("of")),
    from: whole(text("from")),
    to: whole(text("to")),
    method: text("method")?.toUpperCase(),
    path: text("path"),
    status: status(text("status")),
    code: text("code")?.toUpperCase(),
  };
}

/** `503`, `5xx`, `400-499`. */
export function status(said: string | undefined): [number, number] | undefined {
  const [, class_of] = /^([1-5])xx$/i.exec(said ?? "") ?? [];
  if (class_of) return [Number(class_of) * 100, Number(class_of) * 100 + 99];
  const [, first, last] = /^(\d{3})(?:-(\d{3}))?$/.exec(said ?? "") ?? [];
  return first ? [Number(first), Number(last ?? first)] : undefined;
}

/** The same as a command. */
export function command(query: URLSearchParams): string {
  const words = ["leno tap"];
  const quoted = (text: string) => (/^[\w./{}:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const of = query.get("of");
  if (of) words.push(quoted(of));
  words.push("--last 200");
  if (query.has("failed")) words.push("--failed");
  for (const name of FILTERS) {
    const said = query.get(name)?.trim();
    if (said) words.push(`--${name} ${quoted(said)}`);
  }
  return words.join(" ");
}

/** What was asked: `GET /items`, `tcp`. */
export function request({ event, method, path }: Recorded): string {
  if (event === "call") return `${method ?? ""} ${path ?? ""}`.trim();
  return event === "opened" || event === "stream" ? "tcp" : event;
}

// As gRPC writes them, by their numbers.
const GRPC = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** How it was answered: `503`; a call of gRPC by the status of gRPC, `NOT_FOUND`, as its client knows it. */
export function answer({ status, grpc_status }: Recorded): string {
  const answered = grpc_status === undefined ? status : (GRPC[grpc_status] ?? grpc_status);
  return String(answered ?? "-");
}

/** Why it ended so, in words: `R003 no-allow-rule`, `the service answered`; nothing if it went well. */
export function why({ code, slug, fault }: Recorded): string {
  if (code) return `${code} ${slug ?? ""}`.trim();
  return fault === "service" ? "the service answered" : "";
}

/** The letter that says whose fault it is, as `leno tap` prints it. */
export const letter = ({ fault }: Recorded) => (fault ? (fault[0] as string).toUpperCase() : "");
