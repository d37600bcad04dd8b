//! JSON values as a script's values, and back.

use rhai::{Array, Dynamic, INT};
use serde_json::{Map, Number, Value};

use super::limits::JSON_DEPTH_MAX;

/// A script's value for a JSON value. Integers above `i64` become floats; below the depth limit, `()`.
pub(super) fn to_script(value: &Value) -> Dynamic {
    to_script_at(value, 0)
}

/// A script's map for a JSON object.
pub(super) fn map_to_script(map: &Map<String, Value>) -> rhai::Map {
    map_to_script_at(map, 0)
}

fn map_to_script_at(map: &Map<String, Value>, depth: usize) -> rhai::Map {
    map.iter()
        .map(|(key, value)| (key.as_str().into(), to_script_at(value, depth + 1)))
        .collect()
}

fn to_script_at(value: &Value, depth: usize) -> Dynamic {
    if depth > JSON_DEPTH_MAX {
        return Dynamic::UNIT;
    }
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or(0.0).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items
            .iter()
            .map(|item| to_script_at(item, depth + 1))
            .collect::<Array>()
            .into(),
        Value::Object(map) => map_to_script_at(map, depth).into(),
    }
}

/// The JSON value of a script's value.
///
/// # Errors
/// What it is that JSON has no form for: a function, a host object, a number that is none, too deep a nesting.
pub(super) fn from_script(value: &Dynamic) -> Result<Value, String> {
    from_script_at(value, 0)
}

/// The JSON object of a script's map; members that are `()` are left out.
///
/// # Errors
/// As for [`from_script`].
pub(super) fn map_from_script(map: &rhai::Map) -> Result<Map<String, Value>, String> {
    map_from_script_at(map, 0)
}

fn map_from_script_at(map: &rhai::Map, depth: usize) -> Result<Map<String, Value>, String> {
    map.iter()
        .filter(|(_, value)| !value.is_unit())
        .map(|(key, value)| Ok((key.to_string(), from_script_at(value, depth + 1)?)))
        .collect()
}

fn from_script_at(value: &Dynamic, depth: usize) -> Result<Value, String> {
    if depth > JSON_DEPTH_MAX {
        return Err(format!("nested deeper than {JSON_DEPTH_MAX}"));
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(integer) = value.as_int() {
        return Ok(Value::from(integer as INT));
    }
    if let Ok(float) = value.as_float() {
        return Number::from_f64(float)
            .map(Value::Number)
            .ok_or_else(|| format!("{float} is no JSON number"));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::String(text.to_string()));
    }
    if let Ok(character) = value.as_char() {
        return Ok(Value::String(character.to_string()));
    }
    if let Ok(items) = value.as_array_ref() {
        return items
            .iter()
            .map(|item| from_script_at(item, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::Array);
    }
    if let Ok(map) = value.as_map_ref() {
        return map_from_script_at(&map, depth).map(Value::Object);
    }
    Err(format!("a {} is not JSON", value.type_name()))
}

/// Octets of a JSON object when written.
pub(super) fn written_bytes(map: &Map<String, Value>) -> usize {
    serde_json::to_string(map).map_or(usize::MAX, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_comes_back_as_it_went_in() {
        let value = json!({"a": [1, -2, 1.5, true, null, "x"], "b": {"c": {}}});
        assert_eq!(from_script(&to_script(&value)).unwrap()["a"], value["a"]);
        assert_eq!(from_script(&to_script(&value)).unwrap()["b"], value["b"]);
    }

    #[test]
    fn members_that_are_unit_are_left_out() {
        let mut map = rhai::Map::new();
        map.insert("gone".into(), Dynamic::UNIT);
        map.insert("here".into(), 1_i64.into());
        assert_eq!(
            Value::Object(map_from_script(&map).unwrap()),
            json!({"here": 1})
        );
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_refused() {
        assert!(from_script(&Dynamic::from(f64::NAN)).is_err());
        assert!(from_script(&Dynamic::from(std::time::Duration::ZERO)).is_err());
        let mut deep = Dynamic::from(1_i64);
        for _ in 0..=JSON_DEPTH_MAX {
            deep = vec![deep].into();
        }
        assert!(from_script(&deep).is_err());
    }

    #[test]
    fn a_number_above_i64_becomes_a_float() {
        assert!(to_script(&json!(u64::MAX)).is_float());
    }
}
