//! `leno logs`: what the workloads of a folder have said.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::arguments::Logs;
use crate::command::Answer;
use crate::terminal::{Line, Terminal};
use crate::up::{Place, meant};

/// How many lines of each are shown.
const LINES: usize = 100;

/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(200);

/// Prints the last lines, and goes on with `-f`.
pub(crate) fn run(options: &Logs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let names = match options.names.is_empty() {
        true => all(&place)?,
        false => options.names.clone(),
    };
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let mut logs = Vec::new();
    for name in names {
        let prefix = match options.names.len() {
            1 => String::new(),
            _ => format!("{name:width$} | "),
        };
        logs.push(Log::open(place.log(&meant(&name)?), prefix)?);
    }
    for log in &mut logs {
        log.print_last(terminal)?;
    }
    if !options.follow {
        return Ok(Answer::Fine);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            for log in &mut logs {
                log.print_more(terminal)?;
            }
        }
    })
}

/// The names of all workloads that have said something here.
fn all(place: &Place) -> anyhow::Result<Vec<String>> {
    let mut names = BTreeSet::new();
    let folder = place.logs();
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("nothing was ever up in {}", place.folder().display())
        }
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_dir() {
            names.extend(name.strip_suffix(LOG).map(str::to_owned));
            continue;
        }
        for below in fs::read_dir(entry.path())? {
            let below = below?.file_name().to_string_lossy().into_owned();
            names.extend(
                below
                    .strip_suffix(LOG)
                    .map(|below| format!("{name}/{below}")),
            );
        }
    }
    Ok(names.into_iter().collect())
}

/// How the file of a log ends.
const LOG: &str = ".log";

/// One log.
struct Log {
    path: PathBuf,
    prefix: String,
    reader: BufReader<File>,
}

impl Log {
    fn open(path: PathBuf, prefix: String) -> anyhow::Result<Self> {
        let reader = open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            path,
            prefix,
            reader,
        })
    }

    fn print_last(&mut self, terminal: &mut Terminal) -> anyhow::Result<()> {
        let mut last = VecDeque::new();
        while let Some(line) = self.line()? {
            if last.len() == LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        for line in last {
            self.print(&line, terminal)?;
        }
        Ok(())
    }

    /// Prints what came since, also when the file was put aside meanwhile.
    fn print_more(&mut self, terminal: &mut Terminal) -> anyhow::Result<()> {
        while let Some(line) = self.line()? {
            self.print(&line, terminal)?;
        }
        let held = self.reader.get_ref().metadata()?;
        let is_same = fs::metadata(&self.path).is_ok_and(|there| {
            use std::os::unix::fs::MetadataExt as _;
            there.ino() == held.ino()
        });
        if !is_same && let Ok(reader) = open(&self.path) {
            self.reader = reader;
        }
        Ok(())
    }

    /// The next whole line. One that is still being written is read when it is done.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let count = self.reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            let back = i64::try_from(count).unwrap_or_default();
            self.reader.seek(SeekFrom::Current(-back))?;
            return Ok(None);
        }
        line.pop();
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn print(&self, line: &str, terminal: &mut Terminal) -> io::Result<()> {
        terminal.line(Line::new().dim(&self.prefix).plain(line))
    }
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    File::open(path).map(BufReader::new)
}
