//! What the writer probably meant, as far as the asker may know it.

use alloc::string::String;

use leno_model::near::did_you_mean;
use leno_model::{Namespace, ServiceName};

/// The service of the asker's namespace that was probably meant. What others have is not told.
pub(crate) fn service<'a>(
    wanted: &ServiceName,
    asker: &Namespace,
    known: impl Iterator<Item = &'a ServiceName>,
) -> Option<String> {
    let own = known.filter(|other| other.namespace == *asker && wanted.namespace == *asker);
    did_you_mean(wanted.name.as_str(), own.map(|other| other.name.as_str()))
}
