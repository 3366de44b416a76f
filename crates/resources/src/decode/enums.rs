//! `choice!`: one of several words.

/// Declares an enum with its decoder and its table of words.
macro_rules! choice {
    ($(
        $(#[doc = $doc:literal])+
        pub enum $type:ident {$(
            $(#[doc = $word_doc:literal])+
            $variant:ident = $word:literal,
        )+}
        $(instead of {$($other:literal: $why:literal, $write:literal,)+})?
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type {$(
            $(#[doc = $word_doc])+
            $variant,
        )+}

        impl $type {
            /// The word in YAML.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::decode::Decode for $type {
            const SHAPE: $crate::schema::Shape =
                $crate::schema::Shape::Choice(&[$(($word, concat!($($word_doc),+).trim_ascii_start())),+]);

            fn decode(
                node: &$crate::yaml::Node,
                _: &$crate::decode::Rules,
                reader: &mut $crate::decode::Reader<'_>,
            ) -> Option<Self> {
                reader.choice(
                    node,
                    &[$(($word, Self::$variant)),+],
                    &[$($(($other, $why, $write)),+)?],
                )
            }
        }
    )+};
}

pub(crate) use choice;
