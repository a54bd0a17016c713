//! What is simulated, as plain data: who asks, where, of whom, and what goes wrong.

mod bound;
mod check;
mod defaults;
mod expect;
mod fault;
mod file;
mod size;
mod values;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bound::{Bound, Unit};
pub(crate) use check::DEFAULT_LOCATION;
pub use expect::{Expectation, Measure};
pub use fault::{Fault, FaultKind};
pub use file::ScenarioError;
pub use values::{Latency, Share};

pub(crate) use size::optional as optional_size;
pub(crate) use values::optional;

use super::limits::{Limits, spelled};
use defaults::{
    a_minute, get, host, hundred, is_a_minute, is_default, is_get, is_host, is_no_latency, is_root,
    is_single, is_yes, minute, no_latency, no_share, one, root, single, some_bytes, ten_millis,
    variables, yes,
};
use values::length;

/// A world for a component, and what is expected of it there.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// What it shows, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// How long clients make requests, in virtual time; those under way then
    /// are waited for. Default 1 minute.
    #[serde(default = "minute", with = "length")]
    pub duration: Duration,
    /// Where all chance comes from. Default 1.
    #[serde(default = "one")]
    pub seed: u64,
    /// The host that clients ask for. Default `edge.test`.
    #[serde(default = "host", skip_serializing_if = "is_host")]
    pub host: String,
    /// What the platform grants. Default: no limit.
    #[serde(default, with = "spelled", skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Whether what backends receive is kept, heads and bodies, to be asserted
    /// on; it takes memory. Default false in files, true by the builder.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_requests: bool,
    /// The variables the component sees. For each backend that none names,
    /// `BACKEND_<NAME>` is added.
    #[serde(
        default,
        deserialize_with = "variables",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub environment: BTreeMap<String, String>,
    /// Where the component runs. Default: one location, `edge`, of one isolate.
    #[serde(default, rename = "location", skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Who answers.
    #[serde(default, rename = "backend", skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// What is particular to a way between a location and a backend.
    #[serde(default, rename = "link", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Clients>,
    /// What goes wrong.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What must come of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: Expectation,
}

/// A place where the component runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Location {
    /// What it is called.
    pub name: String,
    /// How many instances serve here at a time; each request goes to any. Default 1.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub isolates: NonZeroUsize,
    /// Whether they share what they learn of the backends, as the threads of
    /// one process do, or know only of their own, as at Cloudflare. Default false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shared_health: bool,
    /// How long a request and its response are on the way to a backend and
    /// back. Default none.
    #[serde(default = "no_latency", skip_serializing_if = "is_no_latency")]
    pub latency: Latency,
    /// How long the first request of an isolate waits for it to start. Default none.
    #[serde(default = "no_latency", skip_serializing_if = "is_no_latency")]
    pub cold_start: Latency,
    /// How long an isolate may be without a request before it is evicted.
    /// Default: it stays.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub evict_after: Option<Duration>,
    /// How old an isolate grows before another takes its place. Default: no end.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Duration>,
}

/// A model of a service: how it answers while nothing else is wrong with it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Backend {
    /// What it is called: as in `BACKEND_<NAME>`.
    pub name: String,
    /// The `host` or `host:port` it is reached at. Default: what the
    /// component's variable says, else `<name>.test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// How long it works on a request. Default 10 ms.
    #[serde(default = "ten_millis")]
    pub latency: Latency,
    /// How many requests it works on at a time; others wait. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<NonZeroUsize>,
    /// How many requests may wait for a worker; those beyond are answered 503
    /// at once. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<usize>,
    /// How many of its answers are 500s. Default none.
    #[serde(default = "no_share", skip_serializing_if = "Share::is_none")]
    pub error_rate: Share,
    /// How many requests a second it takes; those beyond are answered 429.
    /// Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<f64>,
    /// How long after it comes up it is slow: five times at first, less and
    /// less so. Default: not at all.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<Duration>,
    /// How many bytes its answers have. Default 64.
    #[serde(default = "some_bytes", deserialize_with = "size::deserialize")]
    pub body: usize,
    /// How long those take to come, in ten pieces. Default: all come at once.
    #[serde(default = "no_latency", skip_serializing_if = "is_no_latency")]
    pub transfer: Latency,
}

