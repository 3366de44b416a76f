//! Keeping the plugin in a node's network configuration, whoever else writes that: its program among the plugins of the
//! node, its entry last in the list that the runtime uses.

mod list;
mod write;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use leno_model::Code;

use self::list::Unfit;
use crate::{Options, PLUGIN};

/// Where things are, as this process sees them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// The program of the plugin that is copied to the node.
    pub program: PathBuf,
    /// The node's folder of plugins, which the node knows as `/opt/cni/bin`.
    pub plugins: PathBuf,
    /// The node's folder of network configurations, which the node knows as `/etc/cni/net.d`.
    pub configurations: PathBuf,
}

/// Keeps the plugin on a node.
#[derive(Debug)]
pub struct Keeper {
    places: Places,
    options: Options,
    /// The copy of the program that was compared last.
    copied: Option<Stamp>,
    /// Whether it was in place before.
    stood: bool,
}

/// Something that was changed on the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The program was copied there.
    Copied(PathBuf),
    /// The entry was put into this configuration.
    Added(PathBuf),
    /// The entry was in place, somebody took it out or wrote the configuration anew, and it was put back: pods that
    /// started meanwhile were not told of.
    PutBack(PathBuf),
    /// The entry was taken out of this configuration.
    TakenOut(PathBuf),
    /// This file was taken away.
    Gone(PathBuf),
}

impl Change {
    /// What it is called, if somebody has to know.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::PutBack(_) => Some(Code::H016),
            Self::Copied(_) | Self::Added(_) | Self::TakenOut(_) | Self::Gone(_) => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copied(file) => write!(f, "{} is there", file.display()),
            Self::Added(file) => write!(f, "{PLUGIN} stands last in {}", file.display()),
            Self::PutBack(file) => {
                write!(
                    f,
                    "{PLUGIN} was no longer in {}, and was put back",
                    file.display()
                )
            }
            Self::TakenOut(file) => write!(f, "{PLUGIN} is no longer in {}", file.display()),
            Self::Gone(file) => write!(f, "{} is gone", file.display()),
        }
    }
}

/// Why the plugin is not as it is to be. Each may pass by itself: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// Nobody has configured a network yet.
    #[error("{folder} holds no network configuration yet", folder = folder.display())]
    NoConfiguration {
        /// The folder of configurations.
        folder: PathBuf,
    },
    /// It is being written, or nobody can use it.
    #[error("{file} cannot be used: {why}", file = file.display())]
    Unread {
        /// The configuration.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Its version is none that the plugin speaks: with it, no pod would start.
    #[error("{file} is of CNI {version}, which {PLUGIN} does not speak", file = file.display())]
    Version {
        /// The configuration.
        file: PathBuf,
        /// Its version.
        version: String,
    },
    /// The runtime finds its plugins somewhere else, and would not find this one: with it, no pod would start.
    #[error("{file} names {plugin}, which is not in {folder}: the runtime looks for plugins elsewhere", file = file.display(), folder = folder.display())]
    Elsewhere {
        /// The configuration.
        file: PathBuf,
        /// The first plugin that it names.
        plugin: String,
        /// The folder of plugins.
        folder: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {why}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl NotKept {
    /// What it is called.
    pub fn code(&self) -> Code {
        Code::H015
    }

    fn file(path: &Path, why: io::Error) -> Self {
        let path = path.to_owned();
        Self::File { path, why }
    }

    fn unfit(file: &Path, unfit: Unfit) -> Self {
        let file = file.to_owned();
        match unfit {
            Unfit::Unread(why) => Self::Unread { file, why },
            Unfit::Version(version) => Self::Version { file, version },
        }
    }
}

/// What tells a file from another one in its place.
#[derive(PartialEq, Eq, Debug)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: SystemTime,
    mode: u32,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        Some(Self {
            inode: about.ino(),
            length: about.len(),
            changed: about.modified().ok()?,
            mode: about.permissions().mode() & 0o7777,
        })
    }
}

impl Keeper {
    /// One that has changed nothing yet.
    pub fn new(places: Places, options: Options) -> Self {
        Self {
            places,
            options,
            copied: None,
            stood: false,
        }
    }

    /// What the entry says that stands on the node, whoever put it there.
    pub fn standing(&self) -> Option<Options> {
        let (ours, others) = self.configurations().ok()?;
        let mut files = ours.iter().chain(&others);
        files.find_map(|file| list::said(&text(file).ok()?))
    }

    /// Has the entry say `options` from the next look on.
    pub fn say(&mut self, options: Options) {
        if self.options != options {
            self.options = options;
            // That it is not there yet is nobody's doing.
            self.stood = false;
        }
    }

    /// What the entry is to say.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Puts the plugin there as far as it is not, and tells what that took and what is missing still. To be asked again
    /// and again: whoever else writes the node's network configuration asks nobody.
    pub fn ensure(&mut self) -> (Vec<Change>, Option<NotKept>) {
        let mut changes = Vec::new();
        // First what the entry names.
        let kept = self
            .copy(&mut changes)
            .and_then(|()| self.configure(&mut changes));
        self.stood |= kept.is_ok();
        (changes, kept.err())
    }

    /// Takes the plugin out again, its entry first: a runtime that finds an entry without its program starts no pod.
    pub fn remove(&mut self) -> (Vec<Change>, Option<NotKept>) {
        let mut changes = Vec::new();
        self.stood = false;
        self.copied = None;
        let removed = self.take_out(&mut changes).and_then(|()| {
            let program = self.places.plugins.join(PLUGIN);
            gone(program, &mut changes)
        });
        (changes, removed.err())
    }

