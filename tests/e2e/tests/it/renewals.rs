//! Certificates that should be renewed and cannot be: whoever looks is told, with the time that is left.

use std::time::Duration;

use leno_e2e::{until, within};

use crate::control::{Control, PAIR};

/// Half of a life is time enough to look, and not too long to wait for.
const MESH: &str = "{certificates: {lifetime: 2m}}";

/// Longer than until any certificate of that mesh is to be renewed.
const HALF: Duration = Duration::from_secs(120);

const FAILED: &str = r#"leno_certificate_renewals_failed{identity="shop/cart"}"#;
const ENDS: &str = r#"leno_certificate_ends_seconds{identity="shop/cart"}"#;

/// Against the pain "Certificates that end" (docs/pains.md).
#[test]
fn a_renewal_that_fails_is_an_event_a_metric_and_a_finding() {
    let control = Control::start(&[], MESH, PAIR);
    let metrics = control.world.at("cart", 15020).to_string();
    let cart = control.joined("cart", &["--metrics", &metrics]);
    let metric = |name| control.world.metric("cart", name);
    let found = || {
        let told = control.told(&["check"]).out;
        told.contains("T007").then_some(told)
    };
    let first = until("when it ends", || metric(ENDS));
    control.process.leave_disk(false);
    let failed = within(HALF, || metric(FAILED).filter(|failed| *failed > 0));
    assert!(failed.is_some(), "{}", cart.log());
    cart.until_says(&[
        "T007 certificate-not-renewing",
        "shop/sa/cart",
        "it ends at",
    ]);
    until("what is found, with the time that is left", || {
        let told = found()?;
        let words = ["shop/cart, 1 of 1 proxy", "Ends in ", "failed: "];
        words
            .into_iter()
            .all(|word| told.contains(word))
            .then_some(())
    });

    control.process.leave_disk(true);
    let well = within(HALF, || metric(FAILED).filter(|failed| *failed == 0));
    assert!(well.is_some(), "{}", cart.log());
    assert!(metric(ENDS) > Some(first));
    until("nothing is found", || found().is_none().then_some(()));
}
