//! Pages that workers fill and one thread writes out.
//!
//! The lock of a page is shared by its worker and the writer only, and the writer holds it no longer
//! than it takes to exchange the full page for an empty one.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

use leno_model::Wall;

use super::Format;
use super::line::Line;
use crate::lock::lock;

/// How many bytes of lines may wait on one page.
const ROOM: usize = 256 * 1024;
/// How long the writer gathers lines before it writes them: it wakes up rarely, however many come.
const GATHER: Duration = Duration::from_millis(20);
/// How long the end of a log waits for the last lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The thread that writes, and the pages it writes.
#[derive(Debug)]
pub(super) struct Writer {
    desk: Arc<Desk>,
    thread: Thread,
    ended: Mutex<Receiver<Never>>,
}

/// What the writer sends while it lives; when it ends, so does its channel.
#[derive(Debug)]
enum Never {}

/// What workers and writer share.
#[derive(Default, Debug)]
struct Desk {
    sheets: Mutex<Vec<Arc<Mutex<Sheet>>>>,
    /// Whether the writer was told that there are lines.
    told: AtomicBool,
    closing: AtomicBool,
    dropped: AtomicU64,
}

/// Lines that wait to be written.
#[derive(Default, Debug)]
struct Sheet {
    text: Vec<u8>,
    /// Of the last line.
    time: Wall,
    missing: Option<Missing>,
}

/// Lines that are not there.
#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Wall,
    lines: u64,
}

impl Writer {
    pub(super) fn start(format: Format, out: impl Write + Send + 'static) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let (alive, ended) = mpsc::channel();
        let writing = Writing {
            format,
            out,
            desk: desk.clone(),
            failed: None,
            torn: false,
        };
        let run = move || {
            writing.run();
            drop(alive);
        };
        let handle = thread::Builder::new().name("leno-log".into()).spawn(run)?;
        let thread = handle.thread().clone();
        Ok(Self {
            desk,
            thread,
            ended: Mutex::new(ended),
        })
    }

    pub(super) fn dropped(&self) -> u64 {
        self.desk.dropped.load(Ordering::Relaxed)
    }

    /// A page for one more worker.
    pub(super) fn page(&self) -> Page {
        let sheet = Arc::<Mutex<Sheet>>::default();
        lock(&self.desk.sheets).push(sheet.clone());
        Page {
            sheet,
            desk: self.desk.clone(),
            writer: self.thread.clone(),
        }
    }
}

/// Waits for the last lines, but not for ever: what they are written to may be stuck.
impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.closing.store(true, Ordering::Release);
        self.thread.unpark();
        match lock(&self.ended).recv_timeout(PATIENCE) {
            Ok(never) => match never {},
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Where one worker puts its lines.
#[derive(Debug)]
pub(super) struct Page {
    sheet: Arc<Mutex<Sheet>>,
    desk: Arc<Desk>,
    writer: Thread,
}

impl Page {
    /// Puts a line from `time` down if there is room for it.
    pub(super) fn push(&self, line: &[u8], time: Wall) {
        let mut sheet = lock(&self.sheet);
        let half_before = sheet.text.len() >= ROOM / 2;
        if sheet.text.len() + line.len() <= ROOM {
            sheet.text.extend_from_slice(line);
            sheet.time = time;
        } else {
            Missing::add(&mut sheet.missing, 1, time);
            self.desk.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let half_full = sheet.text.len() >= ROOM / 2 && !half_before;
        drop(sheet);
        // The writer takes the mark away before it takes the lines: a line put down before the mark
        // was seen is taken.
        if half_full || !self.desk.told.load(Ordering::Acquire) {
            self.desk.told.store(true, Ordering::Release);
            self.writer.unpark();
        }
    }
}

impl Missing {
    fn add(missing: &mut Option<Self>, lines: u64, time: Wall) {
        let nothing = Self {
            since: time,
            lines: 0,
        };
        missing.get_or_insert(nothing).lines += lines;
    }
}

/// What the thread works with.
struct Writing<W> {
    format: Format,
    out: W,
    desk: Arc<Desk>,
    /// Lines that could not be written, of which no line tells yet.
    failed: Option<Missing>,
    /// Whether the last line lacks its end.
    torn: bool,
}

impl<W: Write> Writing<W> {
    fn run(mut self) {
        let mut spare = Sheet::default();
        while !self.desk.closing.load(Ordering::Acquire) {
            if !self.desk.told.load(Ordering::Acquire) {
                thread::park();
                continue;
            }
            thread::park_timeout(GATHER);
            self.desk.told.store(false, Ordering::Release);
            self.write_sheets(&mut spare);
        }
        self.write_sheets(&mut spare);
    }

    /// Writes all that waits. `spare` is empty before and after.
    fn write_sheets(&mut self, spare: &mut Sheet) {
        let sheets = lock(&self.desk.sheets).clone();
        for sheet in sheets {
            mem::swap(&mut *lock(&sheet), spare);
            if let Some(failed) = self.failed.take() {
                self.tell(failed);
            }
            self.write_lines(&spare.text, spare.time);
            if let Some(missing) = spare.missing.take() {
                self.tell(missing);
            }
            spare.text.clear();
        }
    }

    /// Says which lines are missing; if that fails too, it is said another time.
    fn tell(&mut self, missing: Missing) {
        let mut line = Line::new();
        let Missing { since, lines } = missing;
        self.format.write_dropped(since, lines, &mut line);
        if self.put(line.as_bytes()) > 0 {
            Missing::add(&mut self.failed, lines, since);
        }
    }

    fn write_lines(&mut self, text: &[u8], time: Wall) {
        let lost = self.put(text) as u64;
        if lost > 0 {
            self.desk.dropped.fetch_add(lost, Ordering::Relaxed);
            Missing::add(&mut self.failed, lost, time);
        }
    }

    /// Writes whole lines and counts those that could not be written.
    fn put(&mut self, lines: &[u8]) -> usize {
        if lines.is_empty() {
            return 0;
        }
        if self.torn && !self.write(b"\n").is_empty() {
            return ends(lines);
        }
        let unwritten = ends(self.write(lines));
        // What a buffer of `out` keeps back is written with the next lines, or fails with them.
        self.out.flush().ok();
        unwritten
    }

    /// Writes as much as it can, and gives back the rest.
    fn write<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut rest = text;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => break,
                Ok(count) => {
                    let (written, unwritten) = rest.split_at(count);
                    self.torn = !written.ends_with(b"\n");
                    rest = unwritten;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        rest
    }
}

fn ends(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}
