//! What another configuration reads of requests and nobody records: calls that hang on it stay undecided
//! until somebody does.

use std::collections::{BTreeMap, BTreeSet};

use leno_model::{RequestFact, ServiceName};
use leno_traffic::{Asks, Port, Table};

use crate::ground::{Ground, Receiver};

/// What routes and access rules of `after` read of requests to each service that nothing reads or records
/// in `before`. A claim counts where tokens are believed already: nobody proves it elsewhere.
pub fn unread(
    before: &Ground<'_>,
    after: &Ground<'_>,
) -> BTreeMap<ServiceName, BTreeSet<RequestFact>> {
    let mut unread = BTreeMap::<_, BTreeSet<_>>::new();
    for port in after.table.ports() {
        let known = before.table.port(port.name());
        let by_callers = beyond(
            port.all_asks(),
            known.into_iter().flat_map(recorded_by_callers),
        );
        let answering = after.answering(port.name()).iter();
        let by_called =
            answering.flat_map(|receiver| read_by(receiver, &before.table, &after.table));
        let facts: BTreeSet<_> = by_callers.into_iter().chain(by_called).collect();
        if !facts.is_empty() {
            let service = port.name().service.clone();
            unread.entry(service).or_default().extend(facts);
        }
    }
    unread
}

/// What stands in `asked` and not in `known`.
fn beyond<'a>(
    asked: impl Iterator<Item = &'a Asks>,
    known: impl Iterator<Item = &'a Asks>,
) -> BTreeSet<RequestFact> {
    let mut facts: BTreeSet<_> = asked.flat_map(Asks::facts).collect();
    for fact in known.flat_map(Asks::facts) {
        facts.remove(&fact);
    }
    facts
}

fn recorded_by_callers(port: &Port) -> impl Iterator<Item = &Asks> {
    port.all_asks().chain([port.report(None, None).records()])
}

/// What the rules over a port of a workload read of it that they do not read before.
fn read_by(receiver: &Receiver<'_>, before: &Table, after: &Table) -> BTreeSet<RequestFact> {
    let Receiver { workload, port, .. } = receiver;
    let asks = |table| inbound_asks(table, receiver);
    let believes = asks(before).is_some_and(|asks| !asks.claims().is_empty());
    let recorded = before.report_inbound(workload, *port).records();
    let mut facts = beyond(
        asks(after).into_iter(),
        asks(before).into_iter().chain([recorded]),
    );
    facts.retain(|fact| believes || !matches!(fact, RequestFact::Claim(_)));
    facts
}

fn inbound_asks<'t>(table: &'t Table, receiver: &Receiver<'_>) -> Option<&'t Asks> {
    table.inbound(&receiver.workload, receiver.port)?.asks()
}
