//! The limits of a process: a closed table, so that each is counted under its own name when it bites.

use leno_model::Code;

/// Declares the limits from their table.
macro_rules! limits {
    ($($limit:ident $name:literal $help:literal;)+) => {
        /// Something of which there is only so much.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Limit {
            $(#[doc = $help] $limit,)+
        }

        impl Limit {
            /// Every limit, in order.
            pub const ALL: &[Self] = &[$(Self::$limit),+];

            /// The word in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$limit => $name,)+ }
            }

            /// What it bounds, in one sentence.
            pub fn help(self) -> &'static str {
                match self { $(Self::$limit => $help,)+ }
            }
        }
    };
}

limits! {
    Connections "connections" "Connections, and streams in tunnels, of the process: further ones are refused with R040.";
    ConnectionsOfPeer "connections-of-peer" "Connections of one peer: further ones are refused with R050.";
    BufferedBytes "buffered-bytes" "Bytes in buffers of the process: reading stops; what is new is refused with R051.";
    Files "files" "Files that the process may open: connections wait, and calls are refused with H004.";
    HeadBytes "head-bytes" "Bytes and headers of a request's head: larger ones are refused with R033.";
    HeadTime "head-time" "Time that a request's head may take: slower ones are refused with R034.";
    ConnectTime "connect-time" "Time until an endpoint takes a connection: else the call fails with R021.";
    ResponseTime "response-time" "Time until an answer comes, as a route or policy says: else the call fails with R023.";
    Resets "resets" "Streams of one connection that are reset: further ones close the connection with R052.";
    UntakenAnswers "untaken-answers" "Time for which a caller may take nothing of its answer: then it is cut with R053.";
    UntakenRequests "untaken-requests" "Time for which an endpoint may take nothing of a request: then the call fails with R054.";
    Silence "silence" "Time for which the other end of a connection of HTTP/2 may answer no PING: then it is closed with R055.";
    Streams "streams" "Streams that are open on one connection of HTTP/2: counted when there are as many as it may have (R057); further ones wait or are refused.";
    NamesTold "names-told" "Pairs of name and address that a workload was told of hosts outside the mesh: the oldest is forgotten (D010).";
    Waiting "waiting" "Requests that wait for the control plane: further ones are refused with R043.";
    Copies "copies" "Copies of requests under way, and what they hold: what is beyond is not sent, with R045.";
    Authorizers "authorizers" "External authorizers: questions under way, the time that one takes and the size of its answer; and whatever else leaves one without an answer: the call is refused with R065.";
}

impl Limit {
    /// The limit that bit where something was refused with `code`.
    pub fn of(code: Code) -> Option<Self> {
        Some(match code {
            Code::R021 => Self::ConnectTime,
            Code::R023 => Self::ResponseTime,
            Code::R033 => Self::HeadBytes,
            Code::R034 => Self::HeadTime,
            Code::R040 => Self::Connections,
            Code::R043 => Self::Waiting,
            Code::R045 => Self::Copies,
            Code::R050 => Self::ConnectionsOfPeer,
            Code::R051 => Self::BufferedBytes,
            Code::R052 => Self::Resets,
            Code::R053 => Self::UntakenAnswers,
            Code::R054 => Self::UntakenRequests,
            Code::R055 => Self::Silence,
            Code::R057 => Self::Streams,
            Code::D010 => Self::NamesTold,
            Code::R065 => Self::Authorizers,
            Code::H004 => Self::Files,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_names_the_code_that_stands_for_it() {
        for limit in Limit::ALL {
            let codes = Code::ALL
                .iter()
                .filter(|code| Limit::of(**code) == Some(*limit));
            let codes: Vec<_> = codes.collect();
            let [code] = codes[..] else {
                panic!("{limit:?}: {codes:?}");
            };
            assert!(limit.help().contains(code.as_str()), "{limit:?}: {code}");
        }
    }
}
