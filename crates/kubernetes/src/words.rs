//! What an error of the client comes to, in words for people.

use std::error::Error as StdError;

use kube::Error;

/// What an error comes from: what the API server says, else what the network or the system does. What lies between
/// names layers of a library.
pub(crate) fn in_words(why: &(dyn StdError + 'static)) -> String {
    let mut cause = why;
    loop {
        if let Some(Error::Api(status)) = cause.downcast_ref() {
            return status.message.clone();
        }
        let Some(deeper) = cause.source() else {
            return cause.to_string();
        };
        cause = deeper;
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher;

    use super::*;

    #[test]
    fn a_reason_is_what_the_system_says() {
        let refused = || Error::ReadEvents(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(in_words(&refused()), "connection refused");
        let why = watcher::Error::WatchFailed(refused());
        assert_eq!(in_words(&why), "connection refused");
    }
}
