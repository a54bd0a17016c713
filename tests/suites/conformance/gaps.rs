//! What platforms cannot do.

use crate::runtime::Runtime;
use crate::scenarios::{self, Scenario};

/// Scenarios that runtimes cannot pass, and why.
pub(crate) struct Gap {
    pub(crate) runtimes: &'static [&'static str],
    /// Each with what is seen instead: a part of what the assertion says that fails.
    pub(crate) scenarios: &'static [(&'static str, &'static str)],
    pub(crate) reason: &'static str,
}

/// A gap, as it shows in one scenario.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// Its place in [`ALL`].
    pub(crate) number: usize,
    /// See [`Gap::scenarios`].
    pub(crate) seen: &'static str,
}

/// What is seen of a request to a backend that goes on without its client.
const KEPT: &str = "it is kept, by a balancer whose health is 200";

/// What is seen where a tunnel is to open.
const NO_TUNNEL: &str = "501 Not Implemented in place of a tunnel";

/// All that is known.
pub(crate) const ALL: &[Gap] = &[
    Gap {
        runtimes: &["wasmtime"],
        scenarios: &[
            ("malformed_hosts_are_bad_requests", "left: 200\n right: 400"),
            ("two_hosts_are_a_bad_request", "left: 200\n right: 400"),
            (
                "foreign_hosts_are_misdirected",
                "one.test\n  left: 421\n right: 200",
            ),
            ("plain_http_is_sent_to_https", "left: 421\n right: 301"),
            (
                "what_is_wrong_first_is_said",
                "a malformed host before its path\n  left: 200\n right: 400",
            ),
            (
                "the_host_asked_for_is_told",
                "left: None\n right: Some(\"service.test\")",
            ),
        ],
        reason: "the runtime tells a component neither `Host` nor the authority of a request in origin \
                 form: `PRIMARY_DOMAIN` is for what stands before it",
    },
    Gap {
        runtimes: &["wash"],
        scenarios: &[("two_hosts_are_a_bad_request", "left: 200\n right: 400")],
        reason: "the runtime tells a component the first `Host` and hides that there are more",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            (
                "clients_are_known_by_their_addresses",
                "left: None\n right: Some(\"127.0.0.1\")",
            ),
            (
                "a_trusted_proxy_is_believed_and_continued",
                "left: None\n right:",
            ),
            (
                "a_client_goes_where_its_address_went",
                "all backends are used",
            ),
        ],
        reason: "the runtime does not tell who a client is: `CLIENT_IP_HEADER` names the field of a \
                 proxy before it, or `AFFINITY_KEY` another key",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[(
            "a_trusted_proxy_is_believed_and_continued",
            "left: Some(\"198.51.100.3\")\n right:",
        )],
        reason: "Cloudflare tells who the client is, and not whose connection it is, so there is no \
                 peer to trust",
    },
    Gap {
        runtimes: &["workerd", "wasmtime"],
        scenarios: &[("a_server_wide_options_passes", "left: 502\n right: 200")],
        reason: "the runtime's requests have a path, which begins with `/`",
    },
    Gap {
        runtimes: &["host-wasi-http", "wasmtime", "wash"],
        scenarios: &[(
            "a_body_nobody_read_is_sent_again_whatever_its_length",
            "left: 503\n right: 200",
        )],
        reason: "`wasi:http` cannot take back a body that was handed to an attempt: beyond \
                 `REPLAY_LIMIT` there is no other",
    },
    Gap {
        runtimes: &["workerd", "wasmtime", "wash"],
        scenarios: &[("early_hints_are_relayed", "left: 0\n right: 1")],
        reason: "neither `wasi:http` nor `fetch` shows interim responses",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            ("fields_that_connection_names_go", "`x-hop` goes"),
            ("response_fields_that_connection_names_go", "`x-hop` goes"),
        ],
        reason: "the runtime hides `Connection` from a component, and with it what it names",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[(
            "a_body_that_breaks_off_counts_against_its_backend",
            "it is ejected in place of asked again",
        )],
        reason: "the runtime does not tell a component that a body which it hands through broke off",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            (
                "a_connection_that_is_reset_is_called_terminated",
                "left: \"edgelb; error=http_protocol_error\"",
            ),
            (
                "a_connection_that_is_closed_is_called_terminated",
                "left: \"edgelb; error=http_protocol_error\"",
            ),
        ],
        reason: "the runtime calls a connection that ends before the response a protocol error",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            ("messages_of_a_mebibyte_pass_both_ways", NO_TUNNEL),
            ("close_codes_pass_both_ways", NO_TUNNEL),
            ("a_failed_handshake_goes_to_another_backend", NO_TUNNEL),
            ("a_refused_handshake_is_forwarded", "left: 501\n right: 403"),
            ("a_client_that_leaves_ends_the_tunnel", NO_TUNNEL),
        ],
        reason: "`wasi:http` has no upgrades: a handshake is answered with 501",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            (
                "a_client_that_leaves_before_the_response_cancels_the_request",
                KEPT,
            ),
            ("a_client_that_closes_has_left", KEPT),
        ],
        reason: "the runtime lets a component wait for a response nobody is there to take, until \
                 `FIRST_BYTE_TIMEOUT`",
    },
    Gap {
        runtimes: &["wash"],
        scenarios: &[(
            "a_client_that_leaves_within_the_response_cancels_the_rest",
            KEPT,
        )],
        reason: "the runtime notices that nobody takes a response when more of it comes, or at \
                 `IDLE_TIMEOUT`",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[("a_client_that_closes_has_left", KEPT)],
        reason: "it takes a close for a half-close, and cancels on a reset",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[("connect_is_not_implemented", "left: 500\n right: 501")],
        reason: "it answers CONNECT by itself, with 500",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[
            (
                "whatever_reached_nobody_is_sent_again",
                "POST\n  left: 502\n right: 200",
            ),
            (
                "a_body_nobody_read_is_sent_again_whatever_its_length",
                "left: 502\n right: 200",
            ),
            (
                "nobody_available_is_said_with_a_time",
                "left: 502\n right: 503",
            ),
            (
                "what_is_no_http_is_called_a_protocol_error",
                "left: \"edgelb; error=connection_terminated\"",
            ),
        ],
        reason: "`fetch` tells that it failed, and not how: a request may always have been sent",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[(
            "a_backend_that_lets_nobody_in_costs_the_connect_timeout",
            "left: 504\n right: 503",
        )],
        reason: "`fetch` does not tell when it has connected: the sum of both timeouts is one, until \
                 the response",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[(
            "a_get_with_content_is_sent_again_with_it",
            "left: []\n right: [98, 111, 100, 121]",
        )],
        reason: "`fetch` sends no content with GET",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[
            ("dot_segments_pass", "left: \"/b/c\"\n right:"),
            ("quotes_pass", "left: \"/'a'?q=%27x%27\"\n right:"),
        ],
        reason: "`fetch` takes URLs as browsers do: dot segments are resolved, \
                 and `'` is escaped in a query",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[(
            "repeated_response_fields_stay_repeated",
            "left: [\"<a>; rel=preload, <b>; rel=preload\"]",
        )],
        reason: "`Headers` joins fields of one name with commas, which means the same; `Set-Cookie` \
                 stays apart",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[
            ("response_trailers_pass", "left: None\n right: Some(\"2\")"),
            ("request_trailers_pass", "left: None\n right: Some(\"1\")"),
        ],
        reason: "`fetch` has no trailers",
    },
];

/// The gap that keeps the runtime from passing the scenario.
pub(crate) fn of(runtime: &Runtime, scenario: &Scenario) -> Option<Shown> {
    ALL.iter().enumerate().find_map(|(number, gap)| {
        let is_here = gap.runtimes.contains(&runtime.name);
        let mut scenarios = gap.scenarios.iter().filter(|_| is_here);
        let &(_, seen) = scenarios.find(|(name, _)| *name == scenario.name)?;
        Some(Shown { number, seen })
    })
}

/// Every gap is of what there is, and shows as something.
///
/// # Panics
/// One is not, or does not.
pub(crate) fn check() {
    for gap in ALL {
        for name in gap.runtimes {
            assert!(
                Runtime::named(name).is_some(),
                "gap of no runtime: `{name}`"
            );
        }
        for (name, seen) in gap.scenarios {
            let mut all = scenarios::all();
            assert!(
                all.any(|it| it.name == *name),
                "gap of no scenario: `{name}`"
            );
            assert!(!seen.is_empty(), "gap that shows as anything: `{name}`");
        }
    }
}
