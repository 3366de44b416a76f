//! The pact of every value that travels: its message, and the way back, which may fail.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::fmt::Display;

/// A value of the model and the protobuf message that carries it.
///
/// Rules that keep older readers safe: a field number is never used twice; the enum value 0 means
/// nothing and is refused, as is every value that is not known; whatever changes what a message
/// means to a reader that does not know it is named in the message's `needs`, and a reader that
/// lacks one of them fails closed.
pub(crate) trait Carried: Sized {
    /// What goes over the wire.
    type Message;

    /// Writes the value down.
    fn to_message(&self) -> Self::Message;

    /// Reads it again, or says what does not fit.
    fn from_message(message: Self::Message) -> Result<Self, Misfit>;
}

/// Why bytes from a control plane are not a value: it is newer than we are, or it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Misfit {
    what: &'static str,
    why: String,
}

impl Misfit {
    pub(crate) fn new(what: &'static str, why: impl Display) -> Self {
        Self {
            what,
            why: format!("{why}"),
        }
    }

    pub(crate) fn missing(what: &'static str) -> Self {
        Self {
            what,
            why: "it is missing".to_owned(),
        }
    }
}

/// Every value of a list.
pub(crate) fn to_list<T: Carried>(values: &[T]) -> Vec<T::Message> {
    values.iter().map(T::to_message).collect()
}

/// Every value of a list, or the first misfit.
pub(crate) fn from_list<T: Carried>(messages: Vec<T::Message>) -> Result<Vec<T>, Misfit> {
    messages.into_iter().map(T::from_message).collect()
}

/// Every value of a list that is shared one by one.
pub(crate) fn to_shared<T: Carried>(values: &[Arc<T>]) -> Vec<T::Message> {
    values.iter().map(|value| value.to_message()).collect()
}

/// Every value of a list that is shared one by one, or the first misfit.
pub(crate) fn from_shared<T: Carried>(messages: Vec<T::Message>) -> Result<Vec<Arc<T>>, Misfit> {
    messages
        .into_iter()
        .map(|message| T::from_message(message).map(Arc::new))
        .collect()
}

/// A value that may be absent.
pub(crate) fn from_option<T: Carried>(message: Option<T::Message>) -> Result<Option<T>, Misfit> {
    message.map(T::from_message).transpose()
}

/// A value that must be there.
pub(crate) fn required<T: Carried>(
    message: Option<T::Message>,
    what: &'static str,
) -> Result<T, Misfit> {
    T::from_message(message.ok_or_else(|| Misfit::missing(what))?)
}

/// A port number.
pub(crate) fn port(number: u32) -> Result<u16, Misfit> {
    u16::try_from(number).map_err(|_| Misfit::new("port", format_args!("{number} is too large")))
}

/// Declares a protobuf enumeration whose 0 means nothing, and how it maps to an enum of the model.
macro_rules! carried_enum {
    ($message:ident for $model:ty, $what:literal { $($variant:ident = $number:literal),+ $(,)? }) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
        #[repr(i32)]
        pub(crate) enum $message {
            Unset = 0,
            $($variant = $number),+
        }

        impl crate::carried::Carried for $model {
            type Message = i32;

            fn to_message(&self) -> i32 {
                match self { $(<$model>::$variant => $message::$variant.into()),+ }
            }

            fn from_message(message: i32) -> Result<Self, crate::carried::Misfit> {
                let misfit = || crate::carried::Misfit::new($what, format_args!("{message} is not known"));
                match $message::try_from(message).map_err(|_| misfit())? {
                    $message::Unset => Err(misfit()),
                    $($message::$variant => Ok(<$model>::$variant)),+
                }
            }
        }
    };
}
pub(crate) use carried_enum;
