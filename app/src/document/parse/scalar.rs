//! What a text without quotes is: YAML 1.1, as CloudFormation's and SAM's own readers take it.

use crate::document::Value;

/// The value of a plain scalar. A number keeps its text where that would not come back from the number: account
/// numbers with leading zeros, versions such as `1_0`, times such as `12:30`.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    match number.bytes().next() {
        Some(b'0'..=b'9' | b'.') if number.len() <= 40 => numeric(text, number),
        _ => Value::Text(text.to_string()),
    }
}

fn numeric(text: &str, number: &str) -> Value {
    if let Some(hex) = number.strip_prefix("0x") {
        let parsed =
            i64::from_str_radix(hex, 16).ok().filter(|_| number == text && !hex.starts_with(['-', '+']));
        return parsed.map_or_else(|| Value::Text(text.to_string()), Value::Integer);
    }
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = number.len() > 1 && number.starts_with('0') && !number.starts_with("0.");
    if leading_zero {
        return Value::Text(text.to_string());
    }
    if digits {
        return text.parse().map_or_else(|_| Value::Text(text.to_string()), Value::Integer);
    }
    let of_a_float = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    let is_float = number.bytes().all(of_a_float) && number.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(float) if is_float && float.is_finite() => Value::Float(float),
        _ => Value::Text(text.to_string()),
    }
}
