// What the map shows, from what was asked: services, what goes between them, and how each is.
import type { Edge, Overview, Traffic, Workload } from "../api/types";
import { counted, duration, percent, rate, short } from "../words";
import { edge_id } from "./layered";

/** Where the calls to a service end up that is split. */
export type Share = { name: string; calls: number; failed: number };

export type Service = {
  /** `shop/cart`. */
  id: string;
  name: string;
  namespace: string;
  /** Whether it is outside the mesh. */
  is_outside: boolean;
  workload?: Workload;
  calls: number;
  /** Calls to it that failed, and those of them that the mesh refused where nothing went through. */
  failed: number;
  refused: number;
  /** Streams to it that are open, and how often it calls in a second. */
  open: number;
  calls_out: number;
  /** How long half of the calls to it took at most, the slowest edge counting. */
  p50_us: number | null;
  shares: Share[];
};

/** What goes from one service to another. */
export type Thread = Edge & {
  id: string;
  per_second: number;
  /** `refused`: all that failed was refused by the mesh, and nothing went through. */
  state: "well" | "failing" | "refused" | "quiet";
  security: "mtls" | "plain" | "mixed" | "none";
};

export type Graph = { services: Service[]; threads: Thread[]; seconds: number };

/** Who calls or is called from outside: nobody proved who it is, or it checks the health of what is here. */
const OUTSIDE = ["unknown", "probe"];

/** The graph of what went (`edges`), of where splits sent it (`backends`), and of what runs. */
export function graph(traffic: Traffic, backends: Edge[], overview?: Overview): Graph {
  const threads = traffic.edges.map((edge) => thread(edge, traffic.seconds));
  const services = new Map<string, Service>();
  const service = (id: string) => {
    const found = services.get(id) ?? started(id);
    services.set(id, found);
    return found;
  };
  for (const thread of threads) {
    service(thread.from).calls_out += thread.calls;
    const called = service(thread.to);
    called.calls += thread.calls;
    called.failed += thread.failed;
    called.refused += thread.state === "refused" ? thread.failed : 0;
    called.open += thread.open;
    called.p50_us = Math.max(called.p50_us ?? 0, thread.p50_us ?? 0) || null;
  }
  const split = shares(backends);
  for (const [id, shares] of split) service(id).shares = shares;
  const behind = new Set([...split.values()].flat().map((share) => share.name));
  for (const workload of overview?.workloads ?? []) {
    const id = workload.name.includes("/") ? workload.name : `default/${workload.name}`;
    if (behind.has(id) && !services.has(id)) continue;
    const found = service(id);
    found.workload = workload;
    found.is_outside ||= workload.state === "outside";
  }
  return { services: [...services.values()], threads, seconds: traffic.seconds };
}

function started(id: string): Service {
  const [namespace, name] = id.includes("/") ? [id.slice(0, id.indexOf("/")), id.slice(id.indexOf("/") + 1)] : ["", id];
  const is_outside = OUTSIDE.includes(id);
  return { id, name, namespace, is_outside, calls: 0, failed: 0, refused: 0, open: 0, calls_out: 0, p50_us: null, shares: [] };
}

/** The splits: services whose calls were answered by endpoints of others. */
function shares(backends: Edge[]): Map<string, Share[]> {
  const all = new Map<string, Share[]>();
  for (const { to, backend, calls, failed } of backends) {
    if (!backend) continue;
    const share = { name: backend, calls, failed };
    all.set(to, [...(all.get(to) ?? []), share]);
  }
  for (const [id, shares] of all) {
    if (shares.every((share) => share.name === id)) all.delete(id);
    else shares.sort((a, b) => a.name.localeCompare(b.name));
  }
  return all;
}

function thread(edge: Edge, seconds: number): Thread {
  const secured = edge.mtls > 0 && edge.plain > 0 ? "mixed" : edge.mtls > 0 ? "mtls" : edge.plain > 0 ? "plain" : "none";
  return {
    ...edge,
    id: edge_id(edge.from, edge.to),
    per_second: seconds > 0 ? edge.calls / seconds : 0,
    state: state(edge),
    security: secured,
  };
}

function state(edge: Edge): Thread["state"] {
  if (edge.calls === 0 && edge.open === 0) return "quiet";
  if (edge.failed === 0) return "well";
  const is_refused = (edge.failures ?? []).every((failure) => failure.code !== null);
  return edge.failed >= edge.calls && is_refused ? "refused" : "failing";
}

/** What stands along a thread: `24/s · 13 ms`, `4 open`. */
export function label(thread: Thread): string {
  if (thread.calls === 0 && thread.open > 0) return `${thread.open} open`;
  const took = thread.p50_us === null || thread.state === "refused" ? "" : ` · ${duration(thread.p50_us)}`;
  return rate(thread.per_second) + took;
}

/** What fails on a thread, in a word or two. */
export function trouble(thread: Thread): string {
  if (thread.failed === 0) return "";
  return thread.state === "refused" ? "refused" : percent(thread.failed, thread.calls);
}

/** How a thread is secured, in a sentence. */
export function security(thread: Thread): string {
  const why = Object.entries(thread.why_plain ?? {}).map(([why, calls]) => `${why.replaceAll("-", " ")} (${calls})`);
  const because = why.length > 0 ? `: ${why.join(", ")}` : "";
  switch (thread.security) {
    case "mtls":
      return "encrypted, both sides proven (mTLS)";
    case "plain":
      return `plain, nobody proven${because}`;
    case "mixed":
      return `${percent(thread.mtls, thread.mtls + thread.plain)} encrypted and proven, the rest plain${because}`;
    case "none":
      return "nothing went over it";
  }
}

/** A thread in a sentence, for those who hear or point at it. */
export function sentence(thread: Thread, seconds: number): string {
  const fails = thread.failed > 0 ? `, ${counted(thread.failed, "call")} failed${by(thread)}` : "";
  return `${short(thread.from)} to ${short(thread.to)}: ${label(thread)}${fails}; ${security(thread)}; in ${Math.round(seconds)} s`;
}

function by({ faults }: Thread): string {
  const named = Object.entries(faults ?? {}).map(([fault, count]) => `${fault} ${count}`);
  return named.length > 0 ? ` (fault: ${named.join(", ")})` : "";
}
