//! Visits to the page of a demo: each is a script of what a visitor does and must see.

use leno_browser::{Demo, script};
use leno_e2e::{run, until};

#[test]
fn the_frame_leads_everywhere_by_keys_and_fits_any_window() {
    Demo::start().visit("frame");
}

#[test]
fn the_map_puts_callers_first_and_leaves_what_stood_there() {
    run(&mut script("arrange"));
}

#[test]
fn pages_make_of_answers_what_they_mean() {
    run(&mut script("told"));
}

#[test]
fn the_map_shows_the_shop_and_what_goes_wrong_in_it() {
    Demo::start().visit("map");
}

#[test]
fn the_map_shows_any_moment_that_is_kept_and_leads_back_to_now() {
    Demo::start().visit("past");
}

#[test]
fn a_control_plane_that_is_away_is_said_to_be_and_what_was_known_stays() {
    Demo::start().visit("away");
}

#[test]
fn what_somebody_changed_is_told_line_by_line_and_taken_back() {
    let demo = Demo::start();
    demo.edit("weight: 10}", "weight: 0}");
    demo.visit("changes");
    until("ten of a hundred calls go to the second version", || {
        let decided = demo.leno(&["why", "web", "http://cart:8080/"]);
        decided.contains("10 of 100").then_some(())
    });
}

#[test]
fn what_is_wrong_says_where_whose_fault_it_is_and_what_to_do() {
    let demo = Demo::start();
    demo.edit("cart-v2, port: 8080, weight", "cart-v9, port: 8080, weight");
    demo.leno(&["apply", "-f", "leno.yaml", "--allow-errors"]);
    demo.visit("problems");
}

#[test]
fn certificates_say_how_long_they_are_good_who_signed_them_and_who_else_is_believed() {
    let demo = Demo::start();
    demo.edit(
        "kind: AccessPolicy\n",
        "kind: MeshPeer\n\
         metadata: {name: bank}\n\
         spec:\n  \
           trustDomain: bank.example\n  \
           endpoint: {url: \"https://127.0.0.1:1/bundle\", profile: Web}\n\
         ---\n\
         apiVersion: leno.dev/v1alpha1\n\
         kind: AccessPolicy\n",
    );
    demo.leno(&["apply", "-f", "leno.yaml"]);
    demo.leno(&["certs", "rotate"]);
    demo.visit("certificates");
}

#[test]
fn a_denied_call_is_found_and_its_story_read_at_both_proxies() {
    Demo::start().visit("denied");
}

#[test]
fn a_service_tells_who_calls_it_where_its_calls_go_and_who_answers() {
    Demo::start().visit("service");
}
