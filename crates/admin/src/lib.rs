//! What one may ask a control plane or a proxy: the questions, the answers, what it takes to be
//! answered, and both ends of the Unix socket or of the authenticated call between them.
//!
//! A connection carries one question and one answer, each one line of JSON, so that any tool that
//! opens a socket can take part: `echo '{"version":1,"ask":"status"}' | nc -U control.sock`. What is
//! answered for as long as somebody listens ([`TapOf`]) is a line for each thing that happens.

mod answer;
mod asker;
mod audited;
mod calls;
mod client;
mod failure;
pub mod figures;
mod held;
mod line;
mod lines;
mod needs;
mod object;
mod once;
mod overrides;
mod overview;
mod pace;
mod plain;
mod plan;
mod probe;
mod question;
mod recorded;
pub mod remote;
mod served;
mod server;
pub mod several;
mod story;
mod suggested;
mod traffic;
mod trusted;
mod watched;

pub use answer::{
    Addressed, Ahead, Answer, Applied, Away, Change, Checked, Configuration, Diff, Ending, Finding,
    Follows, Forgotten, Held, History, Holding, InForce, Link, Parts, Past, Proxies, ProxyState,
    Recovered, Running, RunningPod, RunningPort, Since, Status, Taken, TakesCalls, Token,
    TokenMade, Tokens, Tunnel, Verb,
};
pub use asker::Asker;
pub use audited::{Audited, AuditedOf, Outcome};
pub use calls::{KeptCalls, Passed, Silent, Tapped, Wanted, Watched, Which};
pub use client::{Client, Opening, Spoken, Watching};
pub use failure::{Failure, NotAsked};
pub use held::{Difference, Item, ProxyView, Viewed, differences};
pub use lines::{Reply, answer_in_lines, ask_in_line, read_answer, read_item};
pub use needs::{Audit, Needs, With};
pub use object::{NotAnObject, read_object};
pub use once::{Once, each_once};
pub use overrides::{OverrideChanged, OverrideTold, Overrides};
pub use overview::{Ends, Followers, Grade, Overview, Step, Verdict, Workload, WorkloadState};
pub use pace::Pace;
pub use plain::hides;
pub use plan::{Becomes, Foreseen, ForeseenCalls, ForeseenRequest, Means, Planned, Unrecorded};
pub use probe::{Probed, Reached, Requested, Tried};
pub use question::{
    AddOverride, Apply, Ask, At, AuditOf, BundleOf, Check, ConfigurationOf, CreateToken, Delete,
    DiffOf, DropOverride, DropToken, End, EndWatch, FailuresOf, File, HistoryOf, HoldingOf, KeptOf,
    ListOverrides, ListTokens, OpenDashboard, OverviewOf, PartsOf, PlanOf, ProbeOf, ProxiesOf,
    Question, ReachOf, ReadmitProxies, Recover, Reinstate, RenewCertificate, Revoke, Rollback,
    RotateRoot, ServiceOf, ServicesOf, StatusOf, StoryOf, SuggestOf, TakenOf, TapOf, TrafficOf,
    TrustOf, ViewOf, Watch, WatchesOf, WeighOf, WrittenObject,
};
pub use recorded::{
    Consulted, Decided, Endpoints, Fact, FactOf, FactValue, Failed, Happening, Late, Recorded,
    Said, Seen, Side, grpc_name,
};
pub use served::{
    EndpointState, Served, ServedAccess, ServedEndpoint, ServedPort, ServedRule, ServiceLine,
    Services, Share,
};
pub use server::Server;
pub use story::{Fate, Hop, HowKnown, Other, StepOutcome, Story, StoryDetail, StoryStep};
pub use suggested::{LeftOut, Suggested, SuggestedPolicy};
pub use traffic::{
    Asked, By, Carried, Edge, FailedCall, FailureCount, FailureGroup, Failures, Kept, Traffic,
};
pub use trusted::{
    CertificateState, FailingCa, FailingRenewal, NextRoot, OwnBundle, PeerState, PeerTrouble,
    Readmitting, Renewed, RenewedAt, Revoked, RevokedIdentity, RootStage, RootState, RootStep,
    Rotated, SilentHolder, Trust, Waiting,
};
pub use watched::{
    Aftermath, WatchEnd, WatchEnded, WatchFor, WatchedChange, Watches, Weight, WorseCalls,
};

/// The version of the questions and answers. Another one is refused, and says so.
pub const VERSION: u32 = 1;

/// The longest question, in bytes: as much as the store takes in one change, as JSON.
pub const LONGEST_QUESTION: usize = 160 << 20;

/// The longest answer, in bytes.
pub(crate) const LONGEST_ANSWER: usize = 512 << 20;

/// The longest line of an answer that goes on, in bytes.
pub(crate) const LONGEST_ITEM: usize = 1 << 20;
