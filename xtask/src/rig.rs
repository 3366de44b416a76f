//! Programs that run beside each other for a benchmark or a soak: where they run and on which core,
//! what proxies are told, and what they have used.

pub(crate) mod contestant;
pub(crate) mod course;
pub(crate) mod folder;
pub(crate) mod make;
pub(crate) mod namespace;
pub(crate) mod process;