/// The way between a location and a backend, where it is not like the others.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// From here.
    pub location: String,
    /// To there.
    pub backend: String,
    /// There and back, instead of the location's own.
    pub latency: Latency,
}

/// People, or programs, who ask alike.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Clients {
    /// What they are called.
    pub name: String,
    /// How many they are. Default 100.
    #[serde(default = "hundred")]
    pub count: NonZeroU32,
    /// How many addresses they share. Default: one each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<NonZeroU32>,
    /// How many requests a second they make together, come what may. Either
    /// this or `think`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// How those requests follow one another. Default at random.
    #[serde(default, skip_serializing_if = "is_default")]
    pub arrivals: Arrivals,
    /// How far the rate swings to either side of its mean over a day, as a
    /// share of it. Default not at all.
    #[serde(default = "no_share", skip_serializing_if = "Share::is_none")]
    pub daily_swing: Share,
    /// How long each of them thinks between an answer and the next request.
    /// Either this or `rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think: Option<Latency>,
    /// When they begin. Default at once.
    #[serde(default, with = "length", skip_serializing_if = "Duration::is_zero")]
    pub at: Duration,
    /// How long they go on. Default to the end.
    #[serde(
        default,
        rename = "for",
        with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub lasting: Option<Duration>,
    /// The location they reach. Default: each of them one by chance, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Whether they send back the cookies they are given. Default true.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub cookies: bool,
    /// What they ask for; `{client}` stands for a client's own number. Default `/`.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub path: String,
    /// Their methods, and how often each relative to the others. Default GET alone.
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub methods: BTreeMap<String, u32>,
    /// How many bytes they send, by methods other than GET, HEAD, OPTIONS and
    /// DELETE. Default none.
    #[serde(
        default,
        deserialize_with = "size::deserialize",
        skip_serializing_if = "is_default"
    )]
    pub body: usize,
    /// How long they wait for an answer before they go away. Default: for ever.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub patience: Option<Duration>,
    /// How many of their GETs ask for a WebSocket. Default none.
    #[serde(default = "no_share", skip_serializing_if = "Share::is_none")]
    pub websocket: Share,
    /// How long they keep one. Default 1 minute.
    #[serde(default = "a_minute", skip_serializing_if = "is_a_minute")]
    pub hold: Latency,
}

/// How requests made at a rate follow one another.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Independently (a Poisson process).
    #[default]
    Poisson,
    /// At even intervals.
    Constant,
}

impl Scenario {
    /// A minute of nothing, at one location.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            about: String::new(),
            duration: minute(),
            seed: one(),
            host: host(),
            limits: Limits::default(),
            keep_requests: false,
            environment: BTreeMap::new(),
            locations: Vec::new(),
            backends: Vec::new(),
            links: Vec::new(),
            clients: Vec::new(),
            faults: Vec::new(),
            expect: Expectation::default(),
        }
    }
}

impl Location {
    /// One isolate, next to everything.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            isolates: single(),
            shared_health: false,
            latency: Latency::ZERO,
            cold_start: Latency::ZERO,
            evict_after: None,
            lifetime: None,
        }
    }
}

impl Backend {
    /// Answers in 10 ms with 64 bytes, whoever asks.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            authority: None,
            latency: ten_millis(),
            workers: None,
            queue: None,
            error_rate: Share::NONE,
            rate_limit: None,
            warm_up: None,
            body: some_bytes(),
            transfer: Latency::ZERO,
        }
    }
}

impl Clients {
    /// A hundred who together make so many GETs a second.
    pub fn at_rate(name: impl Into<String>, rate: f64) -> Self {
        Self {
            rate: Some(rate),
            ..Self::new(name.into())
        }
    }

    /// A hundred of whom each thinks so long between an answer and the next request.
    pub fn thinking(name: impl Into<String>, think: Latency) -> Self {
        Self {
            think: Some(think),
            ..Self::new(name.into())
        }
    }

    fn new(name: String) -> Self {
        Self {
            name,
            count: hundred(),
            addresses: None,
            rate: None,
            arrivals: Arrivals::default(),
            daily_swing: Share::NONE,
            think: None,
            at: Duration::ZERO,
            lasting: None,
            location: None,
            cookies: true,
            path: root(),
            methods: get(),
            body: 0,
            patience: None,
            websocket: Share::NONE,
            hold: a_minute(),
        }
    }
}
