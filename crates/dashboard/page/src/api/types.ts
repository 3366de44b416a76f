// What the administration socket answers, as JSON: the types of the crate `leno-admin`, field by field.

export type Overview = {
  status: Status;
  /** Whether it is well: one answer for `leno status` and the page. */
  verdict: { grade: "well" | "doubtful" | "wrong"; words: string };
  /** The file that is applied again when it changes, whatever is in force by then. */
  file?: string;
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

export type Past = {
  revision: number;
  at: string;
  who: string;
  /** What they did: `apply shop`, `delete`, `rollback to 7`. */
  what: string;
  message: string;
  added: number;
  changed: number;
  removed: number;
};

export type History = { status: Status; revisions: Past[] };

export type Change = {
  verb: "added" | "changed" | "moved" | "removed";
  object: string;
  place: string | null;
  before?: string;
  after?: string;
};

export type Diff = { status: Status; from: number; to: number; changes: Change[] };

export type Applied = { status: Status; made: boolean; changes: Change[]; left: string[]; findings: Finding[] };

export type Checked = { status: Status; findings: Finding[]; passed: string[] };

export type Trust = {
  status: Status;
  trust_domain: string;
  /** SHA-256 of the root, in hex. */
  root: string;
  root_begins: string;
  root_ends: string;
  /** The roots that prove identities, in the order in which they came; the one above signs. */
  roots: Root[];
  next_root: NextRoot | null;
  intermediate_begins: string;
  intermediate_ends: string;
  /** The authority outside that signed the intermediate, if one did. */
  intermediate_source?: string;
  failing_ca?: { source: string; code: string; slug: string; why: string; count: number; since: string; place: string };
  lifetime_seconds: number;
  certificates: Certificate[];
  revoked: { identity: string; at: string; who: string; reason: string }[];
  /** Other trust domains whose identities are believed, or would be. */
  peers: Peer[];
};

export type Root = {
  /** SHA-256 of it, in hex. */
  fingerprint: string;
  stage: "announced" | "active" | "leaving";
  since: string;
  begins: string;
  ends: string;
  /** When the last certificate ends that leads to it. */
  needed_until: string;
};

export type NextRoot = {
  step: "announce" | "activate";
  /** When; where it waits for somebody, at the latest. */
  due: string;
  /** How many have certificates. */
  holders: number;
  /** How many of them are known to hold all roots. */
  confirmed: number;
  silent: { name: string; identity: string; seen: string; ends: string }[];
  /** Until when it waits for other trust domains to look at it, if it does. */
  abroad?: string;
};

export type Peer = {
  trust_domain: string;
  /** What its `MeshPeer` is called. */
  name: string;
  /** Where its keys come from, in words; empty for who may not know. */
  from: string;
  roots: number;
  /** When the last of its roots ends. */
  ends: string | null;
  proves_tokens: boolean;
  sequence: number | null;
  /** When they were got; absent where they were written down, or there are none. */
  got: string | null;
  trouble: { code: string; slug: string; why: string; since: string } | null;
};

export type Certificate = {
  identity: string;
  proxies: number;
  ends: string | null;
  renewed?: string;
  failed: string | null;
  failing?: { code: string; slug: string; count: number; since: string };
};

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
  /** What was written with it is refused as a whole: it stands before all else. */
  heads?: boolean;
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
  /** Who called: `shop/web`; `probe` for a health check from outside; `unknown` if that was not proven; empty where it is not told apart. */
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

export type Failures = {
  status: Status;
  kept: Kept;
  service: string | null;
  from: string;
  until: string;
  calls: number;
  failed: number;
  groups: FailureGroup[];
};

export type FailureGroup = FailureCount & {
  from: string;
  to: string;
  culprit: string;
  place?: string | null;
  statuses: number[];
  requests: { request: string; count: number }[];
  of: number;
  goes_on: boolean;
  quiet_before?: number | null;
  before?: Past | null;
  next: { command: string; shows: string }[];
};

/** A value with who said so; what belongs to it below. */
export type Item = { name: string; value: string; origin?: string; items?: Item[] };

export type Services = { status: Status; services: ServiceLine[] };

export type ServiceLine = {
  service: string;
  place: string | null;
  ports: string[];
  rules: number;
  endpoints: number;
  ready: number;
};

export type Served = {
  status: Status;
  service: string;
  place: string | null;
  addresses: string[];
  ports: ServedPort[];
};

export type ServedPort = {
  port: number;
  name: string | null;
  protocol: string;
  rules: ServedRule[];
  endpoints: ServedEndpoint[];
  limits: Item[];
  access: { workloads: string[]; port: number; rules: Item[] }[];
};

export type ServedRule = {
  route: string;
  name: string | null;
  place: string;
  callers: string | null;
  matches: Item[];
  action: string;
  shares: Share[];
  limits: Item[];
};

export type Share = {
  backend: string | null;
  port: number | null;
  weight: number;
  of: number;
  place: string | null;
  wrong: string | null;
};

export type ServedEndpoint = {
  workload: string;
  address: string | null;
  state: "ready" | "spare" | "away" | "unplaced" | "revoked";
  why: string;
  since: string | null;
  identity: string | null;
  locality: string | null;
};

/** What one proxy told of one call: the fields of the access log. */
export type Recorded = {
  time: string;
  event: "call" | "opened" | "stream" | "handshake" | "accept";
  id: string;
  reporter: "source" | "destination";
  source?: string;
  destination?: string;
  security?: string;
  peer?: string;
  endpoint?: string;
  method?: string;
  host?: string;
  path?: string;
  status?: number;
  /** What gRPC said of it, by its number. */
  grpc_status?: number;
  duration_ms?: number;
  code?: string;
  slug?: string;
  fault?: string;
};

export type KeptCalls = {
  /** Oldest first. */
  calls: Recorded[];
  omitted: number;
  dropped: number;
  asked: string[];
  silent: { proxy: string; why: string }[];
};

/** Which calls are meant; what is not said is not asked. */
export type Which = {
  failed?: boolean;
  party?: string;
  from?: string;
  to?: string;
  method?: string;
  path?: string;
  status?: [number, number];
  code?: string;
};

export type Story = {
  id?: string;
  time?: string;
  source: string;
  destination: string;
  request: string;
  end: {
    status?: number;
    code?: string;
    slug?: string;
    fault?: string;
    words?: string;
    took_ms?: number;
    answered_by?: string;
  };
  hops: Hop[];
  revisions?: { revision: number; now: boolean; same: boolean; text: string; known: Known }[];
  not_compared?: string;
  next: string[];
  records?: Recorded[];
};

export type Hop = { name: string; about?: string; not_reached?: string; steps: StoryStep[] };

export type Known = "recorded" | "replayed" | "assumed";

export type StoryStep = {
  step: string;
  outcome: "yes" | "no" | "not-reached" | "undecided";
  known: Known;
  text: string;
  origin?: string;
  details?: { text: string; origin?: string }[];
};
