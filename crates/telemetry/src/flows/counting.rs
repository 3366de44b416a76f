//! The table in which one worker counts.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::mem;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_table::HashTable;
use leno_model::flow::{self, Kind};
use leno_model::{CallId, Shape, Wall};
use rustc_hash::FxHasher;

use crate::event::{Bytes, Call, Event, Flow, Stream};
use crate::facts::{FactOf, FactValue, TokenFact};
use crate::flows::Handed;
use crate::flows::passed::Counted;
use crate::flows::row::{Key, Row};

/// How many kinds a worker tells apart between two hand-overs.
const MOST_ROWS: usize = 2048;

/// How many kinds of request it tells apart of those that have all else in common.
const MOST_REQUESTS: usize = 64;

/// How many combinations of facts it tells apart of requests of one kind.
const MOST_FACTS: usize = 8;

/// Counts what happens at one worker.
#[derive(Debug)]
pub(crate) struct Counting {
    handed: Arc<Handed>,
    rows: Vec<Row>,
    /// Where each row stands, by its hash.
    places: HashTable<usize>,
    /// How many rows differ only in what was asked, by the hash of the rest.
    requests: HashMap<u64, usize, Fx>,
    /// How many rows differ only in facts, by the hash of the rest.
    facts: HashMap<u64, usize, Fx>,
    /// Where the facts of a call are written; it keeps its room.
    written: String,
    folded: u64,
    /// The calls that are over, up to [`Counted::MOST`].
    counted: Vec<Counted>,
    /// The last moment that an event told.
    now: Wall,
}

type Fx = BuildHasherDefault<FxHasher>;

impl Counting {
    pub(crate) fn new(handed: Arc<Handed>) -> Self {
        Self {
            handed,
            rows: Vec::new(),
            places: HashTable::new(),
            requests: HashMap::default(),
            facts: HashMap::default(),
            written: String::new(),
            folded: 0,
            counted: Vec::new(),
            now: Wall::default(),
        }
    }

    /// Whether there is something to hand over.
    pub(crate) fn holds_any(&self) -> bool {
        !self.rows.is_empty()
    }

    pub(crate) fn count(&mut self, event: &Event<'_>) {
        if !self.handed.is_wanted() {
            return;
        }
        self.now = event.ended();
        match event {
            Event::Call(call) => self.count_call(call),
            Event::Opened(stream) => {
                let now = self.now;
                self.row(&Key::of_open(stream)).opened(now);
            }
            Event::Stream(stream) => self.count_stream(stream),
            // They are of no edge; the calls that wait for them tell of it.
            Event::Handshake(_) | Event::Accept(_) => {}
        }
    }

    pub(crate) fn count_bytes(&mut self, flow: &Flow<'_>) {
        if self.handed.is_wanted() {
            let Bytes { sent, received } = flow.bytes;
            self.row(&Key::of_flow(flow)).add_bytes(sent, received);
        }
    }

    /// Hands over what was counted; streams that are open stay so.
    pub(crate) fn hand_over(&mut self, now: Wall) {
        if self.rows.is_empty() {
            return;
        }
        self.places.clear();
        self.requests.clear();
        self.facts.clear();
        let mut rows = mem::take(&mut self.rows);
        for row in &mut rows {
            let rest = row.cut(now);
            let open = mem::replace(row, rest);
            if open.is_open() {
                self.keep(open);
            }
        }
        self.handed.remember(&rows, &mut self.counted);
        self.handed.take(rows, mem::take(&mut self.folded));
    }

    fn count_call(&mut self, call: &Call<'_>) {
        // Nobody waits for what becomes of a copy.
        if call.copy_of.is_some() {
            return;
        }
        let shape = Shape::of(call.path);
        let example = call.fault().map(|_| call.id);
        let bytes = Bytes {
            sent: call.sent,
            received: call.received,
        };
        let bytes = bytes.since(call.counted);
        let now = self.now;
        let mut facts = mem::take(&mut self.written);
        write_facts(call, &mut facts);
        let row = self.row_of(call.id, &Key::of_call(call, shape.as_str(), &facts));
        row.add(now, Some(call.took), example);
        row.add_bytes(bytes.sent, bytes.received);
        self.written = facts;
    }

    fn count_stream(&mut self, stream: &Stream<'_>) {
        let now = self.now;
        if stream.opened {
            self.close(&Key::of_open(stream));
        }
        let example = stream.fault().map(|_| stream.id);
        let bytes = Bytes {
            sent: stream.sent,
            received: stream.received,
        };
        let bytes = bytes.since(stream.counted);
        let row = self.row_of(stream.id, &Key::of_stream(stream));
        row.add(now, None, example);
        row.add_bytes(bytes.sent, bytes.received);
    }

