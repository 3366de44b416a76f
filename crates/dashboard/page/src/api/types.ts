// What the administration socket answers, as JSON: the types of the crate `leno-admin`, field by field.

export type Overview = {
  status: Status;
  change?: Past | null;
  followers: { connected: number; behind: string[]; away: string[] };
  certificate?: { identity: string; ends: string } | null;
  findings: Finding[];
  workloads: Workload[];
  traffic: Traffic | null;
  failed: FailedCall[] | null;
  next: { command: string; shows: string }[];
};

export type Status = {
  context: string;
  /** RFC 3339. */
  now: string;
  revision: number;
  proxies: number;
  objects: number;
  problems: number;
};

export type Past = { revision: number; at: string; who: string; message: string };

export type Finding = {
  code: string;
  slug: string;
  severity: "error" | "warning" | "info";
  fault: string;
  object: string | null;
  file: string | null;
  line: number | null;
  column: number | null;
  width: number | null;
  text: string | null;
  message: string;
  suggestion: string | null;
  in_force: string;
  since?: { at: string; revision: number | null; who: string | null };
  next?: string;
};

export type Workload = {
  name: string;
  state: "starting" | "up" | "ended" | "failed" | "outside";
  what: string;
  trouble?: string;
  place?: string;
  published: string[];
  next?: string;
};

export type Traffic = {
  from: string;
  until: string;
  seconds: number;
  /** Callers before whom they call. */
  edges: Edge[];
};

/** What went over one edge, over a part of it, or over several together. */
export type Edge = {
  /** Who called: `shop/web`; `unknown` if that was not proven; empty where it is not told apart. */
  from: string;
  /** What was called; `unknown` if it is outside the mesh; empty where it is not told apart. */
  to: string;
  route?: string;
  /** The service whose endpoints answered: `shop/cart-v2`. */
  backend?: string;
  request?: string;
  calls: number;
  failed: number;
  /** By class: `2xx`, `none`. */
  statuses?: Record<string, number>;
  /** By whose fault it was. */
  faults?: Record<string, number>;
  /** By why, the most frequent first. */
  failures?: FailureCount[];
  mtls: number;
  plain: number;
  why_plain?: Record<string, number>;
  /** Streams of bytes that were open at the end. */
  open: number;
  sent: number;
  received: number;
  p50_us: number | null;
  p90_us: number | null;
  p99_us: number | null;
};

/** How often something failed in one way. */
export type FailureCount = {
  /** The code, if the mesh refused it: `R003`; else the service answered so. */
  code: string | null;
  why: string;
  fault: string;
  count: number;
  first: string;
  last: string;
  example?: string | null;
};

/** What went between services at some time that is kept: the answer to `traffic`. */
export type Carried = {
  status: Status;
  kept: Kept;
  /** A step after the other in time. */
  steps: Traffic[];
};

/** What is kept of the past. */
export type Kept = {
  from?: string | null;
  until?: string | null;
  bytes: number;
  lost: number;
  folded: number;
  trouble?: Finding;
};

/** A call that failed, the newest of its kind. */
export type FailedCall = {
  id: string;
  at: string;
  from: string;
  to: string;
  request: string;
  status: number | null;
  took_us: number | null;
  fault: string;
  code: string | null;
  why: string;
  /** How many of its kind failed of late. */
  count: number;
};

/** What is told apart in `Traffic`. */
export type By = "mesh" | "service" | "edge" | "route" | "backend" | "request";
