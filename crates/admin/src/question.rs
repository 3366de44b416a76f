//! The questions.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::answer::{
    Applied, Checked, Configuration, Diff, Ending, Forgotten, History, Holding, Link, Parts,
    Proxies, Recovered, Status, Taken, TokenMade, Tokens,
};
use crate::audited::AuditedOf;
use crate::calls::{KeptCalls, Tapped, Wanted, Which};
use crate::held::Viewed;
use crate::overrides::{OverrideChanged, Overrides};
use crate::overview::Overview;
use crate::plan::Planned;
use crate::probe::{Probed, Reached, Requested};
use crate::served::{Served, Services};
use crate::story::Story;
use crate::suggested::Suggested;
use crate::traffic::{By, Carried, Failures};
use crate::trusted::{OwnBundle, Readmitting, Renewed, Revoked, Rotated, Trust};
use crate::watched::{WatchFor, Watches};

/// A question that has answers of one kind.
pub trait Ask: Into<Question> {
    /// What it is answered.
    type Answer: DeserializeOwned;
}

/// A question that is answered for as long as somebody listens.
pub trait Watch: Into<Question> {
    /// What comes, again and again.
    type Item: DeserializeOwned;
}

/// Which of the two traits a question has.
macro_rules! answered {
    ($ask:ident -> $answer:ty) => {
        impl Ask for $ask {
            type Answer = $answer;
        }
    };
    ($ask:ident => $item:ty) => {
        impl Watch for $ask {
            type Item = $item;
        }
    };
}

