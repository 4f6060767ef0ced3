//! Values that can be written in two ways: a list, or its only entry; a table, or the one word that
//! says enough.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

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

impl<'de, T> Deserialize<'de> for Several<T>
where
    T: Deserialize<'de> + From<Spanned<String>>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said: Spanned<OneOrList<T>> = Deserialize::deserialize(deserializer)?;
        let span = said.span();
        Ok(Several(match said.into_inner() {
            OneOrList::One(text) => vec![T::from(Spanned::new(span, text))],
            OneOrList::List(list) => list,
        }))
    }
}

impl<'de, T: Deserialize<'de> + Shortened> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said: Spanned<WordOrTable<T>> = Deserialize::deserialize(deserializer)?;
        let span = said.span();
        Ok(Short(match said.into_inner() {
            WordOrTable::Word(text) => T::from(Spanned::new(span, text)),
            WordOrTable::Table(table) => table,
        }))
    }
}

/// Inside a [`Spanned`] only the value itself can be taken apart, so the one string gets its place
/// afterwards. So it is for [`WordOrTable`].
enum OneOrList<T> {
    One(String),
    List(Vec<T>),
}

enum WordOrTable<T> {
    Word(String),
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Shortened> Deserialize<'de> for WordOrTable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrTableVisitor(PhantomData))
    }
}

struct OneOrListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrListVisitor<T> {
    type Value = OneOrList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(OneOrList::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrList::List)
    }
}

struct WordOrTableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Shortened> Visitor<'de> for WordOrTableVisitor<T> {
    type Value = WordOrTable<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(WordOrTable::Word(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table)).map(WordOrTable::Table)
    }
}
