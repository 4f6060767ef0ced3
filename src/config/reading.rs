//! Values of a file, read for what they are to say: a table fills the slots that its keys name, and
//! each slot takes a value of its own form. Which keys there are is for `said`.
//!
//! Slots are filled through one function for all tables: a parser for each, as a derive would make
//! it, is hundreds of kilobytes of a program that reads its configuration once.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::error::Fault;

/// A value and its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// What a value can say.
pub(super) trait Sayable: Sized {
    /// What `value` says.
    ///
    /// # Errors
    /// When it has another form.
    fn read(value: &Value<'_>) -> Result<Self, Fault>;
}

/// Where what is said goes.
pub(super) trait Slot {
    /// Takes what `value` says.
    ///
    /// # Errors
    /// When it has another form.
    fn take(&mut self, value: &Value<'_>) -> Result<(), Fault>;
}

impl<T: Sayable> Slot for T {
    fn take(&mut self, value: &Value<'_>) -> Result<(), Fault> {
        *self = T::read(value)?;
        Ok(())
    }
}

/// Which table is expected: one like this, and its keys, with `_` in place of `-`.
pub(super) struct Form {
    pub(super) like: &'static str,
    /// Those that must be there.
    pub(super) needed: &'static [&'static str],
    pub(super) others: &'static [&'static str],
}

/// Makes a struct a table: what it is like, the keys that must be there, and those that need not.
/// They are the names of all its fields.
macro_rules! table {
    ($name:ident, $like:expr, [$($needed:ident)*], [$($other:ident)*]) => {
        const _: () = {
            use $crate::config::error::Fault;
            use $crate::config::reading::{Form, Sayable, Value};

            impl Sayable for $name {
                fn read(value: &Value<'_>) -> Result<Self, Fault> {
                    const FORM: Form = Form {
                        like: $like,
                        needed: &[$(stringify!($needed)),*],
                        others: &[$(stringify!($other)),*],
                    };
                    let mut said = $name {
                        $($needed: Spanned::new(0..0, Default::default()),)*
                        $($other: Default::default(),)*
                    };
                    let $name { $($needed,)* $($other,)* } = &mut said;
                    FORM.fill(&mut [$($needed,)* $($other,)*], value)?;
                    Ok(said)
                }
            }
        };
    };
}
pub(super) use table;

impl Form {
    /// Lets `slots`, one for each key, take what stands in `value`.
    ///
    /// # Errors
    /// When it is no table, has an unknown key, or lacks one; those of the slots.
    pub(super) fn fill(&self, slots: &mut [&mut dyn Slot], value: &Value<'_>) -> Result<(), Fault> {
        let span = value.span();
        let DeValue::Table(table) = value.get_ref() else {
            return Err(Fault::mismatch(value, self.like));
        };
        let keys = || self.needed.iter().chain(self.others);
        let mut seen = Vec::new();
        for (key, value) in table {
            let said: &str = key.get_ref();
            let Some(at) = keys().position(|known| is_same(known, said)) else {
                let known: Vec<String> = keys().map(|known| known.replace('_', "-")).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(Fault::unknown_key(key.span(), said, &known));
            };
            slots[at].take(value)?;
            seen.push(at);
        }
        match self.needed.iter().enumerate().find(|(at, _)| !seen.contains(at)) {
            Some((_, missing)) => {
                let missing = missing.replace('_', "-");
                Err(Fault::at(span, &format!("`{missing}` is missing here")))
            }
            None => Ok(()),
        }
    }
}

/// Whether `said` is the key `known`, in which `_` stands for `-`.
fn is_same(known: &str, said: &str) -> bool {
    let known = known.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    known.eq(said.bytes())
}

impl<T: Sayable> Sayable for Option<T> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        T::read(value).map(Some)
    }
}

impl<T: Sayable> Sayable for Spanned<T> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let span = value.span();
        Ok(Spanned::new(span, T::read(value)?))
    }
}

impl<T: Sayable> Sayable for Vec<T> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::Array(list) => list.iter().map(T::read).collect(),
            DeValue::Table(_) => Err(Fault::new(
                value,
                "this section can come several times\nwrite its name in double brackets",
            )),
            _ => Err(Fault::mismatch(value, "a list")),
        }
    }
}

impl Sayable for BTreeMap<Spanned<String>, Spanned<String>> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(Fault::mismatch(value, "a table"));
        };
        let pair = |(key, value): (&Spanned<DeString<'_>>, &Value<'_>)| {
            let name = Spanned::new(key.span(), key.get_ref().clone().into_owned());
            Ok((name, Sayable::read(value)?))
        };
        table.iter().map(pair).collect()
    }
}

impl Sayable for String {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => Err(Fault::mismatch(value, "a string")),
        }
    }
}

impl Sayable for bool {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::Boolean(is_so) => Ok(*is_so),
            _ => Err(Fault::mismatch(value, "true or false")),
        }
    }
}
