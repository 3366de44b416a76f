//! Whether this machine allows enclosures, found out by making one, and if it does not, what stands
//! in the way and what to do about it.

use std::{
    fmt, fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use leno_model::Code;
use rustix::io::Errno;

use crate::enclosure::{Enclosure, Layout, OpenError, Step};

/// Makes an enclosure, with rules and listeners and all, and drops it. Blocks for some tens of
/// milliseconds. `program` is as for [`Enclosure::open`].
pub fn probe(program: &Path) -> Result<(), Blocker> {
    let layout = Layout {
        v4: Ipv4Addr::new(192, 0, 2, 1),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        resolver: Ipv4Addr::new(192, 0, 2, 53).into(),
        search: Vec::new(),
    };
    match Enclosure::open(program, &layout) {
        Ok(_) => Ok(()),
        Err(error) => Err(Blocker::of(&error)),
    }
}

/// What stands in the way of enclosures. It displays as what is the matter; [`Self::remedy`] says
/// what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blocker {
    /// AppArmor lets programs without a profile make user namespaces and forbids all use of them, as
    /// on Ubuntu since 23.10.
    AppArmor {
        /// The program that needs a profile.
        program: PathBuf,
    },
    /// The process runs under an AppArmor profile, such as a container's, that forbids it.
    Profile {
        /// Its name.
        name: String,
    },
    /// A filter on system calls, such as a container's, forbids it.
    Seccomp,
    /// A kernel setting forbids it, or its limit is used up.
    Setting {
        /// The name, as sysctl(8) takes it.
        name: &'static str,
        /// What it is set to.
        value: u64,
    },
    /// The kernel is built without user namespaces.
    NoNamespaces,
    /// The kernel lacks nf_tables, or a part of it.
    NoRules {
        /// The part that was refused; empty if it is all of it.
        part: String,
    },
    /// Something else.
    Other(String),
}

impl Blocker {
    /// What stands behind the failure to open an enclosure.
    pub fn of(error: &OpenError) -> Self {
        let facts = Facts::read(|path| fs::read_to_string(path).ok());
        let program = std::env::current_exe().unwrap_or_else(|_| "leno".into());
        match error {
            OpenError::Refused { step, errno, what } => {
                let errno = Errno::from_raw_os_error(*errno);
                let blocker = diagnose(*step, errno, what, &facts, program);
                blocker.unwrap_or_else(|| Self::Other(error.to_string()))
            }
            OpenError::Lost(_) if facts.seccomp => Self::Seccomp,
            OpenError::Spawn(source) | OpenError::Lost(source) => {
                Self::Other(format!("{error}: {source}"))
            }
        }
    }

    /// The code that names it to people.
    pub fn code(&self) -> Code {
        Code::H001
    }

