//! Keeps the network plugin in the configuration of the node, and tells what that took.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use leno_cni::{Keeper, Options, PLUGIN, Places, WhileAway};
use leno_model::view::{self, Settings};

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

    /// Puts the plugin there as far as it is not, and tells what that took and what is in its way.
    pub(super) fn keep(&mut self, tell: &mut impl FnMut(Said)) {
        let (changes, not_kept) = self.keeper.ensure();
        for change in changes {
            tell(match change.code() {
                Some(code) => Said::Bad(format!("{code} {}: {change}", code.slug())),
                None => Said::Good(change.to_string()),
            });
        }
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
