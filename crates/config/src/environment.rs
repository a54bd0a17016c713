//! The variables that are set, and what is wrong with them so far.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use edgelb_balancer::Backend;

use crate::error::{ConfigError, Fault};
use crate::settings::Setting;
use crate::spelling::{self, Name};
use crate::variable::{BACKEND_PREFIX, Number};
use crate::{backend, host, scalar};

/// Our variables, and every error met while they are read.
pub(crate) struct Environment {
    /// All but the backends, each once.
    values: Vec<(&'static str, String)>,
    /// The backends by what follows `BACKEND_`, in that order, each once.
    backends: Vec<(String, String)>,
    /// In order of their variables.
    errors: Vec<ConfigError>,
}

impl Environment {
    /// Keeps what is ours and not blank; notes names that are nearly ours.
    pub(crate) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self {
            values: Vec::new(),
            backends: Vec::new(),
            errors: Vec::new(),
        };
        let variables: Vec<_> = variables.into_iter().collect();
        for (index, (name, value)) in variables.iter().enumerate() {
            let value = value.trim();
            // Of one given twice the last value counts, blank or not.
            let is_last = || variables[index + 1..].iter().all(|later| later.0 != *name);
            if !value.is_empty() && is_last() {
                environment.admit(name, value.to_owned());
            }
        }
        environment
    }

    fn admit(&mut self, name: &str, value: String) {
        let fault = match spelling::classify(name) {
            Name::Foreign => return,
            Name::Setting(name) => {
                self.values.push((name, value));
                return;
            }
            Name::Backend(name) => {
                let place = self.backends.partition_point(|other| *other.0 < *name);
                self.backends.insert(place, (name.to_owned(), value));
                return;
            }
            Name::Misspelt(meant) => Fault::new("no such variable", format!("`{meant}`")),
            Name::Malformed => Fault::new(
                "no valid name after `BACKEND_`",
                "capital letters, digits and underscores, as in `BACKEND_CF`",
            ),
        };
        self.note(ConfigError::of_name(name, fault));
    }

    /// Keeps an error in its place: after those of the same variable.
    fn note(&mut self, error: ConfigError) {
        let place = self
            .errors
            .partition_point(|other| other.variable <= error.variable);
        self.errors.insert(place, error);
    }

    /// The value of a variable, valid or not; `None` if it is not set.
    fn raw(&self, name: &str) -> Option<String> {
        self.values
            .iter()
            .find(|value| value.0 == name)
            .map(|value| value.1.clone())
    }

    /// Whether the variable is set, rightly or wrongly.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.0 == name)
    }

    /// Whether nothing was found wrong with the variable.
    pub(crate) fn is_sound(&self, name: &str) -> bool {
        self.errors.iter().all(|error| error.variable != name)
    }

    /// Notes what is wrong with a value.
    pub(crate) fn reject(&mut self, name: &str, value: &str, fault: Fault) {
        self.note(ConfigError::of_value(name, value, fault));
    }

    /// The value of a variable, if it is set and valid.
    pub(crate) fn value<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.raw(name)?;
        parse(&value)
            .map_err(|fault| self.reject(name, &value, fault))
            .ok()
    }

    /// As [`Self::value`], for a value that no error may show.
    pub(crate) fn secret<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.raw(name)?;
        parse(&value)
            .map_err(|fault| self.reject(name, Setting::MASK, fault))
            .ok()
    }

    /// As [`Self::value`], for a number.
    pub(crate) fn number(&mut self, number: Number) -> Option<u64> {
        self.value(number.name, |text| scalar::number(text, number))
    }

    /// The valid items of a comma-separated list, each once; an error has an
    /// item as `show` has it. Empty items are skipped, but a list of nothing
    /// else is a fault, for it is not unset.
    pub(crate) fn list<T: PartialEq>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Fault>,
        show: impl Fn(&str) -> String,
    ) -> Vec<T> {
        let Some(value) = self.raw(name) else {
            return Vec::new();
        };
        let mut valid = Vec::new();
        let mut items = value
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .peekable();
        if items.peek().is_none() {
            let fault = Fault::new("lists nothing", "at least one item");
            self.reject(name, &value, fault);
        }
        for item in items {
            match parse(item) {
                Ok(item) if valid.contains(&item) => {}
                Ok(item) => valid.push(item),
                Err(fault) => self.reject(name, &show(item), fault),
            }
        }
        valid
    }

    /// The valid backends, in order of their names.
    pub(crate) fn backends(&mut self) -> Vec<Backend> {
        let mut valid = Vec::new();
        let backends = core::mem::take(&mut self.backends);
        for (name, value) in &backends {
            let parsed = backend::parse(name, value)
                .and_then(|backend| distinct(backend, &valid).map_err(|fault| vec![fault]));
            match parsed {
                Ok(backend) => valid.push(backend),
                Err(faults) => {
                    let variable = format!("{BACKEND_PREFIX}{name}");
                    let value = host::redacted(value);
                    for fault in faults {
                        self.reject(&variable, &value, fault);
                    }
                }
            }
        }
        if backends.is_empty() {
            self.note(ConfigError::of_name(
                "BACKEND_<NAME>",
                Fault::new(
                    "none is set",
                    "at least one, such as `BACKEND_CF=a.example.com`",
                ),
            ));
        }
        valid
    }

    /// Every error met, ordered by variable.
    pub(crate) fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }
}

