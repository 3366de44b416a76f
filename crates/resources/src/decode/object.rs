//! `object!`: a mapping with named fields.

/// Declares a struct with its decoder and its table of fields. A field is
///
/// ```text
/// /// What it says.
/// pub name: Type = "key" [rules] or default_if_absent as "how the default is written",
/// ```
///
/// where `Option<T>`, `List<T>` and maps may be absent, and everything else without `or` must be
/// there. `checked by f` calls `f(&value, reader)` on a value in which nothing was wrong; what of that an API server can be
/// asked stands behind it, `where "CEL" else "what is told"`.
macro_rules! object {
    ($(
        $(#[doc = $doc:literal])+
        $vis:vis struct $type:ident $(checked by $check:path $(where $demand:literal else $told:literal)*)? {$(
            $(#[doc = $field_doc:literal])+
            pub $field:ident: $field_type:ty = $key:literal
                $([$($rule:ident($($argument:expr),*)),+])?
                $(or $default:expr, as $written:literal)?
        ;)*}
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, Debug)]
        $vis struct $type {$(
            $(#[doc = $field_doc])+
            pub $field: $field_type,
        )*}

        impl $type {
            /// Its fields.
            $vis const SCHEMA: &'static $crate::schema::Schema = &$crate::schema::Schema {
                doc: concat!($($doc),+).trim_ascii_start(),
                fields: &[$($crate::schema::Field {
                    key: $key,
                    doc: concat!($($field_doc),+).trim_ascii_start(),
                    shape: <$field_type as $crate::decode::Decode>::SHAPE,
                    default: $crate::decode::object!(@written $($written)?),
                    required: $crate::decode::object!(@required $field_type, $($written)?),
                    bounds: $crate::decode::Rules::NONE$($(.$rule($($argument),*))+)?.bounds(),
                }),*],
                demands: &[$($(($demand, $told)),*)?],
            };
        }

        impl $crate::decode::Decode for $type {
            const SHAPE: $crate::schema::Shape = $crate::schema::Shape::Object(Self::SCHEMA);

            fn decode(
                node: &$crate::yaml::Node,
                _: &$crate::decode::Rules,
                reader: &mut $crate::decode::Reader<'_>,
            ) -> Option<Self> {
                reader.mapping(node, Self::SCHEMA, |reader| {
                    let errors = reader.errors();
                    $(let $field = $crate::decode::object!(
                        @take reader, node, $key,
                        { $crate::decode::Rules::NONE$($(.$rule($($argument),*))+)? },
                        $($default)?
                    );)*
                    let value = Self { $($field: $field?),* };
                    if reader.errors() == errors {
                        $($check(&value, reader);)?
                    }
                    Some(value)
                })
            }
        }
    )+};
    (@take $reader:ident, $node:ident, $key:literal, $rules:block,) => {
        $reader.field($node, $key, const { &$rules })
    };
    (@take $reader:ident, $node:ident, $key:literal, $rules:block, $default:expr) => {
        $reader.field_or($node, $key, const { &$rules }, || $default)
    };
    (@written) => { None };
    (@written $written:literal) => { Some($written) };
    (@required $type:ty,) => { <$type as $crate::decode::Decode>::REQUIRED };
    (@required $type:ty, $written:literal) => { false };
}

pub(crate) use object;