    fn copy(&mut self, changes: &mut Vec<Change>) -> Result<(), NotKept> {
        let copy = self.places.plugins.join(PLUGIN);
        if self.copied.is_some() && self.copied == Stamp::of(&copy) {
            return Ok(());
        }
        let program = &self.places.program;
        let bytes = fs::read(program).map_err(|why| NotKept::file(program, why))?;
        let is_there = fs::read(&copy).is_ok_and(|there| there == bytes);
        if !is_there || Stamp::of(&copy).is_none_or(|stamp| stamp.mode != RUNS) {
            let written = write::replace(&copy, &bytes, RUNS);
            written.map_err(|why| NotKept::file(&copy, why))?;
            changes.push(Change::Copied(copy.clone()));
        }
        self.copied = Stamp::of(&copy);
        Ok(())
    }

    fn configure(&self, changes: &mut Vec<Change>) -> Result<(), NotKept> {
        let (ours, others) = self.configurations()?;
        let first = others.first().ok_or_else(|| NotKept::NoConfiguration {
            folder: self.places.configurations.clone(),
        })?;
        let text = text(first)?;
        let entry = self.options.entry();
        let is_list = extension(first) == Some("conflist");
        let (file, wanted, before) = match is_list {
            true => (first.clone(), list::with(&text, &entry), Some(text)),
            false => {
                let file = made_of(first);
                let before = fs::read_to_string(&file).ok();
                (file, list::of_one(&text, &entry), before)
            }
        };
        let wanted = wanted.map_err(|unfit| NotKept::unfit(first, unfit))?;
        self.is_looked_through(first, &wanted)?;
        if before.as_ref() != Some(&wanted) {
            settle(&file, before.as_deref(), &wanted)?;
            changes.push(match self.stood {
                true => Change::PutBack(file.clone()),
                false => Change::Added(file.clone()),
            });
        }
        // What was made of a configuration that is no longer the first, or no longer there.
        let mut stale = ours.into_iter().filter(|ours| *ours != file);
        stale.try_for_each(|stale| gone(stale, changes))
    }

    /// Fails unless the runtime looks into our folder of plugins: those of one list may be in several, one of them is here.
    /// It may be a link to where only the node finds it.
    fn is_looked_through(&self, file: &Path, text: &str) -> Result<(), NotKept> {
        let folder = &self.places.plugins;
        let others = list::others(text).map_err(|unfit| NotKept::unfit(file, unfit))?;
        let is_here = |plugin: &String| folder.join(plugin).symlink_metadata().is_ok();
        match others.first() {
            Some(plugin) if !others.iter().any(is_here) => Err(NotKept::Elsewhere {
                file: file.to_owned(),
                plugin: plugin.clone(),
                folder: folder.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn take_out(&self, changes: &mut Vec<Change>) -> Result<(), NotKept> {
        let (ours, others) = self.configurations()?;
        for file in others
            .iter()
            .filter(|file| extension(file) == Some("conflist"))
        {
            let text = text(file)?;
            if !text.contains(PLUGIN) {
                continue;
            }
            let without = list::without(&text);
            let without = without.map_err(|unfit| NotKept::unfit(file, unfit))?;
            if without != text {
                settle(file, Some(&text), &without)?;
                changes.push(Change::TakenOut(file.clone()));
            }
        }
        ours.into_iter().try_for_each(|ours| gone(ours, changes))
    }

    /// The configurations that we have made of others, and all others, in the order in which runtimes look at them.
    fn configurations(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), NotKept> {
        let folder = &self.places.configurations;
        let failed = |why| NotKept::file(folder, why);
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_known = extension(&path).is_some_and(|it| EXTENSIONS.contains(&it));
            if is_known && !path.is_dir() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files.into_iter().partition(|file| is_made(file)))
    }
}

/// Everybody may run it.
const RUNS: u32 = 0o755;

/// The files that runtimes take for network configurations.
const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// What the name of a list ends with that was made of a configuration of one plugin. It sorts before that one's: `-` comes
/// before `.`.
const MADE: &str = "-leno.conflist";

fn made_of(file: &Path) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(MADE);
    file.with_file_name(name)
}

fn is_made(file: &Path) -> bool {
    let name = file.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.ends_with(MADE))
}

fn extension(file: &Path) -> Option<&str> {
    file.extension().and_then(OsStr::to_str)
}

fn text(file: &Path) -> Result<String, NotKept> {
    fs::read_to_string(file).map_err(|why| match why.kind() {
        io::ErrorKind::InvalidData => NotKept::unfit(file, Unfit::Unread(why.to_string())),
        _ => NotKept::file(file, why),
    })
}

/// Writes a configuration, unless it is another by now than the one that this was made of.
fn settle(file: &Path, before: Option<&str>, wanted: &str) -> Result<(), NotKept> {
    // Of a link, what it leads to.
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mode = Stamp::of(&real).map_or(0o600, |stamp| stamp.mode);
    let written = write::replace_if(&real, wanted.as_bytes(), mode, || {
        fs::read(&real).ok().as_deref() == before.map(str::as_bytes)
    });
    match written {
        Ok(true) => Ok(()),
        Ok(false) => {
            let why = "somebody is writing it".to_owned();
            Err(NotKept::unfit(file, Unfit::Unread(why)))
        }
        Err(why) => Err(NotKept::file(&real, why)),
    }
}

fn gone(file: PathBuf, changes: &mut Vec<Change>) -> Result<(), NotKept> {
    match fs::remove_file(&file) {
        Ok(()) => changes.push(Change::Gone(file)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(NotKept::file(&file, why)),
    }
    Ok(())
}
