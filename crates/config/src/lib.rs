//! Environment variables to a valid policy, every error at once.
//!
//! Pure: the variables are an argument, and no input makes it panic. What each
//! variable means is in `docs/configuration.md`; a test keeps the two in step.
//!
//! ```
//! let config = edgelb_config::from_env([
//!     ("BACKEND_CF".to_owned(), "a.example.com;weight=3".to_owned()),
//!     ("BACKEND_KOYEB".to_owned(), "http://b.example.com:3000".to_owned()),
//! ])?;
//! assert_eq!(config.policy.backends.len(), 2);
//!
//! let errors = edgelb_config::from_env([
//!     ("BACKEND_CF".to_owned(), "ftp://x".to_owned()),
//! ]).expect_err("the scheme is not one of ours");
//! assert_eq!(
//!     errors[0].to_string(),
//!     "BACKEND_CF: `ftp://x` has scheme `ftp`; expected http or https",
//! );
//! # Ok::<(), Vec<edgelb_config::ConfigError>>(())
//! ```

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod address;
mod backend;
mod environment;
mod error;
mod host;
mod name;
mod policy;
mod scalar;
mod settings;
mod spelling;
mod variable;

use alloc::string::String;
use alloc::vec::Vec;

use edgelb_balancer::Policy;

pub use error::ConfigError;
pub use settings::Setting;

/// The policy that the variables describe, and what they amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The policy.
    pub policy: Policy,
    /// Every setting: the backends in order of their names, then the rest in
    /// the order of `docs/configuration.md`.
    pub settings: Vec<Setting>,
}

/// Reads the variables. Those that are not ours are ignored, and so is white
/// space around a value; a value of nothing else counts as unset. Of a name
/// given twice the last value counts.
///
/// # Errors
/// Every fault there is, ordered by the name of the variable.
pub fn from_env<I>(variables: I) -> Result<Config, Vec<ConfigError>>
where
    I: IntoIterator<Item = (String, String)>,
{
    let policy = policy::read(variables)?;
    let settings = settings::of(&policy);
    Ok(Config { policy, settings })
}
