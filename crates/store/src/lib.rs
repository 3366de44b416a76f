//! What the control plane must never lose: the log of revisions and the state of its CA, in one
//! embedded SQLite file.
//!
//! [`Store`] is the door. Every method is synchronous and returns when its answer is on disk;
//! callers on an async runtime wrap it in a blocking task.
//!
//! A store stands alone, or is one of several that hold the same ([`Store::open_replica`]): what one of
//! them writes is put in order outside ([`Order`]), and the others do the same by that order.
//!
//! A store is a folder:
//!
//! | file | what it is |
//! |---|---|
//! | `store.db` | everything, once it has left the log; mode 0600, as it holds the CA's keys |
//! | `store.db-wal`, `store.db-shm` | SQLite's write-ahead log and its index; `store.db` is not whole without the first |
//! | `store.lock` | the process id of whoever has it open, under `flock` |
//! | `flows.db`, with its log and index | what went between services: [`flows`] |
//! | `flows.db.damaged` | the one before, if it could not be read |
//! | `store.db.taken` | a copy of another store, while it is taken |
//! | `store.db.v1` | the copy made before schema 1 was changed to a later one |

mod address;
mod audit;
mod authority;
mod change;
mod columns;
mod draft;
mod failed;
mod file;
pub mod flows;
mod history;
mod log;
mod object;
mod order;
mod overrides;
mod replica;
mod store;
mod text;
mod trust;
mod watches;
mod writing;

pub use address::VirtualAddress;
pub use audit::{AuditRecord, Came, Note, Remembering};
pub use authority::{Bridge, Holder, HolderState, Issued, KeptRoot};
pub use change::{Change, Deed, Left, Outcome, Refused, Upsert};
pub use draft::Draft;
pub use failed::Failed;
pub use file::{NotBackedUp, NotOpened};
pub use history::{Cause, Entry, NoSuchRevision, NotRead, Tally};
pub use object::{Object, ObjectChange, Owner, Revision};
pub use order::{Away, Kept, NotAppended, Order};
pub use overrides::{KeptOverride, NotOverridden};
pub use replica::{NotFollowed, NotLed, Replication, Standing};
pub use store::{Head, SOURCE, Settings, Store};
pub use text::{BadText, Label, Message};
pub use trust::{Grant, NotAdded, NotSpent, Revocation, Secret, Token};
pub use watches::{End, Ended, KeptWatch, Terms};