/// A retry goes to another backend: one by two names would not be another.
fn distinct(backend: Backend, others: &[Backend]) -> Result<Backend, Fault> {
    match others.iter().find(|other| other.origin == backend.origin) {
        Some(other) => Err(Fault::new(
            format!("is the same origin as `{BACKEND_PREFIX}{}`", other.name),
            "each backend once, with `weight=N` for a larger share",
        )),
        None => Ok(backend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(
            variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned())),
        )
    }

    fn item(text: &str) -> Result<String, Fault> {
        match text {
            "bad" => Err(Fault::new("is bad", "good")),
            _ => Ok(text.to_owned()),
        }
    }

    #[test]
    fn blank_values_are_unset_and_the_last_of_a_name_counts() {
        for (variables, expected) in [
            (&[("MAX_RETRIES", " 2\t")][..], Some(2)),
            (&[("MAX_RETRIES", "")], None),
            (&[("MAX_RETRIES", " \n")], None),
            (&[("MAX_RETRIES", "2"), ("MAX_RETRIES", "4")], Some(4)),
            (&[("MAX_RETRIES", "2"), ("MAX_RETRIES", "")], None),
            (&[("BACKENDS_A", ""), ("backend_b", " ")], None),
        ] {
            let mut environment = environment(variables);
            let number = environment.number(crate::variable::MAX_RETRIES);
            assert_eq!(number, expected, "{variables:?}");
            assert_eq!(environment.into_errors(), [], "{variables:?}");
        }
    }

    #[test]
    fn a_list_keeps_what_is_valid_and_tells_the_rest() {
        for (value, items, errors) in [
            ("a", &["a"][..], &[][..]),
            (" a ,, b,a,", &["a", "b"], &[]),
            (
                "bad,a,bad",
                &["a"],
                &[
                    "PRIMARY_DOMAIN: `<bad>` is bad; expected good",
                    "PRIMARY_DOMAIN: `<bad>` is bad; expected good",
                ],
            ),
            (
                ", ,",
                &[],
                &["PRIMARY_DOMAIN: `, ,` lists nothing; expected at least one item"],
            ),
        ] {
            let mut environment = environment(&[("PRIMARY_DOMAIN", value)]);
            let actual = environment.list("PRIMARY_DOMAIN", item, |item| format!("<{item}>"));
            assert_eq!(actual, items, "{value}");
            let actual = environment.into_errors();
            let actual: Vec<_> = actual.iter().map(ToString::to_string).collect();
            assert_eq!(actual, errors, "{value}");
        }
    }
}
