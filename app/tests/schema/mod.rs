//! What our own JSON Schemas say, for the tests of what we print.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

use serde_json::Value;

/// The keys that tell one way from the others, with what they are.
fn tags(way: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let keys = way.get("properties").and_then(Value::as_object).into_iter().flatten();
    keys.filter_map(|(key, schema)| Some((key, schema.get("const")?)))
}

/// Whether a value is what a schema says: types, keys, choices. Panics with the place where it is not.
pub fn fits(root: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return fits(root, root.pointer(name.trim_start_matches('#')).unwrap(), value, at);
    }
    if let Some(ways) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        let fit = |way: &&Value| {
            (way.get("$ref").is_none() || !value.is_null())
                && way.get("const").is_none_or(|only| only == value)
                && tags(way).all(|(key, only)| value.get(key) == Some(only))
                && way.get("type").is_none_or(|kind| (kind == "null") == value.is_null())
        };
        return fits(
            root,
            ways.iter().find(fit).unwrap_or_else(|| panic!("{at}: no way for {value}")),
            value,
            at,
        );
    }
    let kinds = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() && kinds.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.is_empty() || kinds.contains(&kind), "{at}: {value} is no {kinds:?}");
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(root, &schema["items"], item, &format!("{at}[{index}]"));
    }
    if let Some(object) = value.as_object() {
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            assert!(object.contains_key(key.as_str().unwrap()), "{at}: no {key}");
        }
        for (key, value) in object {
            let others = schema.get("additionalProperties").filter(|others| others.is_object());
            let known = schema["properties"].get(key).or(others);
            fits(
                root,
                known.unwrap_or_else(|| panic!("{at}: {key} is not in the schema")),
                value,
                &format!("{at}.{key}"),
            );
        }
    }
}
