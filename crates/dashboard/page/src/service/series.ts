// What went to a service, step by step in time.
import type { Carried, Edge, Traffic } from "../api/types";

/** Values over time, one for each step; `null` where nothing went that could have one, or nothing was kept yet. */
export type Series = { name: string; values: (number | null)[]; drawn: "thread" | "weft" | "bad" };

/** Of which past is told: the word in the address, and its seconds. */
export const SPANS = { "5m": 300, "30m": 1800, "3h": 10_800, "24h": 86_400 } as const;
export type Span = keyof typeof SPANS;

export const is_span = (word: string | null): word is Span => word !== null && word in SPANS;

/** How many steps a span has. */
const STEPS = 60;
export const step_of = (span: Span) => SPANS[span] / STEPS;

/** What went to `service` in a step, whoever called. */
const into = (step: Traffic, service: string): Edge | undefined => step.edges.find((edge) => edge.to === service);

export type Signals = { times: Date[]; rate: Series; failed: Series; half: Series; most: Series };

/** The golden signals of `service`, of an answer by service. */
export function signals(carried: Carried, service: string): Signals {
  const over = <T>(of: (step: Traffic, edge: Edge | undefined) => T) => carried.steps.map((step) => of(step, into(step, service)));
  return {
    times: carried.steps.map((step) => new Date(step.from ?? "")),
    rate: { name: "calls", drawn: "thread", values: over((step, edge) => (step.seconds > 0 ? (edge?.calls ?? 0) / step.seconds : null)) },
    failed: { name: "failed", drawn: "bad", values: over((_, edge) => (edge && edge.calls > 0 ? edge.failed / edge.calls : null)) },
    half: { name: "half within", drawn: "thread", values: over((_, edge) => edge?.p50_us ?? null) },
    most: { name: "99 % within", drawn: "weft", values: over((_, edge) => edge?.p99_us ?? null) },
  };
}

/** The sum of what went over several edges. */
export function total(edges: Edge[]) {
  const sum = (of: (edge: Edge) => number) => edges.reduce((all, edge) => all + of(edge), 0);
  return {
    calls: sum((edge) => edge.calls),
    failed: sum((edge) => edge.failed),
    mtls: sum((edge) => edge.mtls),
    plain: sum((edge) => edge.plain),
    open: sum((edge) => edge.open),
    bytes: sum((edge) => edge.sent + edge.received),
  };
}

/** The next round number: what a chart is high. */
export function round_up(most: number): number {
  if (most <= 0) return 1;
  const ten = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((factor) => factor * ten).find((round) => round >= most) ?? most;
}
