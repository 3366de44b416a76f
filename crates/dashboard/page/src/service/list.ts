// The services in the order in which somebody should look at them.
import type { Edge, ServiceLine } from "../api/types";

export type Signals = Pick<Edge, "calls" | "failed" | "mtls" | "plain" | "p50_us" | "p99_us">;
export type Row = ServiceLine & { signals: Signals };

const NOTHING: Signals = { calls: 0, failed: 0, mtls: 0, plain: 0, p50_us: null, p99_us: null };

/** What went to a service: its own row, else its edges together, the slowest of them. */
export function into(edges: Edge[], service: string): Signals {
  const slowest = (one: number | null, other: number | null) => (one === null ? other : Math.max(one, other ?? 0));
  return edges
    .filter((edge) => edge.to === service)
    .reduce<Signals>(
      (sum, edge) => ({
        calls: sum.calls + edge.calls,
        failed: sum.failed + edge.failed,
        mtls: sum.mtls + edge.mtls,
        plain: sum.plain + edge.plain,
        p50_us: slowest(sum.p50_us, edge.p50_us),
        p99_us: slowest(sum.p99_us, edge.p99_us),
      }),
      NOTHING,
    );
}

/** Those that nobody answers for, then those whose calls fail, then the rest; each by name. */
export function by_trouble(rows: Row[]): Row[] {
  const rank = ({ ready, signals }: Row) => (ready === 0 ? 0 : signals.failed > 0 ? 1 : 2);
  return rows.toSorted((one, other) => rank(one) - rank(other) || (one.service < other.service ? -1 : 1));
}
