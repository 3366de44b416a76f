//! The only place that prints. Text is told apart by role, and whatever was not written here is
//! stripped of control characters, so that a name or a path can never drive the terminal.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::bail;
use leno_admin::hides;
use leno_control::NotStarted;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Standard output for answers, standard error for progress and failures.
pub(crate) struct Terminal {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// Why something before could not be printed, which is still to be said.
    missed: Option<io::Error>,
    /// Of whom lines tell, where several processes write to the same place.
    whose: String,
}

impl Terminal {
    /// The process's own streams; colours are left out where nobody would see them (`NO_COLOR`, a pipe).
    pub(crate) fn of_process() -> Self {
        Self {
            out: Box::new(anstream::stdout()),
            err: Box::new(anstream::stderr()),
            missed: None,
            whose: String::new(),
        }
    }

    /// Prints a line of the answer.
    pub(crate) fn line(&mut self, line: impl Into<Line>) -> io::Result<()> {
        if let Some(why) = self.missed.take() {
            let missing = Line::new().doubtful("lines may be missing here");
            writeln!(self.out, "{}", missing.plain(format_args!(": {why}")))?;
        }
        writeln!(self.out, "{}", line.into())
    }

    /// Begins each line of what happens with `whose` it is.
    pub(crate) fn speak_of(&mut self, whose: &str) {
        self.whose = format!("{whose}  ");
    }

    /// Prints a line of what happens to a process that serves. It serves on where nothing can be printed,
    /// as on a disk that is full: the next line that can be is preceded by one that says so.
    pub(crate) fn tell(&mut self, line: impl Into<Line>) {
        let line = match self.whose.is_empty() {
            true => line.into(),
            false => Line::new().dim(&self.whose).then(&line.into()),
        };
        if let Err(why) = self.line(line) {
            self.miss(why);
        }
    }

    /// Remembers that something could not be printed, and why, until it can be said.
    pub(crate) fn miss(&mut self, why: io::Error) {
        self.missed = Some(why);
    }

    /// Prints an empty line.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// Prints text of our own that is already laid out, such as JSON or a page of the documentation.
    ///
    /// What others chose stands in it only inside strings of JSON, and is written there as JSON
    /// escapes it, if it could drive the terminal or pass for something else.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", escaped(text.trim_end()))
    }

    /// Writes lines over the last `before` ones where that can be done, each cut at the terminal's
    /// edge, and says how many of them can be written over next.
    pub(crate) fn rewrite(&mut self, before: usize, lines: &[Line]) -> io::Result<usize> {
        let mut text = String::new();
        if before > 0 {
            text.push_str(&format!("\x1b[{before}A\x1b[J"));
        }
        for line in lines {
            text.push_str(&format!("{line}\n"));
        }
        if !self.is_live() {
            self.out.write_all(text.as_bytes())?;
            return Ok(0);
        }
        // Lines that wrapped would be more than were counted.
        write!(self.out, "\x1b[?7l{text}\x1b[?7h")?;
        self.out.flush()?;
        Ok(lines.len())
    }

    /// A whole screen, and each key by itself, until what this gives is dropped.
    pub(crate) fn screen(&mut self) -> io::Result<Screen<'_>> {
        let raw = self.raw()?;
        // Another screen than the one that scrolls, without a cursor.
        write!(self.out, "\x1b[?1049h\x1b[?25l")?;
        Ok(Screen {
            terminal: self,
            _raw: raw,
        })
    }

    /// Each key by itself, and none of them shown, until what this gives is dropped. Ctrl-C is a key.
    pub(crate) fn raw(&self) -> io::Result<Raw> {
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(before))
    }

    /// Whether somebody looks on who can see lines change.
    pub(crate) fn is_live(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Says something on standard error beside what another program says there.
    pub(crate) fn progress(&mut self, line: impl Into<Line>) {
        // Nobody who does not listen misses it.
        drop(writeln!(self.err, "{}", line.into()));
    }

    /// Asks a person something that is answered by yes or no; whatever is not yes is no. Fails where there is no
    /// person to ask.
    pub(crate) fn confirm(&mut self, question: &str) -> anyhow::Result<bool> {
        if !io::stdin().is_terminal() {
            bail!("nobody is here to be asked; --yes does it without");
        }
        write!(self.err, "{question} [y/N] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        io::stdin()
            .lock()
            .take(MOST_ANSWER)
            .read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Says on standard error why there is no answer. A reader that went away is no failure.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        let closed = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(closed) {
            return;
        }
        // Nothing is left to tell, nor to tell it to, when standard error is closed.
        for line in told(error) {
            drop(writeln!(self.err, "{line}"));
        }
    }
}

/// How a terminal was before it gave each key by itself. It is so again when this is dropped.
pub(crate) struct Raw(Termios);

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no care.
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0).ok();
    }
}

