//! What puts in order what several stores write, and keeps it for those that follow.

/// A log outside of which each entry has a number, one more than the entry before it, with a copy of
/// everything up to some entry. It orders and keeps, and understands nothing: what it is given is
/// sealed.
///
/// Its methods wait for an answer, for as long as one is worth waiting for.
pub trait Order: Send + Sync {
    /// Puts an entry in the place `number`, if the one before it is the last and whoever asks leads.
    /// Asked twice for the same it says yes twice.
    fn append(&self, number: u64, entry: &[u8]) -> Result<(), NotAppended>;

    /// Where the log ends, and entries that come after `after` without a gap: none if the next one is
    /// not kept, else at least that one. After `u64::MAX` there are none: that asks for the end alone.
    fn read(&self, after: u64) -> Result<Kept, Away>;

    /// Keeps the copy of everything up to the entry `number` in the place of any other, if whoever
    /// asks leads; entries that are far behind it may go. The first one begins the log.
    fn put_copy(&self, number: u64, copy: &[u8]) -> Result<(), NotAppended>;

    /// The copy, with the number of the last entry that it holds.
    fn copy(&self) -> Result<Option<(u64, Vec<u8>)>, Away>;
}

/// What a log says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// The number of the last entry; `None` if there is no log.
    pub last: Option<u64>,
    /// The number of the last entry that is in the copy.
    pub copied: u64,
    /// Entries, in order.
    pub entries: Vec<Vec<u8>>,
}

/// Nobody answers, or not in time: why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// Why something was not put into a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAppended {
    /// Whoever asked leads no more.
    #[error("another one leads, or may lead")]
    Lost,
    /// Another entry is in its place.
    #[error("another entry is in its place")]
    Taken,
    /// Nobody answered: it may have been put there, or may still be.
    #[error(transparent)]
    Away(#[from] Away),
}
