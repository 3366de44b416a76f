//! What role a question takes, and with what of the mesh: one table for all who ask from elsewhere.

use leno_model::Role;

use crate::calls::Wanted;
use crate::question::Question;

/// What it takes to be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needs {
    /// At least this role.
    pub role: Role,
    /// With this.
    pub with: With,
    /// Whether it is written down that it was asked.
    pub audit: Audit,
}

/// What a role must be for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum With {
    /// The whole mesh.
    Mesh,
    /// What is in the namespace of this name: `shop/cart`, a SPIFFE ID, or a namespace alone. What
    /// names nothing of the kind takes the whole mesh.
    NamespaceOf(String),
    /// All objects that it changes: they are known once it is tried.
    Changed,
    /// Anything: it is answered with as much as its asker may see.
    Shown,
}

/// Whether a question leaves a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Audit {
    /// It tells how the mesh is, and nothing of single calls.
    No,
    /// It tells of single calls, or of secrets: written down before it is answered, with what it was
    /// about.
    Before(String),
    /// It changes something: written down with what came of it.
    After(String),
}

impl Question {
    /// What it takes to be answered this.
    pub fn needs(&self) -> Needs {
        let viewer = |with| needs(Role::Viewer, with, Audit::No);
        let seen = |what: String| needs(Role::Viewer, With::Shown, Audit::Before(what));
        let edits = |dry_run, what: String| {
            let audit = match dry_run {
                true => Audit::No,
                false => Audit::After(what),
            };
            needs(Role::Editor, With::Changed, audit)
        };
        let admin = |with, what: String| needs(Role::Admin, with, Audit::After(what));
        let tries = |workload: &String, what: String| {
            let with = With::NamespaceOf(workload.clone());
            needs(Role::Editor, with, Audit::Before(what))
        };
        match self {
            Self::Status(_)
            | Self::Overview(_)
            | Self::History(_)
            | Self::Diff(_)
            | Self::Services(_)
            | Self::Check(_)
            | Self::Proxies(_)
            | Self::View(_)
            | Self::Traffic(_)
            // What may be changed is known once it is tried.
            | Self::Plan(_)
            | Self::Failures(_)
            | Self::Trust(_)
            | Self::Bundle(_) => viewer(With::Shown),
            Self::Service(ask) => viewer(With::NamespaceOf(named(&ask.namespace, &ask.name))),
            // Part of it would mean something else than all of it.
            Self::Configuration(_) => viewer(With::Mesh),
            Self::Suggest(ask) => viewer(match &ask.service {
                Some(service) => With::NamespaceOf(named(&ask.namespace, service)),
                None => With::Shown,
            }),
            Self::Tap(ask) => seen(ask.which.to_string()),
            Self::Kept(ask) => seen(match &ask.wanted {
                Wanted::Last { count, which } => format!("the last {count} calls {which}"),
                Wanted::Named { id } => format!("call {id}"),
            }),
            Self::Story(ask) => seen(format!("call {}", ask.id)),
            Self::Probe(ask) => {
                let what = format!("{} calls {}:{}", ask.workload, ask.service, ask.port);
                tries(&ask.workload, what)
            }
            Self::Reach(ask) => {
                let what = format!("{} connects to {}", ask.workload, ask.endpoint);
                tries(&ask.workload, what)
            }
            Self::Apply(ask) => edits(ask.dry_run, format!("set {}", ask.set)),
            Self::Delete(ask) => edits(ask.dry_run, ask.objects.join(", ")),
            Self::Rollback(ask) => edits(ask.dry_run, format!("to {}", ask.to)),
            Self::Weigh(ask) => {
                let files = ask.files.iter().map(|file| file.path.as_str());
                let removed = ask.removed.iter().map(String::as_str);
                let what: Vec<_> = files.chain(removed).collect();
                edits(ask.dry_run, format!("in the cluster: {}", what.join(", ")))
            }
            Self::Taken(_) => needs(Role::Editor, With::Changed, Audit::No),
            Self::Watches(_) => viewer(With::Shown),
            Self::EndWatch(ask) => {
                let what = if ask.keep { "keep" } else { "take back" };
                let of = ask.revision.map(|of| format!(" {of}"));
                let what = format!("{what}{}", of.unwrap_or_default());
                needs(Role::Editor, With::Changed, Audit::After(what))
            }
            Self::AddOverride(ask) => needs(
                Role::Editor,
                With::Changed,
                Audit::After(ask.measure.clone()),
            ),
            Self::DropOverride(ask) => {
                needs(Role::Editor, With::Changed, Audit::After(ask.id.clone()))
            }
            Self::Overrides(_) => viewer(With::Shown),
            Self::Audit(_) => needs(Role::Admin, With::Mesh, Audit::No),
            Self::Recover(_) => admin(With::Mesh, String::new()),
            Self::CreateToken(ask) => {
                let account = ask.service_account.as_deref().unwrap_or("*");
                let what = format!("{}/{account}", ask.namespace);
                // Who may let people in decides about the whole mesh.
                let with = match ask.namespace == leno_model::role::PEOPLE {
                    true => With::Mesh,
                    false => With::NamespaceOf(ask.namespace.clone()),
                };
                admin(with, what)
            }
            Self::Tokens(_) => needs(Role::Admin, With::Mesh, Audit::No),
            Self::DropToken(ask) => admin(With::Mesh, ask.id.clone()),
            Self::OpenDashboard(_) => admin(With::Mesh, String::new()),
            Self::Revoke(ask) => of_identity(&ask.identity, admin),
            Self::Reinstate(ask) => of_identity(&ask.identity, admin),
            Self::Renew(ask) if ask.dry_run => {
                let with = With::NamespaceOf(ask.identity.clone());
                needs(Role::Admin, with, Audit::No)
            }
            Self::Renew(ask) => of_identity(&ask.identity, admin),
            Self::Readmit(ask) => admin(With::Mesh, format!("for {} s", ask.seconds)),
            Self::RotateRoot(ask) if ask.dry_run => needs(Role::Admin, With::Mesh, Audit::No),
            Self::RotateRoot(ask) => {
                let what = if ask.force { "at once" } else { "" };
                admin(With::Mesh, what.to_owned())
            }
            // A control plane does not answer these.
            Self::Holding(_) | Self::Parts(_) | Self::End(_) => {
                needs(Role::Admin, With::Mesh, Audit::No)
            }
        }
    }
}

fn needs(role: Role, with: With, audit: Audit) -> Needs {
    Needs { role, with, audit }
}

fn of_identity(identity: &str, admin: impl FnOnce(With, String) -> Needs) -> Needs {
    admin(With::NamespaceOf(identity.to_owned()), identity.to_owned())
}

/// A name, with the namespace that it is in where it states none.
fn named(namespace: &str, name: &str) -> String {
    match name.contains('/') {
        true => name.to_owned(),
        false => format!("{namespace}/{name}"),
    }
}
