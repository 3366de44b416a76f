//! How fast the store is on this machine: `cargo run --release -p leno-store --example figures -- FOLDER`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and tells what it measured"
)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use leno_model::{Name, Namespace, ObjectRef, Place, Wall};
use leno_store::{Change, Deed, Label, Message, Revision, SOURCE, Settings, Store, Upsert};

const OBJECTS: usize = 10_000;
const REVISIONS: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("which folder?")?;
    let folder = Path::new(&folder);
    let store = Store::open(folder, Settings::default())?;

    let all = (0..OBJECTS).map(|number| object(number, 0));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    let (_, took) = timed(|| commit(&store, all))?;
    println!("first apply of {OBJECTS} objects          {took:?}");

    let mut times = Vec::new();
    for round in 1..REVISIONS {
        let number = usize::try_from(round * 7919)? % OBJECTS;
        let one = vec![object(number, round)?];
        times.push(timed(|| commit(&store, one))?.1);
    }
    let sum: Duration = times.iter().sum();
    times.sort();
    let per_second = f64::from(u32::try_from(times.len())?) / sum.as_secs_f64();
    println!(
        "apply of one object                      {per_second:.0}/s, median {:?}",
        times[times.len() / 2]
    );

    let (objects, took) = timed(|| Ok(store.at(store.head().revision)?.len()))?;
    println!("the head's {objects} objects                 {took:?}");
    let (objects, took) = timed(|| Ok(store.at(Revision(1))?.len()))?;
    println!("revision 1's {objects} objects               {took:?}");
    let (changes, took) = timed(|| Ok(store.diff(Revision(1), store.head().revision)?.len()))?;
    println!("diff of {changes} objects over {REVISIONS} revisions   {took:?}");
    let (_, took) = timed(|| Ok(store.backup(&folder.join("backup.db"))?))?;
    println!("backup                                   {took:?}");
    drop(store);

    let bytes = std::fs::metadata(folder.join("store.db"))?.len();
    println!(
        "store.db                                 {} KiB",
        bytes / 1024
    );
    let (_, took) = timed(|| Ok(Store::open(folder, Settings::default())?))?;
    println!("open                                     {took:?}");
    Ok(())
}

fn timed<T>(
    work: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<(T, Duration), Box<dyn Error>> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

fn commit(store: &Store, upserts: Vec<Upsert>) -> Result<(), Box<dyn Error>> {
    let change = Change {
        source: Label::new(SOURCE)?,
        who: Label::new("bench")?,
        message: Message::default(),
        at: Wall::since_epoch(Duration::from_secs(1_795_170_718)),
        expected: None,
        watch: None,
        deed: Deed::Apply {
            set: Label::new("bench")?,
            upserts,
            prune: false,
        },
    };
    store.commit(change, |_| Ok(()))?;
    Ok(())
}

/// A document of about 1 KiB.
fn object(number: usize, round: u64) -> Result<Upsert, Box<dyn Error>> {
    Ok(Upsert {
        key: ObjectRef {
            kind: "HTTPRoute".into(),
            namespace: Some(Namespace::new("shop")?),
            name: Name::new(&format!("route-{number}"))?,
        },
        place: Some(Place {
            file: format!("routes/{number}.yaml").into(),
            line: 1,
            column: 1,
        }),
        text: format!(
            "# route {number}, round {round}\n{}",
            "key: value\n".repeat(90)
        )
        .into(),
    })
}
