//! The command line as people meet it: its help shows the commands in groups, by what one wants to do.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Command, CommandFactory as _};

use crate::arguments::Arguments;

/// What one wants to do, and the commands for it.
const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Start",
        &[
            "demo", "init", "up", "down", "run", "ps", "logs", "restart", "curl",
        ],
    ),
    (
        "See",
        &["status", "top", "tap", "stat", "dashboard", "why", "probe"],
    ),
    (
        "Change",
        &[
            "check", "test", "plan", "apply", "watch", "delete", "history", "diff", "rollback",
            "override",
        ],
    ),
    ("Trust", &["certs", "policy", "token"]),
    (
        "Fleet",
        &[
            "install",
            "upgrade",
            "uninstall",
            "join",
            "leave",
            "context",
            "proxies",
            "view",
            "bundle",
        ],
    ),
    ("Learn", &["explain", "version", "completion"]),
    (
        "Run as a service",
        &["control", "proxy", "capture", "node-remove"],
    ),
];

/// The command line.
pub(crate) fn command() -> Command {
    let command = Arguments::command();
    let heading = command.get_styles().get_header();
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{{before-help}}{heading}Options:{heading:#}\n\
         {{options}}{{after-help}}"
    );
    let groups = groups(&command);
    command.before_help(groups).help_template(template)
}

/// The commands in their groups, each with what it is for.
fn groups(command: &Command) -> StyledStr {
    let styles = command.get_styles();
    let (heading, name) = (styles.get_header(), styles.get_literal());
    let mut told = String::new();
    for (group, commands) in GROUPS {
        writeln!(told, "{heading}{group}:{heading:#}").expect("a string takes any text");
        for command in commands.iter().filter_map(|it| command.find_subcommand(it)) {
            let about = command.get_about().map(ToString::to_string);
            let (called, about) = (command.get_name(), about.unwrap_or_default());
            let line = writeln!(told, "  {name}{called:11}{name:#}  {about}");
            line.expect("a string takes any text");
        }
        told.push('\n');
    }
    told.truncate(told.trim_end().len());
    told.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Arguments::command();
        let mut known = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(Command::get_name)
            .collect::<Vec<_>>();
        let mut grouped = GROUPS
            .iter()
            .flat_map(|(_, commands)| commands.iter().copied())
            .collect::<Vec<_>>();
        known.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, known);
    }
}
