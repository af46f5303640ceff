//! Objects, read field by field into their final place.
//!
//! A derived `Deserialize` collects the fields in variables and moves them from one call to the next, which costs
//! up to a tenth of the decoding time of an event. It also accepts an array and fills the fields by position, so a
//! list could be accepted as an event.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, Visitor};

#[cfg(test)]
mod tests;

/// A value that is filled from JSON. Its default is used for a field that is missing or `null`.
pub(crate) trait Fill<'de>: Default {
    fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error>;
}

impl<'de, T: Deserialize<'de>> Fill<'de> for Option<T> {
    #[inline]
    fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
        *self = Self::deserialize(value)?;
        Ok(())
    }
}

/// A field whose value is not read.
#[derive(Default, PartialEq)]
pub(crate) struct Skipped;

impl<'de> Fill<'de> for Skipped {
    fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(value).map(drop)
    }
}

/// A field that contains an object of this type.
#[derive(Default, PartialEq)]
pub(crate) struct Nested<T>(pub(crate) Option<T>);

impl<'de, T: Fill<'de>> Fill<'de> for Nested<T> {
    fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
        value.deserialize_option(Place(self))
    }
}

impl<'de, T: Fill<'de>> Visitor<'de> for Place<'_, Nested<T>> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.0.0.insert(T::default()).fill(value)
    }
}

/// A reference to the place into which a value is read.
pub(crate) struct Place<'a, T>(pub(crate) &'a mut T);

impl<'de, T: Fill<'de>> DeserializeSeed<'de> for Place<'_, T> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.0.fill(value)
    }
}

/// Converts `r#type` to `type`.
pub(crate) fn plain_name(field: &'static str) -> &'static str {
    field.trim_start_matches("r#")
}

/// Declares a struct that is filled from a JSON object only, by the names of its fields.
///
/// Other fields are skipped. A field that occurs twice is accepted if both values are equal, otherwise it is an
/// error.
macro_rules! object {
    (
        $(#[$attribute:meta])*
        struct $name:ident $(<$generic:ident>)? { $($field:ident: $type:ty,)* }
    ) => {
        $(#[$attribute])*
        #[derive(Default, PartialEq)]
        struct $name $(<$generic>)? { $($field: $type,)* }

        const _: () = {
            use serde::Deserialize;
            use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
            use $crate::json::object::{Fill, Place, plain_name};

            #[derive(Clone, Copy, Deserialize)]
            #[serde(field_identifier)]
            #[allow(non_camel_case_types, reason = "the field names in the JSON")]
            enum Field {
                $($field,)*
                #[serde(other)]
                Unknown,
            }
            // The fields are bits of `seen`.
            const _: () = assert!((Field::Unknown as u32) < u32::BITS);

            impl<'de $(, $generic: Fill<'de> + PartialEq)?> Visitor<'de> for Place<'_, $name $(<$generic>)?> {
                type Value = ();

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
                    let mut seen = 0_u32;
                    while let Some(field) = object.next_key()? {
                        let bit = 1 << field as u32;
                        match field {
                            $(Field::$field if seen & bit == 0 => {
                                object.next_value_seed(Place(&mut self.0.$field))?;
                            }
                            Field::$field => {
                                let mut again = <$type>::default();
                                object.next_value_seed(Place(&mut again))?;
                                if again != self.0.$field {
                                    return Err(A::Error::duplicate_field(plain_name(stringify!($field))));
                                }
                            })*
                            Field::Unknown => _ = object.next_value::<IgnoredAny>()?,
                        }
                        seen |= bit;
                    }
                    Ok(())
                }
            }

            impl<'de $(, $generic: Fill<'de> + PartialEq)?> Fill<'de> for $name $(<$generic>)? {
                fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
                    value.deserialize_map(Place(self))
                }
            }

            impl<'de $(, $generic: Fill<'de> + PartialEq)?> Deserialize<'de> for $name $(<$generic>)? {
                fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
                    let mut object = Self::default();
                    object.fill(value)?;
                    Ok(object)
                }
            }
        };
    };
}
pub(crate) use object;
