//! Versions of Leno side by side: a table with a row for each feature that an older proxy may lack, which says what it
//! does then. `cargo xtask matrix` plays every row with real processes of both, and `cargo xtask generate` makes a page
//! of it.

mod page;
mod table;

pub use page::page;
pub use table::{Call, Older, Reads, Row, TABLE, Used};
