//! Both ends of the delta protocol over a link that breaks at any moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use leno_model::view::{Generation, View, WorkloadId};
use leno_model::{Dice, Name, Namespace, SpiffeId, Subscription};
use leno_wire::delta::Commit;
use leno_wire::{Client, Known, Received, Request, Response, Server, Target};

use crate::views::Maker;

/// A proxy and its control plane, and what is on the way between them.
pub(crate) struct Pair {
    pub(crate) client: Client,
    pub(crate) server: Server,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    renew: Vec<SpiffeId>,
    pub(crate) adopted: Vec<View>,
    /// Signs what the control plane sends.
    seal: Option<Seal>,
}

/// Signs a commit.
type Seal = Box<dyn Fn(&mut Commit)>;

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            client: Client::new("web"),
            server: Server::default(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            adopted: Vec::new(),
            renew: Vec::new(),
            seal: None,
        }
    }

    /// Every commit is signed from here on.
    pub(crate) fn seal_by(&mut self, seal: impl Fn(&mut Commit) + 'static) {
        self.seal = Some(Box::new(seal));
    }

    /// The link breaks: what was on the way is lost, and the control plane forgets the stream.
    pub(crate) fn cut(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        self.server = Server::default();
        self.client.reconnect();
    }

    /// One message on its way, in either direction; `false` if nothing moved.
    pub(crate) fn step(&mut self) -> bool {
        self.to_server
            .extend(self.client.poll_request().map(|request| request.encode()));
        if let Some(bytes) = self.to_server.pop_front() {
            self.server
                .handle_request(Request::decode(&bytes).unwrap())
                .unwrap();
            return true;
        }
        if let Some(mut response) = self.server.poll_response() {
            if let (Some(seal), Some(commit)) = (&self.seal, &mut response.commit) {
                seal(commit);
            }
            self.to_client.push_back(response.encode());
        }
        let Some(bytes) = self.to_client.pop_front() else {
            return false;
        };
        match self
            .client
            .handle_response(Response::decode(&bytes).unwrap())
        {
            Received::Staged => {}
            Received::Adopt(view) => self.adopted.push(view),
            Received::Refused(misfit) => panic!("{misfit}"),
            Received::Renew(identities) => self.renew.extend(identities),
        }
        true
    }

    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }
}

pub(crate) fn offer(view: &View) -> Arc<Target> {
    Arc::new(Target::new(view, BTreeMap::new()))
}

fn cart() -> SpiffeId {
    SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap()
}

#[test]
fn a_proxy_hears_once_whose_certificate_it_should_renew() {
    let mut pair = Pair::new();
    pair.server.offer(offer(&Maker(Dice::new(3)).view(1)));
    pair.settle();
    pair.server.renew(cart());
    pair.server.renew(cart());
    pair.settle();
    assert_eq!(pair.renew, [cart()]);
    assert_eq!(pair.adopted.len(), 1);
}

#[test]
fn whatever_breaks_the_proxy_adopts_whole_views_in_order_and_ends_with_the_last() {
    for seed in 0..60 {
        let mut maker = Maker(Dice::new(seed));
        let mut pair = Pair::new();
        let mut views = vec![maker.view(0)];
        for turn in 0..120 {
            match maker.below(12) {
                0 => views.push(maker.view(turn + 1)),
                1 => pair.cut(),
                2..4 => {
                    // A replica that lags behind may offer an old view again.
                    let at = maker.below(views.len() as u32) as usize;
                    pair.server.offer(offer(&views[at]));
                }
                4 => pair.server.offer(offer(views.last().unwrap())),
                // It belongs to no update and may come between the parts of one.
                5 => pair.server.renew(cart()),
                _ => drop(pair.step()),
            }
        }
        pair.cut();
        pair.server.offer(offer(views.last().unwrap()));
        pair.settle();

        let mut held = Generation::default();
        for view in &pair.adopted {
            assert!(
                views.contains(view),
                "seed {seed}: a view that nobody offered"
            );
            assert!(view.generation.follows(&held), "seed {seed}: it went back");
            held.clone_from(&view.generation);
        }
        assert_eq!(
            pair.client.generation(),
            &views.last().unwrap().generation,
            "seed {seed}"
        );
        assert_eq!(
            pair.server.adopted(),
            pair.client.generation(),
            "seed {seed}"
        );
    }
}

#[test]
fn a_proxy_that_comes_back_is_sent_only_what_differs() {
    let mut maker = Maker(Dice::new(7));
    let mut view = maker.view(1);
    let mut pair = Pair::new();
    pair.server.offer(offer(&view));
    pair.settle();
    assert_eq!(pair.adopted.len(), 1);

    pair.cut();
    pair.server.offer(offer(&view));
    pair.settle();
    assert_eq!(pair.adopted.len(), 1, "the same view is not sent again");

    view.generation.positions.insert("store".into(), 2);
    view.revoked = Arc::default();
    pair.cut();
    pair.server.offer(offer(&view));
    let request = pair.client.poll_request().unwrap();
    pair.server.handle_request(request).unwrap();
    let response = pair.server.poll_response().unwrap();
    assert!(response.parts.len() <= 1, "{:?}", response.parts);
    assert!(response.commit.is_some());
}

