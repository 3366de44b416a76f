//! An errand: one request with its body, what the server is to do with it, and what the client will. All
//! of it follows from a seed, and it travels in the request's target, so that both ends know it.

use crate::chance::Chance;

/// One request, as both ends know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Errand {
    /// Nobody else has it.
    pub(super) id: u64,
    pub(super) over: Over,
    /// How long the body of the request is; 0 makes it a `GET`.
    pub(super) up: usize,
    /// How long the body of the answer is.
    pub(super) down: usize,
    /// Whether both bodies come in chunks.
    pub(super) chunked: bool,
    pub(super) server: ServerDoes,
    pub(super) client: ClientDoes,
}

/// What carries it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Over {
    /// A request of HTTP/1.1.
    Http,
    /// A request of HTTP/2; what would come in chunks ends with a trailer.
    Http2,
    /// A stream of bytes: the target as a line, the body, and the end of the one direction; then the
    /// other.
    Bytes,
}

/// What the server does once the request has come whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ServerDoes {
    /// It answers, and waits for the next.
    Answer,
    /// It answers and closes, as it has said.
    AnswerLast,
    /// It answers and closes, which nobody was told.
    AnswerAndVanish,
    /// It closes.
    Vanish,
    /// It answers half of what it has announced, and closes.
    Break,
    /// It answers piece by piece until all is over.
    Trickle,
}

/// What the client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientDoes {
    /// It waits for the answer.
    Wait,
    /// It closes after half of the request.
    Break,
    /// It closes when the request is out.
    Vanish,
    /// It closes amid the answer.
    Leave,
}

impl Over {
    /// How one asks for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http1",
            Self::Http2 => "http2",
            Self::Bytes => "bytes",
        }
    }

    /// What one asks for.
    pub(super) fn named(name: &str) -> Option<Self> {
        OVER.into_iter().find(|over| over.name() == name)
    }
}

impl Errand {
    /// What comes next, by chance.
    pub(super) fn next(id: u64, over: Over, chance: &mut Chance) -> Self {
        let mut length = |often: u64| match chance.below(100) {
            0..40 => 0,
            40..90 => chance.below(often) as usize,
            90..99 => chance.below(256 * 1024) as usize,
            _ => chance.below(4 * 1024 * 1024) as usize,
        };
        let (up, down) = (length(4096), length(8192));
        let server = match chance.below(20) {
            0 => ServerDoes::AnswerLast,
            1 => ServerDoes::AnswerAndVanish,
            2 => ServerDoes::Vanish,
            3 => ServerDoes::Break,
            _ => ServerDoes::Answer,
        };
        let client = match chance.below(20) {
            // Half of nothing is nothing.
            0 if up > 1 => ClientDoes::Break,
            1 => ClientDoes::Vanish,
            2 if down > 1 => ClientDoes::Leave,
            _ => ClientDoes::Wait,
        };
        Self {
            id,
            over,
            up,
            // What is not given shall be missed.
            down: match server {
                ServerDoes::Break | ServerDoes::Vanish => down + 2,
                _ => down,
            },
            chunked: chance.once_in(3),
            server,
            client,
        }
    }

    /// As the target of a request.
    pub(super) fn target(&self) -> String {
        let Self {
            id,
            over,
            up,
            down,
            chunked,
            server,
            client,
        } = self;
        let chunked = u8::from(*chunked);
        let (over, server, client) = (*over as u8, *server as u8, *client as u8);
        format!("/errand/{id}/{over}/{up}/{down}/{chunked}/{server}/{client}")
    }

    /// Reads a target.
    pub(super) fn read(target: &str) -> Option<Self> {
        let parts = target.strip_prefix("/errand/")?.split('/');
        let parts = parts.map(|part| part.parse::<u64>().ok());
        let [id, over, up, down, chunked, server, client] =
            parts.collect::<Option<Vec<_>>>()?.try_into().ok()?;
        Some(Self {
            id,
            over: *OVER.get(over as usize)?,
            up: up as usize,
            down: down as usize,
            chunked: chunked == 1,
            server: *SERVER.get(server as usize)?,
            client: *CLIENT.get(client as usize)?,
        })
    }

    /// The body of the request.
    pub(super) fn request_body(&self) -> Vec<u8> {
        bytes(self.id, self.up)
    }

    /// The body of the answer.
    pub(super) fn answer_body(&self) -> Vec<u8> {
        bytes(!self.id, self.down)
    }

    /// Whether this is the body of its answer; one that comes piece by piece may have any length.
    pub(super) fn is_answer(&self, body: &[u8]) -> bool {
        let whole = match self.server {
            ServerDoes::Trickle => bytes(!self.id, body.len()),
            _ => self.answer_body(),
        };
        body == whole
    }
}

/// So many bytes that follow from a seed.
pub(super) fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend(chance.next().to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// In the order in which they are numbered.
const OVER: [Over; 3] = [Over::Http, Over::Http2, Over::Bytes];
const SERVER: [ServerDoes; 6] = [
    ServerDoes::Answer,
    ServerDoes::AnswerLast,
    ServerDoes::AnswerAndVanish,
    ServerDoes::Vanish,
    ServerDoes::Break,
    ServerDoes::Trickle,
];
const CLIENT: [ClientDoes; 4] = [
    ClientDoes::Wait,
    ClientDoes::Break,
    ClientDoes::Vanish,
    ClientDoes::Leave,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_know_the_same() {
        let mut chance = Chance::new(3);
        for id in 0..1000 {
            let over = OVER[id as usize % 3];
            let errand = Errand::next(id, over, &mut chance);
            assert_eq!(Errand::read(&errand.target()), Some(errand));
        }
        assert_eq!(Errand::read("/errand/1/0/2/3/0/9/0"), None);
        assert_eq!(Errand::read("/"), None);
    }

    #[test]
    fn bytes_follow_from_the_seed() {
        assert_eq!(bytes(5, 20), bytes(5, 20));
        assert_eq!(bytes(5, 3), bytes(5, 20)[..3]);
        assert_ne!(bytes(5, 20), bytes(6, 20));
    }
}
