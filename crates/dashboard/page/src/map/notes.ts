// What stands out on the map, in sentences: what is refused, what fails, and what is split.
import { percent, short } from "../words";
import type { Graph } from "./graph";

/** A sentence, and what it is about: the id of a thread or of a service. */
export type Note = { mark: string; kind: "bad" | "doubtful" | "plain"; about: string; words: string };

const MOST = 4;

export function notes({ threads, services }: Graph): Note[] {
  const failing = threads.filter((thread) => thread.failed > 0).sort((a, b) => b.failed - a.failed);
  const refused = failing.filter((thread) => thread.state === "refused");
  const others = failing.filter((thread) => thread.state !== "refused");
  const splits = services.filter((service) => service.shares.length > 0);
  const plain = threads.filter((thread) => thread.plain > 0);
  const all: Note[] = [
    ...refused.map((thread): Note => {
      const why = thread.failures?.[0];
      return {
        mark: "⊘", kind: "bad", about: thread.id,
        words: `${short(thread.from)} may not call ${short(thread.to)}${why ? `: ${why.code ?? ""} ${why.why}` : ""}`,
      };
    }),
    ...splits.map((service): Note => {
      const calls = service.shares.reduce((sum, share) => sum + share.calls, 0);
      const parts = service.shares.map((share) => `${percent(share.calls, calls)} ${short(share.name)}`);
      const bad = service.shares.find((share) => share.failed > 0);
      const fails = bad ? `; ${percent(bad.failed, bad.calls)} of ${short(bad.name)} fails` : "";
      return { mark: "⇉", kind: bad ? "bad" : "plain", about: service.id, words: `${service.name} is split: ${parts.join(", ")}${fails}` };
    }),
    ...others.map((thread): Note => {
      const why = thread.failures?.[0];
      return {
        mark: "✗", kind: "bad", about: thread.id,
        words: `${short(thread.from)} → ${short(thread.to)}: ${percent(thread.failed, thread.calls)} fail${why ? `, ${why.code ? `${why.code} ` : ""}${why.why}` : ""}`,
      };
    }),
    ...plain.map((thread): Note => {
      const why = Object.keys(thread.why_plain ?? {})[0];
      return {
        mark: "○", kind: "doubtful", about: thread.id,
        words: `${short(thread.from)} → ${short(thread.to)} is plain${why ? `: ${why.replaceAll("-", " ")}` : ""}`,
      };
    }),
  ];
  return all.slice(0, MOST);
}