    /// One that was opened is open no longer, under its own name or among those that were folded.
    fn close(&mut self, key: &Key<'_>) {
        let now = self.now;
        let own = self.find(hash(key), |row| row.is(key) && row.is_open());
        let folded = hash(&key.labels.traits);
        let place = own.or_else(|| self.find(folded, |row| row.folds(key) && row.is_open()));
        if let Some(row) = place.and_then(|place| self.rows.get_mut(place)) {
            row.closed(now);
        }
    }

    /// The row that a call is counted in which is over.
    fn row_of(&mut self, id: CallId, key: &Key<'_>) -> &mut Row {
        let place = self.place(key);
        if self.counted.len() < Counted::MOST {
            // All of it at once: a page of it is touched only when it is needed.
            self.counted
                .reserve_exact(Counted::MOST - self.counted.len());
            self.counted.push(Counted::new(id, self.now, place));
        }
        &mut self.rows[place]
    }

    /// The row that `key` is counted in.
    fn row(&mut self, key: &Key<'_>) -> &mut Row {
        let place = self.place(key);
        &mut self.rows[place]
    }

    /// Where `key` is counted, in a row that is made if there is room for it.
    fn place(&mut self, key: &Key<'_>) -> usize {
        let own = hash(key);
        let place = self.find(own, |row| row.is(key));
        place.unwrap_or_else(|| self.place_of_another(own, key))
    }

    fn place_of_another(&mut self, own: u64, key: &Key<'_>) -> usize {
        if self.rows.len() >= MOST_ROWS {
            self.folded += 1;
            let hash = hash(&key.labels.traits);
            let folded = self.find(hash, |row| row.folds(key));
            return folded.unwrap_or_else(|| self.keep(Row::folded(hash, key)));
        }
        if !key.asked.facts.is_empty() && key.asked.facts != Kind::OTHER {
            let facts = self.facts.entry(hash(&key.with_facts(""))).or_default();
            if *facts >= MOST_FACTS {
                return self.place(&key.with_facts(Kind::OTHER));
            }
            *facts += 1;
        }
        let narrow = key.without_request();
        let rest = hash(&narrow);
        let requests = self.requests.entry(rest).or_default();
        if *requests < MOST_REQUESTS {
            *requests += 1;
            return self.keep(Row::new(own, key));
        }
        self.folded += 1;
        let folded = self.find(rest, |row| row.is(&narrow));
        folded.unwrap_or_else(|| self.keep(Row::new(rest, &narrow)))
    }

    fn find(&self, hash: u64, is_it: impl Fn(&Row) -> bool) -> Option<usize> {
        let found = self.places.find(hash, |place| is_it(&self.rows[*place]));
        found.copied()
    }

    fn keep(&mut self, row: Row) -> usize {
        let (place, rows) = (self.rows.len(), &self.rows);
        let hash_of = |place: &usize| rows[*place].hash;
        self.places.insert_unique(row.hash, place, hash_of);
        self.rows.push(row);
        place
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.hand_over(self.now);
    }
}

/// Writes what rules ask about a call.
fn write_facts(call: &Call<'_>, text: &mut String) {
    text.clear();
    let Some(facts) = call.decided.facts else {
        return;
    };
    if let Some(host) = facts.host() {
        flow::Facts::write(text, flow::FactOf::Host, flow::FactValue::Is(host));
    }
    facts.each(&mut |of, name, value| {
        let of = match of {
            FactOf::Header => flow::FactOf::Header(name),
            FactOf::Query => flow::FactOf::Query(name),
        };
        write_fact(text, of, value);
    });
    facts.token(&mut |fact| match fact {
        TokenFact::None => write_fact(text, flow::FactOf::Token, FactValue::Absent),
        TokenFact::Claim(name, value) => write_fact(text, flow::FactOf::Claim(name), value),
    });
}

fn write_fact(text: &mut String, of: flow::FactOf<'_>, value: FactValue<'_>) {
    let value = match value {
        FactValue::Absent => flow::FactValue::Absent,
        FactValue::Is(value) => flow::FactValue::Is(value),
        FactValue::Begins(_) | FactValue::Secret => return,
    };
    flow::Facts::write(text, of, value);
}

fn hash(key: &impl std::hash::Hash) -> u64 {
    Fx::default().hash_one(key)
}
