//! Where connections and datagrams go.

use crate::world::{World, layout};

#[test]
fn the_rules_are_what_nft_says_they_are() {
    let world = World::new();
    let text = leno_host::capture_rules(&layout()).to_string();
    assert_eq!(world.inside(["nft", "list", "ruleset"]), text);
}
