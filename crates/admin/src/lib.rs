//! What one may ask a control plane or a proxy: the questions, the answers, and both ends of the
//! Unix socket between them.
//!
//! A connection carries one question and one answer, each one line of JSON, so that any tool that
//! opens a socket can take part: `echo '{"version":1,"ask":"status"}' | nc -U control.sock`. What is
//! answered for as long as somebody listens ([`TapOf`]) is a line for each thing that happens.

mod answer;
mod calls;
mod client;
mod failure;
pub mod figures;
mod held;
mod line;
mod lines;
mod object;
mod once;
mod overview;
mod plain;
mod probe;
mod question;
mod recorded;
mod served;
mod server;
pub mod several;
mod story;
mod traffic;

pub use answer::{
    Addressed, Ahead, Answer, Applied, Away, CertificateState, Change, Checked, Configuration,
    Diff, Ending, FailingRenewal, Finding, Follows, Forgotten, History, Holding, InForce, Link,
    NextRoot, Parts, Past, Proxies, ProxyState, Readmitting, Recovered, Renewed, RenewedAt,
    Revoked, RevokedIdentity, RootState, Rotated, Running, RunningPort, SilentHolder, Since,
    Status, Token, TokenMade, Tokens, Trust, Tunnel, Verb, Waiting,
};
pub use calls::{KeptCalls, Passed, Silent, Tapped, Wanted, Watched, Which};
pub use client::{Client, Watching};
pub use failure::{Failure, NotAsked};
pub use held::{Difference, Item, ProxyView, Viewed, differences};
pub use lines::{Reply, answer_in_lines, ask_in_line, read_answer, read_item};
pub use object::{NotAnObject, read_object};
pub use once::{Once, each_once};
pub use overview::{Ends, Followers, Grade, Overview, Step, Verdict, Workload, WorkloadState};
pub use plain::hides;
pub use probe::{Probed, Reached, Requested, Tried};
pub use question::{
    Apply, Ask, At, Check, ConfigurationOf, CreateToken, Delete, DiffOf, DropToken, End,
    FailuresOf, File, HistoryOf, HoldingOf, KeptOf, ListTokens, OpenDashboard, OverviewOf, PartsOf,
    ProbeOf, ProxiesOf, Question, ReachOf, ReadmitProxies, Recover, Reinstate, RenewCertificate,
    Revoke, Rollback, RotateRoot, ServiceOf, ServicesOf, StatusOf, StoryOf, TapOf, TrafficOf,
    TrustOf, ViewOf, Watch,
};
pub use recorded::{
    Decided, Endpoints, Fact, FactOf, FactValue, Failed, Happening, Late, Recorded, Said, Seen,
    Side, grpc_name,
};
pub use served::{
    EndpointState, Served, ServedAccess, ServedEndpoint, ServedPort, ServedRule, ServiceLine,
    Services, Share,
};
pub use server::{Asker, Server};
pub use story::{Fate, Hop, HowKnown, Other, StepOutcome, Story, StoryDetail, StoryStep};
pub use traffic::{
    Asked, By, Carried, Edge, FailedCall, FailureCount, FailureGroup, Failures, Kept, Traffic,
};

/// The version of the questions and answers. Another one is refused, and says so.
pub const VERSION: u32 = 1;

/// The longest question, in bytes: as much as the store takes in one change, as JSON.
pub(crate) const LONGEST_QUESTION: usize = 160 << 20;

/// The longest answer, in bytes.
pub(crate) const LONGEST_ANSWER: usize = 512 << 20;

/// The longest line of an answer that goes on, in bytes.
pub(crate) const LONGEST_ITEM: usize = 1 << 20;
