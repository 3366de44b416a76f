//! A mesh of real processes in a folder of its own, at loopback addresses of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use leno_e2e::{Block, Ended, Process, binary, ended, within};

use crate::table::{Step, Table};

/// How long something may take that a mesh does in a moment. Only what fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what is known already may take to be told, on a machine that has other things to do.
const TELLING: Duration = Duration::from_secs(30);

/// A mesh that runs. It ends when this is dropped.
pub(crate) struct Scene {
    /// Those that were started last, by their names. They end before their folder is gone.
    processes: BTreeMap<String, Process>,
    folder: PathBuf,
    addresses: Block,
    environment: Vec<(String, String)>,
    /// What `<word>` stands for in what is done and in what is expected; the first one counts.
    words: Vec<(String, String)>,
}

/// A command that did not say what it should have said.
pub(crate) struct Miss {
    /// The command.
    pub(crate) command: String,
    /// The words that it lacks, one a line.
    pub(crate) expected: String,
    /// What it said.
    pub(crate) said: String,
}

impl Scene {
    /// The folder with its files; nothing runs yet. `<word>` stands for the line of the comment
    /// `# <word>` in them, `@name` for an address that nobody else uses.
    pub(crate) fn new(table: &Table) -> Self {
        let addresses = Block::claim();
        let folder = addresses.folder().join("shop");
        fs::create_dir_all(&folder).expect("a folder can be made");
        let marked = table.files.iter().flat_map(|(_, text)| marks(text));
        let mut scene = Self {
            words: marked.collect(),
            environment: Vec::new(),
            processes: BTreeMap::new(),
            folder,
            addresses,
        };
        scene.environment = table
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), scene.filled(value)))
            .collect();
        for (name, text) in &table.files {
            let path = scene.folder.join(name);
            let parent = path.parent().expect("it is below the folder");
            fs::create_dir_all(parent).expect("a folder can be made");
            let text = scene.addresses.filled(text);
            fs::write(path, text).expect("the folder takes files");
        }
        scene
    }

    /// Lets `<word>` stand for something from here on.
    pub(crate) fn learn(&mut self, word: &str, meaning: &str) {
        self.words.insert(0, (word.to_owned(), meaning.to_owned()));
    }

    /// Does one step after the other, up to one that does not come out as it should.
    pub(crate) fn act(&mut self, steps: &[Step]) -> Result<(), Miss> {
        steps.iter().try_for_each(|step| match step {
            Step::Run(command) => {
                let said = self.say(command);
                match said.contains(BAD) {
                    false => Ok(()),
                    true => Err(self.miss(command, "(success)", said)),
                }
            }
            Step::Start {
                name,
                command,
                says,
            } => self.start(name, command, says),
            Step::Until { command, says } => self.eventually(command, says, PATIENCE),
        })
    }

    /// Starts a process, and waits until it says all of these words.
    fn start(&mut self, name: &str, command: &str, says: &[String]) -> Result<(), Miss> {
        let log = self.folder.join(format!("{name}.log"));
        let filled = self.filled(command);
        // It ends with us, however we end.
        let script = format!("echo $$ >{name}.pid; exec setpriv --pdeathsig KILL {filled}");
        // An older one of this name was told to end. Until it has, it listens where this one is to.
        if let Some(older) = self.processes.remove(name) {
            within(PATIENCE, || older.has_ended().then_some(()));
        }
        let process = Process::start(&mut self.shell(&script), &log);
        within(PATIENCE, || {
            let ended = process.has_ended();
            let said = self.lacks(says, &process.log()).is_none();
            (said || ended).then_some(())
        });
        let said = process.log();
        self.processes.insert(name.to_owned(), process);
        match self.lacks(says, &said) {
            None => Ok(()),
            Some(expected) => Err(self.miss(command, &expected, said)),
        }
    }

    /// Asks a command until it says all of these words, which it should do at once.
    pub(crate) fn tells(&self, command: &str, says: &[String]) -> Result<(), Miss> {
        self.eventually(command, says, TELLING)
    }

    fn eventually(&self, command: &str, says: &[String], patience: Duration) -> Result<(), Miss> {
        let mut said = String::new();
        within(patience, || {
            said = self.say(command);
            self.lacks(says, &said).is_none().then_some(())
        });
        match self.lacks(says, &said) {
            Some(expected) => Err(self.miss(command, &expected, said)),
            None => Ok(()),
        }
    }

    /// The line of `leno tap` that has these words in this order, and this id if it is known.
    pub(crate) fn tapped(&self, words: &str, id: Option<&str>) -> Result<String, Miss> {
        let command = "leno tap --last 200";
        let words = self.filled(words);
        let is_of_call = |line: &&str| {
            let mut said = line.split_whitespace();
            let all = words
                .split_whitespace()
                .all(|word| said.any(|said| said == word));
            all && id.is_none_or(|id| line.trim_end().ends_with(id))
        };
        let mut said = String::new();
        let found = within(TELLING, || {
            said = self.say(command);
            said.lines().rev().find(is_of_call).map(str::to_owned)
        });
        let expected = format!("{words} .. {}", id.unwrap_or_default());
        found.ok_or_else(|| self.miss(command, &expected, said))
    }

    /// Those of these words that are not in what was said, one a line. Any space is as good as another.
    pub(crate) fn lacks(&self, words: &[String], said: &str) -> Option<String> {
        let said = squeezed(said);
        let words = words.iter().map(|words| self.filled(words));
        let missing: Vec<_> = words
            .filter(|words| !said.contains(&squeezed(words)))
            .collect();
        (!missing.is_empty()).then(|| missing.join("\n"))
    }

    /// What is to be told of a command that said something else.
    pub(crate) fn miss(&self, command: &str, expected: &str, said: String) -> Miss {
        Miss {
            command: self.filled(command),
            expected: expected.to_owned(),
            said,
        }
    }

    /// What a command says on both ways, and its exit code unless that is 0. `web$ curl ..` is run by
    /// the workload web, which must be `mischief obey web`.
    pub(crate) fn say(&self, command: &str) -> String {
        match command.split_once("$ ") {
            Some((workload, command)) if is_name(workload) => self.bid(workload, command),
            _ => {
                let script = format!("exec 2>&1; {}", self.filled(command));
                let Some(Ended { out, status, .. }) = ended(&mut self.shell(&script)) else {
                    return format!("it does not end\n{BAD}-1]\n");
                };
                match status.code() {
                    Some(0) => out,
                    code => format!("{out}\n{BAD}{}]\n", code.unwrap_or(-1)),
                }
            }
        }
    }

    /// What a command says that a workload runs.
    fn bid(&self, workload: &str, command: &str) -> String {
        let socket = self.folder.join(format!("{workload}.sock"));
        let mut said = String::new();
        let heard = UnixStream::connect(socket).and_then(|mut stream| {
            stream.write_all(self.filled(command).as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            stream.read_to_string(&mut said)
        });
        match heard {
            Ok(_) => said,
            Err(error) => format!("{said}\n{workload} does not answer: {error}\n{BAD}-1]\n"),
        }
    }

    fn shell(&self, script: &str) -> Command {
        let leno = binary().parent().expect("an absolute path");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("PATH={}:$PATH; {script}", leno.display())])
            .current_dir(&self.folder)
            .env("LENO_PROXIES", self.addresses.folder().join("proxies"))
            .env("NO_COLOR", "1")
            .env("TZ", "UTC");
        let variables = self.environment.iter();
        shell.envs(variables.map(|(name, value)| (name, value)));
        shell
    }

    /// With what `<word>` and `@name` stand for.
    fn filled(&self, text: &str) -> String {
        let mut filled = self.addresses.filled(text);
        for (word, meaning) in &self.words {
            filled = filled.replace(&format!("<{word}>"), meaning);
        }
        filled
    }
}

/// What stands before an exit code that is not 0.
const BAD: &str = "[exit code ";

/// The words of comments `# <word>`, each with its line.
fn marks(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().zip(1..);
    let marked = lines.filter_map(|(line, number): (&str, usize)| {
        let (_, mark) = line.rsplit_once("# <")?;
        let word = mark.strip_suffix('>')?;
        is_name(word).then(|| (word.to_owned(), number.to_string()))
    });
    marked.collect()
}

fn is_name(text: &str) -> bool {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '-';
    !text.is_empty() && text.chars().all(is_of_name)
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
