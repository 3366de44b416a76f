//! What is set up in a case: what is spoken through the proxies, and whether one stands in the way
//! or two with mutual TLS between them.

/// What carries the bytes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without a question before.
    Http2,
    /// gRPC over it.
    Grpc,
    /// Bytes that no proxy reads.
    Tcp,
}

/// Which proxies stand between a client and the origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// One, in plain.
    Hop,
    /// Two, with mutual TLS 1.3 between, and in it this where a proxy leaves the choice.
    Pair(Spoken),
}

/// What is set up in a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// What clients and origin speak.
    pub(crate) spoken: Spoken,
    pub(crate) way: Way,
    /// How many threads of a proxy carry calls.
    pub(crate) workers: usize,
    /// Whether its instructions are counted by callgrind, which makes it many times slower.
    pub(crate) counted: bool,
}

/// One proxy on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post {
    /// The name of its file.
    pub(crate) name: &'static str,
    /// The port where it takes calls.
    pub(crate) listen: u16,
    /// What it takes.
    pub(crate) takes: Side,
    /// The port where it calls.
    pub(crate) next: u16,
    /// What it gives on.
    pub(crate) gives: Side,
    /// The port that the calls are for.
    pub(crate) origin: u16,
    pub(crate) workers: usize,
}

/// What goes over the connections on one side of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Side {
    pub(crate) spoken: Spoken,
    /// Whether in TLS: whoever takes proves to be `cart`, whoever calls proves to be `web`.
    pub(crate) secured: bool,
}

impl Course {
    /// With one worker.
    pub(crate) const fn new(spoken: Spoken, way: Way) -> Self {
        Self {
            spoken,
            way,
            workers: 1,
            counted: false,
        }
    }

    /// The proxies of the contestant with this seat, the one that clients call first.
    pub(crate) fn posts(&self, seat: usize) -> Vec<Post> {
        let seat = u16::try_from(seat).expect("there are ports for all who take part");
        let (front, back) = (FRONT + seat, BACK + seat);
        let origin = match self.spoken {
            Spoken::Http1 => 8080,
            Spoken::Http2 => 8083,
            Spoken::Tcp => 8084,
            Spoken::Grpc => 8085,
        };
        let plain = Side {
            spoken: self.spoken,
            secured: false,
        };
        let whole = Post {
            name: "hop",
            listen: front,
            takes: plain,
            next: origin,
            gives: plain,
            origin,
            workers: self.workers,
        };
        let Way::Pair(between) = self.way else {
            return vec![whole];
        };
        let between = Side {
            spoken: between,
            secured: true,
        };
        let calling = Post {
            name: "calling",
            next: back,
            gives: between,
            ..whole
        };
        let called = Post {
            name: "called",
            listen: back,
            takes: between,
            ..whole
        };
        vec![calling, called]
    }
}

/// Where the ports begin at which clients call, one for each seat.
const FRONT: u16 = 8101;

/// Where the ports begin at which the second of a pair is called.
const BACK: u16 = 8201;

#[cfg(test)]
mod tests {
    use super::*;

    /// Who calls whom: the port where each listens, what it takes, and where it calls.
    fn check(way: Way, expect: &[&str]) {
        let posts = Course::new(Spoken::Http1, way).posts(2);
        let posts = posts.iter().map(|post| {
            let secured = if post.takes.secured { "TLS" } else { "plain" };
            format!("{} {secured} -> {}", post.listen, post.next)
        });
        assert_eq!(posts.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn each_proxy_calls_the_next() {
        check(Way::Hop, &["8103 plain -> 8080"]);
        let pair = ["8103 plain -> 8203", "8203 TLS -> 8080"];
        check(Way::Pair(Spoken::Http2), &pair);
    }
}