    /// What to do, in commands where there are any. Lines that belong into a file stand indented.
    pub fn remedy(&self) -> String {
        match self {
            Self::AppArmor { program } => format!(
                "Write this to /etc/apparmor.d/leno:\n\n{}\n\
                 then: sudo apparmor_parser -r /etc/apparmor.d/leno",
                profile(program)
            ),
            Self::Profile { .. } => "Start the container with an AppArmor profile that allows \
                 namespaces and mounts: --security-opt apparmor=unconfined (Docker, Podman), \
                 appArmorProfile.type: Unconfined (Kubernetes)."
                .into(),
            Self::Seccomp => "Start the container with a filter that allows unshare and mount: \
                 --security-opt seccomp=unconfined (Docker, Podman), \
                 seccompProfile.type: Unconfined (Kubernetes)."
                .into(),
            Self::Setting { name, value } => {
                let wanted = match *name {
                    USERNS_CLONE => 1,
                    _ => (value * 2).max(10_000),
                };
                format!("sudo sysctl -w {name}={wanted}")
            }
            Self::NoNamespaces => "Use a kernel with CONFIG_USER_NS.".into(),
            Self::NoRules { .. } => "sudo modprobe -a nf_tables nft_chain_nat nft_redir \
                 nft_reject_inet, or use a kernel with them."
                .into(),
            Self::Other(_) => "Run with sudo, or outside of the container or chroot.".into(),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppArmor { program } => {
                let program = program.display();
                write!(
                    f,
                    "AppArmor does not let {program} use namespaces without root"
                )
            }
            Self::Profile { name } => write!(f, "the AppArmor profile {name} forbids namespaces"),
            Self::Seccomp => f.write_str("a seccomp filter forbids namespaces"),
            Self::Setting { name, value } => {
                write!(
                    f,
                    "the kernel setting {name} = {value} allows no more namespaces"
                )
            }
            Self::NoNamespaces => f.write_str("this kernel has no user namespaces"),
            Self::NoRules { part } => {
                write!(
                    f,
                    "this kernel cannot redirect connections with nf_tables{part}"
                )
            }
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// What the machine says about itself. Files that cannot be read say nothing.
#[derive(Debug)]
struct Facts {
    /// Settings that allow nothing at 0.
    settings: Vec<(&'static str, u64)>,
    apparmor_restricts: bool,
    /// The AppArmor profile in force, if one is.
    profile: Option<String>,
    seccomp: bool,
}

impl Facts {
    fn read(read: impl Fn(&Path) -> Option<String>) -> Self {
        let setting = |name: &str| {
            let path = Path::new("/proc/sys").join(name.replace('.', "/"));
            read(&path)?.trim().parse().ok()
        };
        let is = |name, value: u64| setting(name) == Some(value);
        let label = read(Path::new("/proc/self/attr/current"));
        let status = read(Path::new("/proc/self/status")).unwrap_or_default();
        let mut settings = Vec::new();
        for name in SETTINGS {
            settings.extend(setting(name).map(|value| (name, value)));
        }
        Self {
            settings,
            apparmor_restricts: is("kernel.apparmor_restrict_unprivileged_userns", 1),
            // `name (mode)`, or `unconfined`.
            profile: label
                .and_then(|label| Some(label.trim().strip_suffix(" (enforce)")?.to_owned())),
            seccomp: status.lines().any(|line| line == "Seccomp:\t2"),
        }
    }

    /// Who forbids what a right to namespaces would include.
    fn forbidder(&self, program: PathBuf) -> Option<Blocker> {
        if self.apparmor_restricts {
            Some(Blocker::AppArmor { program })
        } else if let Some(name) = self.profile.clone() {
            Some(Blocker::Profile { name })
        } else if self.seccomp {
            Some(Blocker::Seccomp)
        } else {
            None
        }
    }
}

fn diagnose(
    step: Step,
    errno: Errno,
    what: &str,
    facts: &Facts,
    program: PathBuf,
) -> Option<Blocker> {
    let zero = facts.settings.iter().find(|(_, value)| *value == 0);
    match (step, errno) {
        (Step::Namespaces, Errno::PERM | Errno::NOSPC | Errno::USERS) if zero.is_some() => {
            zero.map(|&(name, value)| Blocker::Setting { name, value })
        }
        (Step::Namespaces, Errno::NOSPC | Errno::USERS) => {
            let used_up = facts.settings.iter().find(|(name, _)| *name == MAX_USERNS);
            used_up.map(|&(name, value)| Blocker::Setting { name, value })
        }
        (Step::Namespaces, Errno::INVAL) => Some(Blocker::NoNamespaces),
        (Step::Namespaces, Errno::NOSYS) if facts.seccomp => Some(Blocker::Seccomp),
        (Step::Namespaces, Errno::NOSYS) => Some(Blocker::NoNamespaces),
        (Step::Rules, Errno::NOENT | Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT) => {
            Some(Blocker::NoRules { part: what.into() })
        }
        (_, Errno::PERM | Errno::ACCESS) => facts.forbidder(program),
        _ => None,
    }
}

/// An AppArmor profile that allows a program what every program is allowed elsewhere.
fn profile(program: &Path) -> String {
    format!(
        "    abi <abi/4.0>,\n    \
             include <tunables/global>\n    \
             profile leno \"{}\" flags=(unconfined) {{\n      \
               userns,\n    \
             }}\n",
        program.display()
    )
}

const USERNS_CLONE: &str = "kernel.unprivileged_userns_clone";
const MAX_USERNS: &str = "user.max_user_namespaces";
const SETTINGS: [&str; 5] = [
    USERNS_CLONE,
    MAX_USERNS,
    "user.max_net_namespaces",
    "user.max_mnt_namespaces",
    "user.max_pid_namespaces",
];

#[cfg(test)]
mod tests {
    use super::*;

    const UBUNTU: (&str, &str) = (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1\n",
    );
    const DOCKER: (&str, &str) = ("/proc/self/attr/current", "docker-default (enforce)\n");
    const FILTERED: (&str, &str) = ("/proc/self/status", "NoNewPrivs:\t1\nSeccomp:\t2\n");
    const ROOMY: (&str, &str) = ("/proc/sys/user/max_user_namespaces", "96365\n");

    fn check(files: &[(&str, &str)], step: Step, errno: Errno, expect: &str) {
        let facts = Facts::read(|path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        });
        let found = diagnose(step, errno, ": rule 7", &facts, "/usr/bin/leno".into());
        let found = found.map_or("?".to_owned(), |blocker| blocker.to_string());
        assert_eq!(found, expect, "{files:?} {step} {errno}");
    }

    #[test]
    fn each_blocker_is_told_from_the_others() {
        use Step::{Identity, Mounts, Namespaces, Network, Rules};
        let apparmor = "AppArmor does not let /usr/bin/leno use namespaces without root";
        check(&[UBUNTU, ROOMY], Identity, Errno::PERM, apparmor);
        check(&[UBUNTU, ROOMY], Network, Errno::PERM, apparmor);
        check(&[UBUNTU, ROOMY], Namespaces, Errno::ACCESS, apparmor);

        let profile = "the AppArmor profile docker-default forbids namespaces";
        check(&[DOCKER, FILTERED], Mounts, Errno::ACCESS, profile);
        let filter = "a seccomp filter forbids namespaces";
        check(&[FILTERED, ROOMY], Namespaces, Errno::PERM, filter);
        check(&[FILTERED, ROOMY], Namespaces, Errno::NOSYS, filter);
        check(&[ROOMY], Namespaces, Errno::PERM, "?");

        let none = "this kernel has no user namespaces";
        check(&[], Namespaces, Errno::INVAL, none);
        let rules = "this kernel cannot redirect connections with nf_tables: rule 7";
        check(&[ROOMY], Rules, Errno::NOENT, rules);
        check(&[ROOMY], Rules, Errno::PROTONOSUPPORT, rules);
    }

    #[test]
    fn a_setting_is_named_with_its_value() {
        for (file, errno, name, value, remedy) in [
            (
                "/proc/sys/kernel/unprivileged_userns_clone",
                Errno::PERM,
                "kernel.unprivileged_userns_clone",
                "0",
                "sudo sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (
                "/proc/sys/user/max_net_namespaces",
                Errno::NOSPC,
                "user.max_net_namespaces",
                "0",
                "sudo sysctl -w user.max_net_namespaces=10000",
            ),
            (
                "/proc/sys/user/max_user_namespaces",
                Errno::NOSPC,
                "user.max_user_namespaces",
                "15000",
                "sudo sysctl -w user.max_user_namespaces=30000",
            ),
        ] {
            let expect = format!("the kernel setting {name} = {value} allows no more namespaces");
            check(&[(file, value), FILTERED], Step::Namespaces, errno, &expect);
            let value = value.parse().unwrap();
            assert_eq!(Blocker::Setting { name, value }.remedy(), remedy);
        }
    }

    #[test]
    fn the_profile_to_install_is_printed_whole() {
        let blocker = Blocker::AppArmor {
            program: "/opt/le no/leno".into(),
        };
        assert_eq!(
            blocker.remedy(),
            "Write this to /etc/apparmor.d/leno:

    abi <abi/4.0>,
    include <tunables/global>
    profile leno \"/opt/le no/leno\" flags=(unconfined) {
      userns,
    }

then: sudo apparmor_parser -r /etc/apparmor.d/leno"
        );
    }
}
