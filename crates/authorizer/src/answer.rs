//! What an authorizer answered.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::field::{Field, field};

/// What an authorizer says of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It may go on.
    Allowed(Allowed),
    /// It may not.
    Refused(Refused),
}

/// What it says beside that a request may go on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allowed {
    /// Headers that the request is to have, each name once.
    pub set: Vec<Field>,
    /// Headers that it is not to have.
    pub remove: Vec<String>,
    /// Headers that the client is to be told beside those of the application.
    pub to_client: Vec<Field>,
}

/// What the client of a refused request is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why an answer does not count.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Garbled {
    /// Its bytes are no answer.
    #[error("its answer cannot be read")]
    Unreadable,
    /// It has more headers than are taken.
    #[error("its answer has more than {MOST_HEADERS} headers, or too long ones")]
    TooManyHeaders,
    /// It has more of a body than is taken.
    #[error("its answer has more than {LARGEST_BODY} bytes")]
    TooLong,
    /// A header that cannot be one.
    #[error("its answer has a header {0:?} that cannot be one")]
    Header(String),
    /// It answered with a status that says neither yes nor no.
    #[error("it answered {0}")]
    Status(u16),
    /// Its gRPC call failed.
    #[error("it answered with status {0} of gRPC")]
    Grpc(u16),
    /// It says no, and what else it says does not count.
    #[error("it denies, and {0}")]
    Denial(Box<Garbled>),
    /// It says nothing.
    #[error("its answer says neither yes nor no")]
    Nothing,
    /// It says yes and no.
    #[error("its answer says both yes and no")]
    Both,
    /// It wants another query, which rules and routes have not seen.
    #[error("its answer changes the query of the request, which is not done")]
    Query,
}

/// How many headers of an answer are taken.
pub const MOST_HEADERS: usize = 64;

/// How many bytes of names and values these may have.
const MOST_OF_HEADERS: usize = 16 * 1024;

/// How many bytes of an answer's body are taken.
pub const LARGEST_BODY: usize = 64 * 1024;

impl Garbled {
    /// The same of an answer that says no.
    pub fn denial(self) -> Self {
        Self::Denial(Box::new(self))
    }
}

impl Answer {
    /// The word in logs: `allowed` or `denied`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Refused(_) => "denied",
        }
    }
}

impl Refused {
    /// A no without another word.
    pub fn forbidden() -> Self {
        Self {
            status: 403,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// What a client may be told so.
    pub(crate) fn new(status: u16, headers: Vec<Field>, body: Vec<u8>) -> Result<Self, Garbled> {
        // Who is refused is not to take that for what was asked for.
        if !(300..=599).contains(&status) {
            return Err(Garbled::Status(status));
        }
        if body.len() > LARGEST_BODY {
            return Err(Garbled::TooLong);
        }
        Ok(Self {
            status,
            headers,
            body: if status == 304 { Vec::new() } else { body },
        })
    }
}

/// Headers of an answer, bounded.
#[derive(Default)]
pub(crate) struct Said {
    fields: Vec<Field>,
    count: usize,
    bytes: usize,
}

impl Said {
    /// Takes one more, which may come behind another of its name.
    pub(crate) fn take(&mut self, name: &str, value: &[u8]) -> Result<(), Garbled> {
        if let Some(field) = self.counted(name, value)? {
            self.fields.push(field);
        }
        Ok(())
    }

    /// Takes one more, in the place of another of its name, or joined with that.
    pub(crate) fn set(&mut self, name: &str, value: &[u8], append: bool) -> Result<(), Garbled> {
        let Some((name, value)) = self.counted(name, value)? else {
            return Ok(());
        };
        let mut fields = self.fields.iter_mut();
        match fields.find(|(known, _)| *known == name) {
            Some((_, known)) if append => {
                known.push_str(", ");
                known.push_str(&value);
            }
            Some((_, known)) => *known = value,
            None => self.fields.push((name, value)),
        }
        Ok(())
    }

    fn counted(&mut self, name: &str, value: &[u8]) -> Result<Option<Field>, Garbled> {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(name.len());
        self.bytes = self.bytes.saturating_add(value.len());
        if self.count > MOST_HEADERS || self.bytes > MOST_OF_HEADERS {
            return Err(Garbled::TooManyHeaders);
        }
        field(name, value)
    }

    pub(crate) fn done(self) -> Vec<Field> {
        self.fields
    }
}
