//! Values that can be written in two ways: a list, or its only entry; a table, or the one word that
//! says enough.

use toml::Spanned;
use toml::de::DeValue;

use super::error::Fault;
use super::reading::{Sayable, Value};

/// A list, or the one string that is its only entry.
#[derive(Debug)]
pub(super) struct Several<T>(pub Vec<T>);

/// A table, or the one string that stands for it.
#[derive(Debug)]
pub(super) struct Short<T>(pub T);

/// A table that one string can stand for.
pub(super) trait Shortened: From<Spanned<String>> {
    /// What is expected, when something else is found.
    const EXPECTED: &'static str;
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Several(Vec::new())
    }
}

impl<T: From<Spanned<String>>> From<Spanned<String>> for Short<T> {
    fn from(word: Spanned<String>) -> Self {
        Short(T::from(word))
    }
}

impl<T: Sayable + From<Spanned<String>>> Sayable for Several<T> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::String(_) => Ok(Several(vec![T::from(Sayable::read(value)?)])),
            DeValue::Array(list) => list.iter().map(T::read).collect::<Result<_, _>>().map(Several),
            _ => Err(Fault::mismatch(value, "a string or a list")),
        }
    }
}

impl<T: Sayable + Shortened> Sayable for Short<T> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::String(_) => Ok(Short(T::from(Sayable::read(value)?))),
            _ => T::read(value).map(Short),
        }
    }
}
