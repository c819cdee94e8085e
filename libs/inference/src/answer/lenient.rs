//! Reading JSON that may have any form: what is not expected is passed over, but read to its last letter all the same,
//! so that whoever is passed the text can read it too.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use t4t_json::Sound;

/// What can be made of any JSON value: of one in another form than expected, the default.
pub(super) trait Lenient<'de>: Default {
    fn from_text(_: Cow<'de, str>) -> Self {
        Self::default()
    }

    fn from_plain(_: Value) -> Self {
        Self::default()
    }

    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Sound>()?.is_some() {}
        Ok(Self::default())
    }

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Self::default())
    }
}

/// What is made of an object, field by field.
pub(super) trait FromFields<'de>: Default {
    /// Takes the field's value, all of it.
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, fields: &mut A) -> Result<(), A::Error>;

    fn from_fields<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut read = Self::default();
        while let Some(Text(name)) = fields.next_key()? {
            read.take(name, &mut fields)?;
        }
        Ok(read)
    }
}

/// An object, if it is one.
impl<'de, T: FromFields<'de>> Lenient<'de> for Option<T> {
    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        T::from_fields(object).map(Some)
    }
}

/// The objects of a list, if it is one.
impl<'de, T: FromFields<'de>> Lenient<'de> for Vec<T> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut objects = Self::new();
        while let Some(object) = list.next_element_seed(Read::<Option<T>>::NEW)? {
            objects.extend(object);
        }
        Ok(objects)
    }
}

/// Any value: a text where it stands, everything else as a tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Found<'a> {
    /// `null`, or not there.
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Other(Value),
}

impl Found<'_> {
    /// This, or else the other.
    pub(super) fn or(self, other: Self) -> Self {
        if self.is_nothing() { other } else { self }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Other(value) => value.as_u64(),
            _ => None,
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Other(value) => value,
        }
    }

    pub(super) fn into_object(self) -> Option<Map<String, Value>> {
        match self {
            Self::Other(Value::Object(fields)) => Some(fields),
            _ => None,
        }
    }
}

impl<'de> Lenient<'de> for Found<'de> {
    fn from_text(text: Cow<'de, str>) -> Self {
        Self::Text(text)
    }

    fn from_plain(value: Value) -> Self {
        if value.is_null() { Self::Nothing } else { Self::Other(value) }
    }

    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(list)).map(Self::Other)
    }

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(object)).map(Self::Other)
    }
}

/// Fields that nobody here knows, in their order; of a repeated one the last counts.
#[derive(Debug, Default)]
pub(super) struct Others<'a>(Vec<(Cow<'a, str>, Found<'a>)>);

impl<'de> Others<'de> {
    pub(super) fn take<A: MapAccess<'de>>(
        &mut self,
        name: Cow<'de, str>,
        fields: &mut A,
    ) -> Result<(), A::Error> {
        let value = value(fields)?;
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
        Ok(())
    }

    /// Those that are not `null`.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Cow<'de, str>, Found<'de>)> {
        self.0.into_iter().filter(|(_, value)| !value.is_nothing())
    }
}

/// The value of a field.
pub(super) fn value<'de, T: Lenient<'de>, A: MapAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_value_seed(Read::NEW)
}

/// Reads one value.
pub(super) struct Read<T>(PhantomData<T>);

impl<T> Read<T> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<'de, T: Lenient<'de>> DeserializeSeed<'de> for Read<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Lenient<'de>> Visitor<'de> for Read<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::from_plain(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(T::from_plain(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(T::from_plain(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(T::from_plain(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(T::from_plain(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::from_text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::from_object(object)
    }
}

/// A text, where it stands if nothing in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
        }
        deserializer.deserialize_str(Reading)
    }
}
