//! A JSON object that is changed in a few fields and otherwise passed on as it was written.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// More fields than any API has; setting one looks at all of them.
const MAX_FIELDS: usize = 512;

/// The fields in their order, each value in the text it came in. Of a repeated field the last value counts, as in
/// every common parser; the others are gone, so that no backend can read another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    pub(crate) fn get(&self, field: &str) -> Option<&RawValue> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_ref())
    }

    /// Sets the field where it stands, or adds it at the end.
    pub(crate) fn set(&mut self, field: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.to_owned(), value)),
        }
    }

    /// Sets the field to any value that has a JSON form.
    pub(crate) fn set_to<T: Serialize>(&mut self, field: &str, value: &T) -> Result<(), serde_json::Error> {
        self.set(field, serde_json::value::to_raw_value(value)?);
        Ok(())
    }

    pub(crate) fn remove(&mut self, field: &str) {
        self.0.retain(|(name, _)| name != field);
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (field, value) in &self.0 {
            object.serialize_entry(field, value)?;
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = RawObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<RawObject, M::Error> {
        let mut object = RawObject::default();
        while let Some((field, value)) = entries.next_entry::<String, Box<RawValue>>()? {
            object.set(&field, value);
            if object.0.len() > MAX_FIELDS {
                return Err(de::Error::custom(format!("more than {MAX_FIELDS} fields")));
            }
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_stays_as_it_was_written() {
        let text = r#"{"z":1.50,"model":"x","a":[1, 2],"big":123456789012345678901234567890,"e":1e400}"#;
        let mut object: RawObject = serde_json::from_str(text).unwrap();
        object.set_to("model", &"y").unwrap();
        object.remove("a");
        let expected = r#"{"z":1.50,"model":"y","big":123456789012345678901234567890,"e":1e400}"#;
        assert_eq!(serde_json::to_string(&object).unwrap(), expected);
    }

    #[test]
    fn of_a_repeated_field_only_the_last_is_left() {
        let object: RawObject = serde_json::from_str(r#"{"max_tokens":1,"max_t\u006fkens":2}"#).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"max_tokens":2}"#);
    }

    #[test]
    fn too_many_fields_are_refused() {
        let fields: Vec<String> = (0..600).map(|field| format!("\"{field}\":0")).collect();
        assert!(serde_json::from_str::<RawObject>(&format!("{{{}}}", fields.join(","))).is_err());
    }
}