#[test]
fn a_large_update_comes_in_pieces_and_counts_only_when_whole() {
    let mut maker = Maker(Dice::new(8));
    let mut view = maker.view(1);
    view.bundles.clear();
    for number in 0..30 {
        let domain = leno_model::TrustDomain::new(&format!("d{number}")).unwrap();
        view.bundles
            .insert(domain, Arc::new(vec![vec![number; 300_000]]));
    }
    let mut pair = Pair::new();
    pair.server.offer(offer(&view));
    let request = pair.client.poll_request().unwrap();
    pair.server.handle_request(request).unwrap();
    let mut responses = 0;
    while let Some(response) = pair.server.poll_response() {
        responses += 1;
        let bytes: usize = response
            .parts
            .iter()
            .map(|(_, part)| part.bytes().len())
            .sum();
        assert!(bytes <= 1 << 20);
        let last = response.commit.is_some();
        match pair.client.handle_response(response) {
            Received::Staged => assert!(!last),
            Received::Adopt(adopted) => assert_eq!(adopted, view),
            Received::Refused(misfit) => panic!("{misfit}"),
            Received::Renew(_) => panic!("nobody asked for it"),
        }
    }
    assert!(responses >= 9, "{responses}");
}

#[test]
fn what_does_not_fit_is_refused_and_the_old_view_stays() {
    let mut maker = Maker(Dice::new(9));
    let mut pair = Pair::new();
    pair.server.offer(offer(&maker.view(1)));
    pair.settle();

    let second = maker.view(2);
    pair.server.offer(offer(&second));
    let mut response = pair.server.poll_response().unwrap();
    response.parts.pop();
    let Received::Refused(misfit) = pair.client.handle_response(response) else {
        panic!("a part is missing");
    };
    assert_eq!(
        misfit.to_string(),
        "commit: the parts that came are not those that it names"
    );
    assert_eq!(pair.client.generation().positions["store"], 1);
    pair.settle();
    let (generation, why) = pair.server.refused().unwrap();
    assert_eq!(
        (generation.positions["store"], why),
        (2, misfit.to_string().as_str())
    );
    pair.server.offer(offer(&second));
    assert_eq!(pair.server.poll_response(), None, "it is not tried again");

    pair.server.offer(offer(&maker.view(3)));
    pair.settle();
    assert_eq!(pair.client.generation().positions["store"], 3);
    assert!(pair.server.refused().is_none());
}

#[test]
fn a_name_that_was_asked_about_is_known_to_exist_or_not_only_once_an_answer_came() {
    let cart = Subscription::parse("service/shop/cart").unwrap();
    let nope = Subscription::parse("service/shop/nope").unwrap();
    let view = Maker(Dice::new(10)).view(1);
    let mut pair = Pair::new();
    pair.client.subscribe(cart.clone());
    pair.client.subscribe(nope.clone());
    pair.server.offer(offer(&view));
    pair.settle();
    assert_eq!(pair.client.known(&cart), Known::NotYet);
    assert!(pair.server.subscriptions().contains(&cart));

    let answers = BTreeMap::from([(cart.clone(), true), (nope.clone(), false)]);
    pair.server.offer(Arc::new(Target::new(&view, answers)));
    pair.settle();
    assert_eq!(pair.client.known(&cart), Known::Exists);
    assert_eq!(pair.client.known(&nope), Known::Absent);

    pair.client.unsubscribe(&cart);
    pair.settle();
    assert!(!pair.server.subscriptions().contains(&cart));
    assert_eq!(pair.client.known(&cart), Known::NotYet);
}

#[test]
fn a_store_that_was_put_back_is_refused_in_words_and_followed_again_in_a_later_epoch() {
    let mut maker = Maker(Dice::new(11));
    let (old, new) = (maker.view(1), maker.view(2));
    let mut pair = Pair::new();
    pair.server.offer(offer(&new));
    pair.settle();

    pair.cut();
    pair.server.insist(offer(&old));
    let request = pair.client.poll_request().unwrap();
    pair.server.handle_request(request).unwrap();
    let response = pair.server.poll_response().unwrap();
    assert!(response.parts.is_empty(), "nothing of it is sent");
    let Received::Refused(refused) = pair.client.handle_response(response) else {
        panic!("it goes back");
    };
    assert_eq!(
        format!("{} {refused}", refused.code()),
        "D004 the control plane stands at 1 store:1, before 1 store:2, which is held: if its store \
         was put back or made anew, leno control recover"
    );
    pair.settle();
    let (generation, why) = pair.server.refused().unwrap();
    assert_eq!((generation, why), (&old.generation, &*refused.to_string()));
    pair.server.insist(offer(&old));
    assert!(pair.server.poll_response().is_none(), "it was told");

    let mut recovered = old;
    recovered.generation.epoch += 1;
    pair.server.offer(offer(&recovered));
    pair.settle();
    assert_eq!(pair.adopted.last(), Some(&recovered));
    assert!(pair.server.refused().is_none());
}

#[test]
fn a_proxy_says_whom_it_stands_in_front_of_and_where() {
    let cart = WorkloadId {
        namespace: Namespace::new("shop").unwrap(),
        name: Name::new("cart-1").unwrap(),
    };
    let tunnel = "10.0.0.7:15008".parse().unwrap();
    let mut pair = Pair::new();
    pair.client.announce([cart.clone()].into(), Some(tunnel));
    pair.settle();
    let hello = pair.server.hello().unwrap();
    assert_eq!(hello.workloads, [cart.clone()].into());
    assert_eq!(hello.tunnel, Some(tunnel));

    // It may come to stand in front of others, and to hold other views meanwhile.
    let view = Maker(Dice::new(5)).view(1);
    pair.server.offer(offer(&view));
    pair.client.announce([].into(), Some(tunnel));
    pair.settle();
    assert_eq!(pair.server.hello().unwrap().workloads, [].into());
    assert_eq!(pair.adopted.last(), Some(&view));
    assert!(pair.client.poll_request().is_none());
    pair.client.announce([].into(), Some(tunnel));
    assert!(pair.client.poll_request().is_none(), "it is no news");
}
