//! Both ends of the delta protocol, and what a proxy keeps of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_identity::Trust;
use leno_model::SpiffeId;
use leno_wire::{Client, Holder, Request, Response, Server, Target as Offer};

use super::Target;
use super::wire::{WORDS, view};

pub(super) const CLIENT: Target = Target {
    name: "delta-client",
    holds: "a proxy adopts what is whole and follows what it holds, says why not to anything else, and believes nothing \
            that it finds on its disk and nobody signed",
    seeds: || answers().iter().map(Response::encode).collect(),
    words: WORDS,
    check: check_client,
};

pub(super) const SERVER: Target = Target {
    name: "delta-server",
    holds: "a control plane answers whatever a proxy says with something that a proxy understands",
    seeds: || vec![hello().encode()],
    words: WORDS,
    check: check_server,
};

fn hello() -> Request {
    Client::new("cart").poll_request().expect("it greets")
}

/// What an ordinary proxy is sent.
pub(super) fn answers() -> Vec<Response> {
    let mut server = Server::default();
    server
        .handle_request(hello())
        .expect("an ordinary greeting");
    server.offer(Arc::new(Offer::new(&view(), BTreeMap::new())));
    std::iter::from_fn(|| server.poll_response())
        .take(16)
        .collect()
}

fn check_client(input: &[u8]) -> bool {
    let identity = "spiffe://shop.local/ns/shop/sa/cart";
    let holder = Holder {
        proxy: "cart".to_owned(),
        identity: SpiffeId::parse(identity).expect("an identity"),
    };
    let (nobody, _) = Trust::new(&BTreeMap::new(), Arc::default());
    assert!(Client::restore(&holder, input, &nobody).is_err());
    let Ok(response) = Response::decode(input) else {
        return false;
    };
    let mut client = Client::new("cart");
    client.poll_request();
    let before = client.generation().clone();
    client.handle_response(response);
    assert!(*client.generation() == before || client.generation().follows(&before));
    while let Some(request) = client.poll_request() {
        let understood = Request::decode(&request.encode());
        assert_eq!(understood.as_ref(), Ok(&request));
    }
    true
}

fn check_server(input: &[u8]) -> bool {
    let Ok(request) = Request::decode(input) else {
        return false;
    };
    let mut server = Server::default();
    if server.handle_request(request.clone()).is_err() {
        return false;
    }
    server.offer(Arc::new(Offer::new(&view(), BTreeMap::new())));
    // The same once more, and an update that was never sent is answered.
    drop(server.handle_request(request));
    let mut answers = 0;
    while let Some(response) = server.poll_response() {
        assert_eq!(Response::decode(&response.encode()).as_ref(), Ok(&response));
        answers += 1;
        assert!(answers < 100, "it never ends");
    }
    true
}
