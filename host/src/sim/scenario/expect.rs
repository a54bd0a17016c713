//! What must come of a run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bound::{Bound, Unit, count, share, shares, time};

/// Each measure: its field, its name as a value, its unit, and who spells that.
macro_rules! measures {
    ($($(#[doc = $doc:literal])* $field:ident $measure:ident: $unit:ident $spelled:tt,)*) => {
        /// Bounds of what a run comes to, as in `availability = ">= 99.9 %"`.
        ///
        /// What it comes to is in [`Summary::measure`](crate::sim::Summary::measure).
        #[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct Expectation {
            $(
                $(#[doc = $doc])*
                #[serde(default, with = $spelled, skip_serializing_if = "Option::is_none")]
                pub $field: Option<Bound>,
            )*
            /// The share of answers that came from this backend.
            #[serde(default, with = "shares", skip_serializing_if = "BTreeMap::is_empty")]
            pub share: BTreeMap<String, Bound>,
        }

        /// What is measured of a run.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Measure {
            $($(#[doc = $doc])* $measure,)*
            /// The share of answers that came from this backend.
            Share(String),
        }

        impl Expectation {
            /// All of them.
            pub fn bounds(&self) -> Vec<(Measure, Bound)> {
                let plain = [$((Measure::$measure, self.$field)),*];
                let plain = plain.into_iter().filter_map(|(it, bound)| Some((it, bound?)));
                let shares = self.share.iter();
                plain
                    .chain(shares.map(|(name, bound)| (Measure::Share(name.clone()), *bound)))
                    .collect()
            }
        }

        impl Measure {
            /// What its number is.
            pub fn unit(&self) -> Unit {
                match self {
                    $(Self::$measure => Unit::$unit,)*
                    Self::Share(_) => Unit::Share,
                }
            }
        }

        impl fmt::Display for Measure {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$measure => formatter.write_str(stringify!($field)),)*
                    Self::Share(backend) => write!(formatter, "share.{backend}"),
                }
            }
        }
    };
}

measures! {
    /// The share of requests, of those whose client waited, that were answered
    /// whole and with less than 500.
    availability Availability: Share "share",
    /// How many requests were made.
    requests Requests: Count "count",
    /// How many requests failed: with 500 or more, or in the middle.
    failures Failures: Count "count",
    /// How many attempts were made beyond the first of each request.
    retries Retries: Count "count",
    /// The median of how long answers took to begin, in milliseconds.
    p50 P50: Time "time",
    /// The 95th percentile of it.
    p95 P95: Time "time",
    /// The 99th percentile of it.
    p99 P99: Time "time",
    /// The longest of it.
    slowest Slowest: Time "time",
    /// The share of requests with a session that stayed with their backend.
    stickiness Stickiness: Share "share",
    /// The share of clients whom more than one backend answered.
    moved Moved: Share "share",
    /// How many times a backend was ejected, by any isolate.
    ejections Ejections: Count "count",
    /// The longest time from the beginning of a fault that makes a backend
    /// useless to its first ejection, in milliseconds.
    detect Detect: Time "time",
    /// The longest time from the end of such a fault to the first answer of
    /// the backend, in milliseconds.
    recover Recover: Time "time",
    /// How many times a limit was exceeded.
    exceeded Exceeded: Count "count",
    /// How many instances of the component were lost.
    lost Lost: Count "count",
}
