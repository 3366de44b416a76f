//! What is there while anything is measured: a folder of files, certificates, the origin that runs,
//! and whose proxies take part.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Outcome,
    bench::origin,
    rig::{
        contestant::Contestant,
        course::Course,
        folder,
        make::Make,
        process::{Core, Running, said},
    },
};

/// The folder of files, the origin that runs, and who takes part.
pub(super) struct Setting {
    /// Where cargo builds.
    target: PathBuf,
    folder: PathBuf,
    leno: PathBuf,
    /// A second `leno` that takes part wherever the first does.
    against: Option<PathBuf>,
    _origin: Running,
}

impl Setting {
    /// Writes the files below `target`, where cargo builds, and starts the origin.
    pub(super) fn new(
        target: &Path,
        leno: PathBuf,
        against: Option<PathBuf>,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = target.join("bench");
        folder::prepare(&folder, &leno)?;
        let origin = origin::start(&folder)?;
        Ok(Self {
            target: target.to_owned(),
            folder,
            leno,
            against,
            _origin: origin,
        })
    }

    /// The `leno` that is measured.
    pub(super) fn leno(&self) -> &Path {
        &self.leno
    }

    /// Where cargo builds.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Our own proxies: the one that is measured, and the one that it is measured against.
    pub(super) fn lenos(&self) -> impl Iterator<Item = Make> {
        let against = self.against.iter().map(|program| Make::Leno {
            name: format!("leno against ({})", program.display()),
            program: program.clone(),
        });
        let measured = Make::Leno {
            name: LENO.to_owned(),
            program: self.leno.clone(),
        };
        [measured].into_iter().chain(against)
    }

    /// Envoy, as it was installed.
    pub(super) fn envoy(&self) -> Make {
        Make::Envoy {
            program: crate::packages::envoy(&self.target),
        }
    }

    /// Starts our own proxies and those of `peers` over the same course.
    pub(super) fn start(
        &self,
        course: &Course,
        core: Core,
        peers: &[Make],
    ) -> Result<Vec<Contestant>, Box<dyn Error>> {
        let makes = self.lenos().chain(peers.iter().cloned());
        let contestants = makes
            .enumerate()
            .map(|(seat, make)| make.start(&self.folder, course, core, seat));
        contestants.collect()
    }

    /// Lets the kernel read a program from disk once more. How much of a file it maps at a time
    /// depends on how the file came into its cache: a build or a copy leaves another layout there
    /// than reading does.
    pub(super) fn forget_program(program: &Path) -> Outcome {
        let file = format!("if={}", program.display());
        said(Command::new("dd").args([&file, "iflag=nocache", "count=0"]))?;
        Ok(())
    }
}

/// The name of the one that is measured.
pub(super) const LENO: &str = "leno";
