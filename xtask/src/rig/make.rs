//! Whose proxies take part, and how each is told what to do. All do the same with a call: parse
//! it, choose where it goes, add a header and the caller's address, and keep the connections.

mod envoy;
mod haproxy;
mod leno;
mod nginx;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use crate::rig::{
    contestant::Contestant,
    course::{Course, Post},
    process::{Core, Running, local},
};

pub(crate) use leno::MESH;

/// Whose proxy it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Make {
    /// Ours, under the name by which it takes part.
    Leno {
        name: String,
        program: PathBuf,
    },
    HaProxy,
    Nginx,
    /// From the folder in which it was installed.
    Envoy {
        program: PathBuf,
    },
}

impl Make {
    /// As the document names it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Leno { name, .. } => name,
            Self::HaProxy => HAPROXY,
            Self::Nginx => "nginx",
            Self::Envoy { .. } => ENVOY,
        }
    }

    /// The file that runs.
    pub(crate) fn program(&self) -> &Path {
        match self {
            Self::Leno { program, .. } | Self::Envoy { program } => program,
            Self::HaProxy => Path::new("/usr/sbin/haproxy"),
            Self::Nginx => Path::new("/usr/sbin/nginx"),
        }
    }

    /// Starts its proxies in `folder`, the last on the way first, with ports that belong to `seat`.
    pub(crate) fn start(
        &self,
        folder: &Path,
        course: &Course,
        core: Core,
        seat: usize,
    ) -> Result<Contestant, Box<dyn Error>> {
        let posts = course.posts(seat);
        let mut proxies = Vec::new();
        for post in posts.iter().rev() {
            let file = format!("{}-{}.conf", post.name, post.listen);
            fs::write(folder.join(&file), self.text(post))?;
            let mut words = self.words(&file, post);
            let mut program = self.program();
            if course.counted {
                let counter = format!("--tool=callgrind --callgrind-out-file={file}.callgrind");
                let counter = counter.split(' ').map(str::to_owned);
                words.splice(0..0, counter.chain([program.display().to_string()]));
                program = Path::new("valgrind");
            }
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let proxy = Running::start(core, folder, &file, program, &words, local(post.listen))?;
            proxies.insert(0, proxy);
        }
        let front = posts.first().ok_or("a way has a proxy")?;
        Ok(Contestant {
            name: self.name().to_owned(),
            address: local(front.listen),
            proxies,
        })
    }

    /// What stands in the file of one proxy.
    fn text(&self, post: &Post) -> String {
        match self {
            Self::Leno { .. } => leno::text(post),
            Self::HaProxy => haproxy::text(post),
            Self::Nginx => nginx::text(post),
            Self::Envoy { .. } => envoy::text(post),
        }
    }

    /// What it is told on the command line.
    fn words(&self, file: &str, post: &Post) -> Vec<String> {
        let line = match self {
            Self::Leno { .. } => format!("proxy --static {file}"),
            Self::HaProxy => format!("-db -f {file}"),
            Self::Nginx => format!("-p . -e nginx-{}.errors -c {file}", post.listen),
            Self::Envoy { .. } => format!(
                "--disable-hot-restart --log-level error --concurrency {} --config-path {file}",
                post.workers
            ),
        };
        line.split(' ').map(str::to_owned).collect()
    }
}

/// The names of those whom targets are set beside.
pub(crate) const HAPROXY: &str = "haproxy";
pub(crate) const ENVOY: &str = "envoy";
