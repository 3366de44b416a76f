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

export type Traffic = { seconds: number; edges: Edge[] };

export type Edge = {
  from: string;
  to: string;
  calls: number;
  failed: number;
  mtls: number;
  plain: number;
  open: number;
  bytes: number;
  p50_us: number | null;
  p99_us: number | null;
};

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
};
