//! `leno init`: writes `leno.yaml` from a `Procfile`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::arguments::Init;
use crate::command::Answer;
use crate::offline::count;
use crate::terminal::{Line, Terminal};
use crate::up::{OBJECTS, PROCFILE, name_of, procfile};

/// Writes the file, unless there is one.
pub(crate) fn run(_: &Init, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let text = fs::read_to_string(PROCFILE).context("cannot read ./Procfile")?;
    let processes = procfile::read(&text)?;
    let folder = Path::new(".").canonicalize()?;
    let written = procfile::as_file(&processes, name_of(&folder).as_str());
    let mut file = match File::create_new(OBJECTS) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("there is a {OBJECTS} already")
        }
        Err(error) => return Err(error).context("cannot write ./leno.yaml"),
    };
    file.write_all(written.as_bytes())?;
    let line = Line::new().good("wrote ").strong(OBJECTS);
    let processes = count(processes.len(), "workload");
    terminal.line(line.plain(format_args!("  {processes} of ./{PROCFILE}   leno up")))?;
    Ok(Answer::Fine)
}
