//! Names of what an application declares.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize};

/// The longest name, bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The name of a function, queue, topic, bus, rule, namespace or tenant: 1 to 64 of `a-z A-Z 0-9 . _ -`,
/// starting with a letter or digit. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("a name can't be empty")]
    Empty,
    /// It is too long.
    #[error("a name has at most {NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// It holds something else than the alphabet.
    #[error(
        "a name holds a-z, A-Z, 0-9, '.', '_' and '-' and starts with a letter or digit; {0:?} does not fit"
    )]
    Character(char),
}

impl Name {
    /// Checks and makes a name.
    ///
    /// # Errors
    /// Where the text breaks the rules above.
    pub fn new(text: &str) -> Result<Name, NameError> {
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Character(first));
        }
        match text.chars().find(|&c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            Some(wrong) => Err(NameError::Character(wrong)),
            None => Ok(Name(text.into())),
        }
    }

    /// The name of a function's own inbox, the queue behind its asynchronous routes, subscriptions and
    /// rules. `@` is outside the alphabet, so it can't meet a declared queue.
    pub fn inbox_of(function: &Name) -> Name {
        Name(["@", function].concat().into())
    }

    /// For what has no name yet, or not a good one.
    pub fn unnamed() -> Name {
        Name("unnamed".into())
    }

    /// Reads a name that Flyball itself wrote: a declared one, or an inbox.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn stored(text: &str) -> Result<Name, NameError> {
        match text.strip_prefix('@') {
            Some(function) => Ok(Name::inbox_of(&Name::new(function)?)),
            None => Name::new(text),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Name::stored(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_alphabet() {
        for good in ["a", "0", "a.b_c-D9", &"x".repeat(64)] {
            assert_eq!(Name::new(good).map(|n| n.to_string()), Ok(good.to_string()));
        }
        for bad in ["", "-a", ".", "a b", "a/b", "@a", "é", &"x".repeat(65)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::stored("@a").is_ok() && Name::stored("@@a").is_err());
    }
}
