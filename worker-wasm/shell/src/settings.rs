//! What the shell needs to know of the configuration.

use std::env;
use std::rc::Rc;

use wasip3::http::types::RequestOptions;

use crate::bindings::edgelb::balancer::exchange::{self, Backend, EffectiveConfiguration};
use crate::log;

/// The name of the request field that tells the peer; see the crate's docs.
const PEER_FIELD: &str = "EDGELB_PEER_FIELD";

/// The settings of an instance.
pub(crate) struct Settings {
    /// The backends, as attempts count them; none while the configuration is
    /// invalid, when no attempt is asked for.
    pub(crate) backends: Vec<Backend>,
    /// The timeouts, to clone for each attempt.
    pub(crate) timeouts: RequestOptions,
    /// Bytes of a body to keep for another attempt.
    pub(crate) replay_limit: u64,
    /// The field that tells the peer.
    pub(crate) peer_field: Option<String>,
}

impl Settings {
    /// Asks the policy, on the first call of the instance.
    pub(crate) fn shared() -> Rc<Self> {
        thread_local! {
            static SETTINGS: Rc<Settings> = Rc::new(Settings::new());
        }
        SETTINGS.with(Rc::clone)
    }

    fn new() -> Self {
        let timeouts = RequestOptions::new();
        let (backends, replay_limit) = match exchange::configuration() {
            Ok(configuration) => {
                set_timeouts(&timeouts, &configuration);
                (configuration.backends, configuration.replay_limit)
            }
            Err(errors) => {
                for error in &errors {
                    log::line(format_args!("invalid configuration: {error}"));
                }
                (Vec::new(), 0)
            }
        };
        Self {
            backends,
            timeouts,
            replay_limit,
            peer_field: env::var(PEER_FIELD).ok(),
        }
    }
}

/// A runtime that does not support one of them keeps its own.
fn set_timeouts(options: &RequestOptions, configuration: &EffectiveConfiguration) {
    let nanos = |millis: u64| Some(millis.saturating_mul(1_000_000));
    let _ = options.set_connect_timeout(nanos(configuration.connect_timeout));
    let _ = options.set_first_byte_timeout(nanos(configuration.first_byte_timeout));
    let _ = options.set_between_bytes_timeout(nanos(configuration.idle_timeout));
}
