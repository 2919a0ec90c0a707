//! A setting and whether a file states it.

use crate::document::Span;

/// What a file says of one setting.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Setting<T> {
    /// No file states it: what the profile has as its default holds.
    #[default]
    Default,
    /// Stated.
    Stated(T, Span),
    /// There, but its value depends on what the files do not say.
    Unknown {
        /// Why, as the end of a sentence that begins with "not known: ".
        why: String,
        /// Where it stands.
        span: Span,
    },
}

impl<T> Setting<T> {
    /// The value, where a file states it.
    pub fn stated(&self) -> Option<&T> {
        match self {
            Setting::Stated(value, _) => Some(value),
            Setting::Default | Setting::Unknown { .. } => None,
        }
    }

    /// Where it stands, where it stands anywhere.
    pub fn span(&self) -> Option<Span> {
        match self {
            Setting::Stated(_, span) | Setting::Unknown { span, .. } => Some(*span),
            Setting::Default => None,
        }
    }

    /// Whether no file states it.
    pub fn is_default(&self) -> bool {
        matches!(self, Setting::Default)
    }

    /// Whether it is there without a value that can be known.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Setting::Unknown { .. })
    }

    /// The value: stated, or `default` where nothing is. `None`: not known.
    pub fn or(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Setting::Stated(value, _) => Some(value.clone()),
            Setting::Default => Some(default),
            Setting::Unknown { .. } => None,
        }
    }
}