/// Declares the questions: what each is called, what it says, how it is answered.
macro_rules! questions {
    ($(
        $(#[$doc:meta])*
        $ask:ident as $variant:ident $arrow:tt $answer:ty {
            $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)*
        }
    )+) => {
        /// Any question.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(tag = "ask", rename_all = "kebab-case")]
        pub enum Question {$(
            $(#[$doc])*
            $variant($ask),
        )+}

        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $ask {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl From<$ask> for Question {
                fn from(ask: $ask) -> Self {
                    Self::$variant(ask)
                }
            }

            answered!($ask $arrow $answer);
        )+
    };
}

questions! {
    /// How is the control plane?
    StatusOf as Status -> Status {}

    /// How is the mesh at a glance?
    OverviewOf as Overview -> Overview {}

    /// Make these files part of the configuration.
    Apply as Apply -> Applied {
        /// The files, with the objects in them.
        pub files: Vec<File>,
        /// The namespace of objects that name none.
        pub namespace: String,
        /// The set they belong to.
        pub set: String,
        /// Whether what the set applied before and is not in the files is deleted.
        pub prune: bool,
        /// Only if this is the newest revision.
        #[serde(default)]
        pub if_revision: Option<u64>,
        /// Why.
        #[serde(default)]
        pub message: String,
        /// Whether errors that the revision before lacks are accepted.
        #[serde(default)]
        pub allow_errors: bool,
        /// Whether it is only said what would change.
        #[serde(default)]
        pub dry_run: bool,
        /// How it is watched, if it is.
        #[serde(default)]
        pub watch: Option<WatchFor>,
    }

    /// Take these objects out of the configuration.
    Delete as Delete -> Applied {
        /// The objects, as `Kind name` or `Kind namespace/name`.
        pub objects: Vec<String>,
        /// Only if this is the newest revision.
        #[serde(default)]
        pub if_revision: Option<u64>,
        /// Why.
        #[serde(default)]
        pub message: String,
        /// Whether errors that the revision before lacks are accepted.
        #[serde(default)]
        pub allow_errors: bool,
        /// Whether it is only said what would change.
        #[serde(default)]
        pub dry_run: bool,
        /// How it is watched, if it is.
        #[serde(default)]
        pub watch: Option<WatchFor>,
    }

    /// Make the configuration what it was.
    Rollback as Rollback -> Applied {
        /// At this revision.
        pub to: u64,
        /// Only if this is the newest revision.
        #[serde(default)]
        pub if_revision: Option<u64>,
        /// Why.
        #[serde(default)]
        pub message: String,
        /// Whether errors that the revision before lacks are accepted.
        #[serde(default)]
        pub allow_errors: bool,
        /// Whether it is only said what would change.
        #[serde(default)]
        pub dry_run: bool,
        /// How it is watched, if it is.
        #[serde(default)]
        pub watch: Option<WatchFor>,
        /// For so many seconds, what others own is served as it was then, too. They own it as before.
        #[serde(default)]
        pub hold: Option<u64>,
    }

    /// May the cluster that is followed be changed like this, and what would it mean? Whoever asks writes it there; nothing
    /// is changed here.
    WeighOf as Weigh -> Applied {
        /// Which cluster: as [`Status::cluster`](crate::Status::cluster) says.
        pub cluster: String,
        /// The files, with the objects that it would have.
        pub files: Vec<File>,
        /// The namespace of objects that name none.
        #[serde(default)]
        pub namespace: String,
        /// The objects that it would lack, as `Kind name` or `Kind namespace/name`.
        #[serde(default)]
        pub removed: Vec<String>,
        /// It would lack those of this set, too, that are not in the files.
        #[serde(default)]
        pub prune: Option<String>,
        /// Only if this is the newest revision.
        #[serde(default)]
        pub if_revision: Option<u64>,
        /// Whether errors that the newest revision lacks are accepted.
        #[serde(default)]
        pub allow_errors: bool,
        /// Whether it is only asked, and nothing will be written.
        #[serde(default)]
        pub dry_run: bool,
    }

    /// Are these objects of the cluster that is followed in force as they were written there? Answered once they are, or
    /// after a while.
    TakenOf as Taken -> Taken {
        /// The objects.
        pub objects: Vec<WrittenObject>,
    }

    /// Which changes are watched, and what came of those that were?
    WatchesOf as Watches -> Watches {
        /// Only that of this revision.
        #[serde(default)]
        pub revision: Option<u64>,
    }

    /// Let a change stay that is watched, or take it back, before its time is over.
    EndWatch as EndWatch -> Watches {
        /// The revision that it made; else the only one that is watched.
        #[serde(default)]
        pub revision: Option<u64>,
        /// Whether it stays.
        pub keep: bool,
    }

    /// What would these files change, and what would that mean for calls that were recorded?
    PlanOf as Plan -> Planned {
        /// The files, with the objects in them.
        pub files: Vec<File>,
        /// The namespace of objects that name none.
        pub namespace: String,
        /// The set they belong to.
        pub set: String,
        /// Whether what the set applied before and is not in the files would be deleted.
        #[serde(default)]
        pub prune: bool,
        /// What is imagined without a file: `mtls=Strict`, `default=Deny`.
        #[serde(default)]
        pub with: Vec<String>,
        /// The namespace that it is imagined of; else the mesh.
        #[serde(default)]
        pub with_in: Option<String>,
        /// The calls of the last so many seconds.
        pub seconds: u64,
    }

    /// Which policies would let in what was recorded, and nothing else?
    SuggestOf as Suggest -> Suggested {
        /// Of which service: `NAME` or `NAMESPACE/NAME`; else of every one that was called.
        #[serde(default)]
        pub service: Option<String>,
        /// The namespace of a name that states none.
        #[serde(default)]
        pub namespace: String,
        /// By the calls of the last so many seconds.
        pub seconds: u64,
        /// What was called less often is left out.
        pub at_least: u64,
    }

    /// What was changed, when, by whom?
    HistoryOf as History -> History {
        /// At most so many revisions.
        pub limit: u32,
        /// Beginning right before this one; else with the newest.
        #[serde(default)]
        pub before: Option<u64>,
    }

    /// Let a measure of an emergency hold over what is written, until it ends by itself.
    AddOverride as AddOverride -> OverrideChanged {
        /// What is done: `audit shop/payments`, `eject shop/cart-0`, `all-to shop/cart shop/cart-v1`,
        /// `record shop/cart header:x-role`, `hold 416`.
        pub measure: String,
        /// How long it holds, in seconds.
        pub seconds: u64,
        /// Why.
        #[serde(default)]
        pub message: String,
        /// Whether that nobody answers any more is meant.
        #[serde(default)]
        pub force: bool,
    }

    /// Which measures hold over what is written?
    ListOverrides as Overrides -> Overrides {}

    /// Take a measure back before its time is over.
    DropOverride as DropOverride -> OverrideChanged {
        /// What it is called.
        pub id: String,
    }

    /// What was changed, asked and refused, by whom and from where?
    AuditOf as Audit -> AuditedOf {
        /// At most so many records.
        pub limit: u32,
        /// Beginning right before this one; else with the newest.
        #[serde(default)]
        pub before: Option<u64>,
    }

    /// What leads from one revision to another?
    DiffOf as Diff -> Diff {
        /// The one.
        pub from: u64,
        /// The other; else the newest.
        #[serde(default)]
        pub to: Option<u64>,
    }

    /// Which services are there?
    ServicesOf as Services -> Services {}

    /// What is so of a service: routes, who answers, who may call?
    ServiceOf as Service -> Served {
        /// Which: `NAME` or `NAMESPACE/NAME`.
        pub name: String,
        /// The namespace of a name that states none.
        #[serde(default)]
        pub namespace: String,
    }

    /// Is the mesh well: its configuration, its proxies, its certificates?
    Check as Check -> Checked {}

    /// What is in force, or was, and what do proxies report?
    ConfigurationOf as Configuration -> Configuration {
        /// What was; without it, what is.
        #[serde(default)]
        pub at: Option<At>,
    }

    /// Who is connected, and what does each hold?
    ProxiesOf as Proxies -> Proxies {}

    /// What does a proxy hold?
    ViewOf as View -> Viewed {
        /// What the proxy calls itself, or a workload that it stands in front of: `NAME` or
        /// `NAMESPACE/NAME`.
        pub name: String,
        /// The namespace of a name that states none.
        pub namespace: String,
        /// Whether it is compared with what is in force.
        #[serde(default)]
        pub diff: bool,
    }

    /// Let the mesh follow this store, although proxies hold later views than it knows of.
    Recover as Recover -> Recovered {}

    /// Make a join token.
    CreateToken as CreateToken -> TokenMade {
        /// The namespace whose identities it gives.
        pub namespace: String,
        /// The one service account it is for; else it is for a node, which may stand in front of
        /// every workload of the namespace.
        #[serde(default)]
        pub service_account: Option<String>,
        /// How often it can be used.
        pub uses: u32,
        /// For how many seconds.
        pub seconds: u64,
    }

    /// Which join tokens are there?
    ListTokens as Tokens -> Tokens {}

    /// Make a join token good for nothing.
    DropToken as DropToken -> Forgotten {
        /// Its id.
        pub id: String,
    }

    /// Let me look at the dashboard.
    OpenDashboard as OpenDashboard -> Link {}

    /// Whom does the mesh trust?
    TrustOf as Trust -> Trust {}

    /// What proves the mesh's identities to others?
    BundleOf as Bundle -> OwnBundle {}

    /// Refuse an identity from here on.
    Revoke as Revoke -> Revoked {
        /// Which: `namespace/service-account` of the mesh's own trust domain, or a SPIFFE ID.
        pub identity: String,
        /// Why.
        #[serde(default)]
        pub reason: String,
    }

    /// Let proxies ask for a new certificate at once, and wait for what comes of it.
    RenewCertificate as Renew -> Renewed {
        /// Whose: `namespace/service-account` of the mesh's own trust domain, or a SPIFFE ID.
        pub identity: String,
        /// Only say who would ask and what would come of it.
        #[serde(default)]
        pub dry_run: bool,
    }

    /// Let proxies in again whose certificates have ended, for a while.
    ReadmitProxies as Readmit -> Readmitting {
        /// For how many seconds; 0 for no longer.
        pub seconds: u64,
    }

    /// Announce the next root before it is due, or let the one that is announced sign at once.
    RotateRoot as RotateRoot -> Rotated {
        /// Let the announced root sign, whoever does not hold it yet.
        #[serde(default)]
        pub force: bool,
        /// Only say what would come of it.
        #[serde(default)]
        pub dry_run: bool,
    }

    /// What went between services, at any time that is kept?
    TrafficOf as Traffic -> Carried {
        /// For how many seconds.
        pub seconds: u64,
        /// Until when, in RFC 3339; else until the question came.
        #[serde(default)]
        pub until: Option<String>,
        /// The seconds of each of its steps; else all of it is one.
        #[serde(default)]
        pub step: Option<u64>,
        /// What is told apart.
        #[serde(default)]
        pub by: By,
        /// Only calls from or to this one: `NAME` or `NAMESPACE/NAME`.
        #[serde(default)]
        pub of: Option<String>,
        /// The namespace of a name that states none.
        #[serde(default)]
        pub namespace: String,
    }

    /// Why do calls to a service fail, or those that it makes?
    FailuresOf as Failures -> Failures {
        /// Which: `NAME` or `NAMESPACE/NAME`; else every service.
        #[serde(default)]
        pub service: Option<String>,
        /// The namespace of a name that states none.
        #[serde(default)]
        pub namespace: String,
        /// Of the last so many seconds.
        pub seconds: u64,
    }

    /// What do proxies keep of calls that are over?
    KeptOf as Kept -> KeptCalls {
        /// Of which.
        pub wanted: Wanted,
    }

    /// What became of a call, and why?
    StoryOf as Story -> Story {
        /// Its id, or the first digits of it.
        pub id: String,
    }

    /// Which calls happen?
    TapOf as Tap => Tapped {
        /// Of these.
        pub which: Which,
        /// At most so many a second of each proxy.
        pub limit: u32,
        /// Whether what each proxy of a call tells is shown; else each call is shown once.
        #[serde(default)]
        pub both: bool,
    }

    /// Of the proxy in front of a workload: how far does a call of that workload get?
    ProbeOf as Probe -> Probed {
        /// The workload: `shop/web`.
        pub workload: String,
        /// The service that is called: `shop/cart`.
        pub service: String,
        /// At this port.
        pub port: u16,
        /// What is asked there; else the connection is only opened.
        #[serde(default)]
        pub request: Option<Requested>,
    }

    /// Of the proxy in front of a workload: can it reach this endpoint?
    ReachOf as Reach -> Reached {
        /// The workload: `shop/web`.
        pub workload: String,
        /// Where the endpoint listens.
        pub endpoint: String,
    }

    /// Of a proxy: what does it hold?
    HoldingOf as Holding -> Holding {}

    /// Of a proxy: by what view does it decide?
    PartsOf as Parts -> Parts {}

    /// Of a proxy: let what lives end in peace, and end.
    End as End -> Ending {}

    /// Refuse an identity no longer.
    Reinstate as Reinstate -> Revoked {
        /// Which: `namespace/service-account` of the mesh's own trust domain, or a SPIFFE ID.
        pub identity: String,
    }
}

impl Question {
    /// What it is called: `apply`, `create-token`.
    pub fn word(&self) -> String {
        let told = serde_json::to_value(self).unwrap_or_default();
        told["ask"].as_str().unwrap_or_default().to_owned()
    }

    /// How long the answer may take. Who has not given it by then is stuck.
    pub fn limit(&self) -> Duration {
        match self {
            Self::Status(_)
            | Self::Overview(_)
            | Self::Check(_)
            | Self::Services(_)
            | Self::Service(_)
            | Self::Proxies(_)
            | Self::OpenDashboard(_) => AT_ONCE,
            Self::Apply(_)
            | Self::Delete(_)
            | Self::Rollback(_)
            | Self::Weigh(_)
            | Self::Taken(_)
            | Self::Watches(_)
            | Self::EndWatch(_)
            | Self::Plan(_)
            | Self::Suggest(_)
            | Self::History(_)
            | Self::Audit(_)
            | Self::AddOverride(_)
            | Self::DropOverride(_)
            | Self::Overrides(_)
            | Self::Diff(_)
            | Self::Configuration(_)
            | Self::View(_)
            | Self::Recover(_)
            | Self::CreateToken(_)
            | Self::Tokens(_)
            | Self::DropToken(_)
            | Self::Trust(_)
            | Self::Bundle(_)
            | Self::Revoke(_)
            | Self::Reinstate(_)
            | Self::Renew(_)
            | Self::RotateRoot(_)
            | Self::Readmit(_)
            | Self::Traffic(_)
            | Self::Failures(_)
            | Self::Kept(_)
            | Self::Story(_)
            | Self::Tap(_)
            | Self::Probe(_)
            | Self::Reach(_)
            | Self::Holding(_)
            | Self::Parts(_)
            | Self::End(_) => LONGEST,
        }
    }
}

/// How long a control plane may take that says what it has at hand.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How long anything may take: what is stored, and what proxies try, for
/// [`TRYING`](crate::several::TRYING).
const LONGEST: Duration = Duration::from_secs(30);

/// A state of the configuration that was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// That of a revision.
    Revision(u64),
    /// That which views of a generation show, as proxies name it.
    Generation(String),
}

/// A file with objects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct File {
    /// Its path, as people know it.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// An object as it was written to a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WrittenObject {
    /// Which: `HTTPRoute shop/cart`.
    pub object: String,
    /// What it says; `None` if it is gone.
    pub text: Option<String>,
}
