//! Visits to the page of a demo: each is a script of what a visitor does and must see.

use leno_browser::Demo;

#[test]
fn the_frame_leads_everywhere_by_keys_and_fits_any_window() {
    Demo::start().visit("frame");
}