/// How much of an answer is read.
const MOST_ANSWER: u64 = 64;

/// A whole screen of its own. What was there before is there again when this is dropped.
pub(crate) struct Screen<'t> {
    terminal: &'t mut Terminal,
    _raw: Raw,
}

impl Screen<'_> {
    /// How many lines it has.
    pub(crate) fn height(&self) -> usize {
        let size = tcgetwinsize(rustix::stdio::stdout());
        size.map_or(24, |size| usize::from(size.ws_row).max(1))
    }

    /// Shows these lines and nothing else, each cut at its edge.
    pub(crate) fn show(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::from("\x1b[H\x1b[?7l");
        let rest = lines.len().saturating_sub(self.height());
        for line in &lines[..lines.len() - rest] {
            text.push_str(&format!("{line}\x1b[K\r\n"));
        }
        // No line's end behind the last, which would scroll.
        let text = text.trim_end_matches("\r\n");
        write!(self.terminal.out, "{text}\x1b[J\x1b[?7h")?;
        self.terminal.out.flush()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // As above.
        drop(write!(self.terminal.out, "\x1b[?7h\x1b[?25h\x1b[?1049l"));
        drop(self.terminal.out.flush());
    }
}

/// An error in words; of a store that cannot be used also what holds meanwhile, and what to do.
fn told(error: &anyhow::Error) -> Vec<Line> {
    let mut causes = error.chain();
    let not_opened = causes.find_map(|cause| match cause.downcast_ref() {
        Some(NotStarted::Store(not_opened)) => Some(not_opened),
        _ => None,
    });
    let line = Line::new().bad("error");
    let Some(not_opened) = not_opened else {
        return vec![line.plain(format_args!(": {error:#}"))];
    };
    let code = not_opened.code();
    vec![
        line.plain(format_args!(": {code} {}: {error:#}", code.slug())),
        Line::new().plain("    In force  nothing was changed; proxies go on with what they hold"),
        Line::new().plain(format_args!("    Next      {}", not_opened.advice())),
    ]
}

/// Prints clap's answer to arguments that are no command: help (0), or what is wrong with them (2).
pub(crate) fn print_help(help: &clap::Error) -> ExitCode {
    // As above: a closed stream leaves nobody to tell.
    drop(help.print());
    if help.use_stderr() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    }
}

