//! Keeps the network plugin in the configuration of the node, and tells what that took.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use leno_cni::{Keeper, Options, PLUGIN, Places, WhileAway};
use leno_model::view::{self, Settings};
use leno_model::{Code, Wall};
use leno_telemetry::obstacles::{HOST, Obstacles};

use crate::arguments::node::Node as Wanted;
use crate::command::joined::node::Said;

/// Keeps the plugin.
pub(super) struct Keeping {
    keeper: Keeper,
    /// What is in its way, as was told last.
    told: Option<String>,
}

impl Keeping {
    /// What keeps the plugin on the node, if that is asked for.
    pub(super) fn of(wanted: &Wanted) -> anyhow::Result<Option<Self>> {
        let Wanted {
            cni_socket: Some(socket),
            cni_bin: Some(plugins),
            cni_conf: Some(configurations),
            ..
        } = wanted
        else {
            return Ok(None);
        };
        let places = Places {
            program: beside_us(PLUGIN)?,
            plugins: plugins.clone(),
            configurations: configurations.clone(),
        };
        let mut keeper = Keeper::new(places, Options::default());
        // Until a view says what holds, that does which held before.
        keeper.say(Options {
            socket: socket.clone(),
            ..keeper.standing().unwrap_or_default()
        });
        Ok(Some(Self { keeper, told: None }))
    }

    /// Has the plugin do what the mesh says about pods while nobody answers, and about those that nobody is asked about.
    pub(super) fn say(&mut self, settings: &Settings) {
        let Options {
            timeout_seconds,
            exclude_namespaces,
            ..
        } = Options::default();
        let unasked = settings.unasked.iter().map(ToString::to_string);
        let others = unasked.filter(|one| !exclude_namespaces.contains(one));
        let others: Vec<_> = others.collect();
        let options = Options {
            socket: self.keeper.options().socket.clone(),
            timeout_seconds,
            exclude_namespaces: [exclude_namespaces, others].concat(),
            while_away: match settings.while_away {
                view::WhileAway::Closed => WhileAway::Closed,
                view::WhileAway::Open => WhileAway::Open,
            },
        };
        self.keeper.say(options);
    }

    /// Puts the plugin there as far as it is not, and tells what that took and what is in its way: people, and by
    /// `obstacles` the control plane.
    pub(super) fn keep(&mut self, obstacles: &Obstacles, now: Wall, tell: &mut impl FnMut(Said)) {
        let (changes, not_kept) = self.keeper.ensure();
        for change in changes {
            let Some(code) = change.code() else {
                tell(Said::Good(change.to_string()));
                continue;
            };
            tell(Said::Bad(format!("{code} {}: {change}", code.slug())));
            obstacles.was(code, HOST.into(), change.to_string(), now);
        }
        obstacles.forget_news(Code::H016, now);
        let in_the_way = not_kept.as_ref();
        let in_the_way = in_the_way.map(|why| (HOST.into(), why.to_string()));
        obstacles.are(Code::H015, in_the_way, now);
        let why = not_kept.map(|why| {
            let code = why.code();
            format!("{code} {}: {why}", code.slug())
        });
        if self.told != why {
            if let Some(why) = &why {
                tell(Said::Bad(why.clone()));
            }
            self.told = why;
        }
    }
}

/// A program in the folder of this one.
fn beside_us(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program is")?;
    Ok(own.parent().unwrap_or(Path::new("/")).join(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const NETWORK: &str =
        r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}]}"#;

    #[test]
    fn the_control_plane_is_told_what_keeps_the_plugin_away_until_it_is_there() {
        let folder = std::env::temp_dir().join(format!("leno-keeping-{}", std::process::id()));
        let [plugins, configurations] = ["bin", "net.d"].map(|name| folder.join(name));
        for made in [&plugins, &configurations] {
            fs::create_dir_all(made).unwrap();
        }
        let program = folder.join(PLUGIN);
        fs::write(&program, "program").unwrap();
        fs::write(plugins.join("bridge"), "").unwrap();
        let list = configurations.join("10-net.conflist");
        let places = Places {
            program,
            plugins,
            configurations,
        };
        let mut keeping = Keeping {
            keeper: Keeper::new(places, Options::default()),
            told: None,
        };
        let obstacles = Obstacles::default();
        let mut check = |second, expect: &[&str]| {
            let now = Wall::since_epoch(Duration::from_secs(second));
            keeping.keep(&obstacles, now, &mut |_| {});
            let known = obstacles.known();
            let known = known.borrow();
            let told = known.iter().map(|((code, about), told)| {
                let at = told.at.elapsed_since_epoch().as_secs();
                format!("{code} {about} since {at}")
            });
            assert_eq!(told.collect::<Vec<_>>(), expect, "at {second}");
        };
        check(1, &["H015 host since 1"]);
        check(2, &["H015 host since 1"]);
        fs::write(&list, NETWORK).unwrap();
        check(3, &[]);
        fs::write(&list, NETWORK).unwrap();
        check(4, &["H016 host since 4"]);
        fs::remove_file(&list).unwrap();
        check(5, &["H015 host since 5", "H016 host since 4"]);
        fs::write(&list, NETWORK).unwrap();
        // Put there again, by who knows that it was.
        check(6, &["H016 host since 6"]);
        check(606, &[]);
        fs::remove_dir_all(folder).unwrap();
    }
}
