//! What platforms grant a request and an isolate.

use serde::{Deserialize, Serialize};

/// A platform, as far as its limits go.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// No limit at all.
    #[default]
    None,
    /// Cloudflare Workers, free plan.
    CloudflareFree,
    /// Cloudflare Workers, paid plan.
    CloudflarePaid,
    /// Spin.
    Spin,
}

/// Limits; none where there is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Attempts of one request.
    pub(crate) subrequests: Option<usize>,
}

impl Preset {
    pub(crate) fn limits(self) -> Limits {
        match self {
            Self::None | Self::Spin => Limits::default(),
            Self::CloudflareFree => Limits {
                subrequests: Some(50),
            },
            Self::CloudflarePaid => Limits {
                subrequests: Some(10_000),
            },
        }
    }
}