/// Laid out text in which every character that is not seen as itself has its escape of JSON.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| character != '\n' && hides(character);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for character in text.chars() {
        match is_hidden(character) {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// One line of output, built piece by piece.
#[derive(Default, Clone)]
pub(crate) struct Line {
    text: String,
    width: usize,
}

impl Line {
    /// An empty line.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Ordinary text.
    pub(crate) fn plain(self, text: impl Display) -> Self {
        self.styled(Style::new(), text)
    }

    /// What the eye should find first.
    pub(crate) fn strong(self, text: impl Display) -> Self {
        self.styled(Style::new().bold(), text)
    }

    /// What may be skipped.
    pub(crate) fn dim(self, text: impl Display) -> Self {
        self.styled(Style::new().dimmed(), text)
    }

    /// What is well.
    pub(crate) fn good(self, text: impl Display) -> Self {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    /// What is wrong.
    pub(crate) fn bad(self, text: impl Display) -> Self {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    /// What is doubtful.
    pub(crate) fn doubtful(self, text: impl Display) -> Self {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }

    /// What another line says, right behind.
    pub(crate) fn then(mut self, other: &Self) -> Self {
        self.text.push_str(&other.text);
        self.width += other.width;
        self
    }

    /// How many columns it takes.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Spaces up to this column, counted from 0; at least `least` of them.
    pub(crate) fn column(mut self, column: usize, least: usize) -> Self {
        let spaces = column.saturating_sub(self.width).max(least);
        self.width += spaces;
        self.text.extend(std::iter::repeat_n(' ', spaces));
        self
    }

    fn styled(mut self, style: Style, text: impl Display) -> Self {
        let before = self.text.len();
        let mut visible = Visible {
            text: &mut self.text,
            width: 0,
        };
        if write!(visible, "{text}").is_err() {
            unreachable!("writing to a String does not fail");
        }
        self.width += visible.width;
        if style != Style::new() {
            self.text.insert_str(before, &style.render().to_string());
            self.text.push_str(&style.render_reset().to_string());
        }
        self
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new().plain(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new().plain(text)
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.trim_end_matches(' '))
    }
}

/// Appends text in which every control character is shown by its escape.
struct Visible<'a> {
    text: &'a mut String,
    width: usize,
}

impl fmt::Write for Visible<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if hides(character) {
                let escape = character.escape_default();
                self.width += escape.len();
                self.text.extend(escape);
            } else {
                self.width += 1;
                self.text.push(character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_hostile_name_cannot_drive_the_terminal() {
        let line = Line::new().plain("a\u{1b}[2Jb\r\u{202e}c").to_string();
        assert_eq!(line, r"a\u{1b}[2Jb\r\u{202e}c");
    }

    #[test]
    fn a_hostile_value_in_json_cannot_either_and_reads_as_the_same() {
        let hostile = "a\u{9b}2J\u{202e}c\u{7f}\n";
        let json = serde_json::to_string_pretty(&[hostile]).unwrap();
        let printed = escaped(&json);
        assert_eq!(printed, "[\n  \"a\\u009b2J\\u202ec\\u007f\\n\"\n]");
        let read: [String; 1] = serde_json::from_str(&printed).unwrap();
        assert_eq!(read, [hostile]);
    }

    #[test]
    fn whoever_serves_serves_on_where_nothing_can_be_printed_and_says_so_later() {
        let disk = Disk::default();
        let mut terminal = Terminal {
            out: Box::new(disk.clone()),
            err: Box::new(io::sink()),
            missed: None,
            whose: String::new(),
        };
        for (is_full, line) in [(false, "a"), (true, "b"), (true, "c"), (false, "d")] {
            disk.is_full.set(is_full);
            terminal.tell(line);
        }
        let written = String::from_utf8(disk.written.take()).unwrap();
        let written = anstream::adapter::strip_str(&written).to_string();
        assert_eq!(
            written,
            "a\nlines may be missing here: no storage space\nd\n"
        );
    }

    /// One that may be full.
    #[derive(Clone, Default)]
    struct Disk {
        is_full: Rc<Cell<bool>>,
        written: Rc<RefCell<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.is_full.get() {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => self.written.borrow_mut().write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn columns_count_what_is_seen() {
        let line = Line::new().strong("ab").column(5, 1).plain("c").to_string();
        assert_eq!(anstream::adapter::strip_str(&line).to_string(), "ab   c");
        let line = Line::new()
            .plain("abcdef")
            .column(5, 2)
            .plain("g")
            .to_string();
        assert_eq!(line, "abcdef  g");
    }
}
