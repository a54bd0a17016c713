//! What platforms cannot do.

use crate::runtime::Runtime;
use crate::scenarios::{self, Scenario};

/// Scenarios that runtimes cannot pass, and why.
pub(crate) struct Gap {
    pub(crate) runtimes: &'static [&'static str],
    pub(crate) scenarios: &'static [&'static str],
    pub(crate) reason: &'static str,
}

/// All that is known.
pub(crate) const ALL: &[Gap] = &[
    Gap {
        runtimes: &["wasmtime"],
        scenarios: &[
            "malformed_hosts_are_bad_requests",
            "two_hosts_are_a_bad_request",
            "foreign_hosts_are_misdirected",
            "plain_http_is_sent_to_https",
            "what_is_wrong_first_is_said",
            "the_host_asked_for_is_told",
        ],
        reason: "the runtime tells a component neither `Host` nor the authority of a request in origin \
                 form: `PRIMARY_DOMAIN` is for what stands before it",
    },
    Gap {
        runtimes: &["wash"],
        scenarios: &["two_hosts_are_a_bad_request"],
        reason: "the runtime tells a component the first `Host` and hides that there are more",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            "clients_are_known_by_their_addresses",
            "a_trusted_proxy_is_believed_and_continued",
            "a_client_goes_where_its_address_went",
        ],
        reason: "the runtime does not tell who a client is: `CLIENT_IP_HEADER` names the field of a \
                 proxy before it, or `AFFINITY_KEY` another key",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["a_trusted_proxy_is_believed_and_continued"],
        reason: "Cloudflare tells who the client is, and not whose connection it is, so there is no \
                 peer to trust",
    },
    Gap {
        runtimes: &["host-wasi-http", "workerd", "wasmtime"],
        scenarios: &["a_server_wide_options_passes"],
        reason: "the runtime's requests have a path, which begins with `/`",
    },
    Gap {
        runtimes: &["host-wasi-http", "wasmtime", "wash"],
        scenarios: &["a_body_nobody_read_is_sent_again_whatever_its_length"],
        reason: "`wasi:http` cannot take back a body that was handed to an attempt: beyond \
                 `REPLAY_LIMIT` there is no other",
    },
    Gap {
        runtimes: &["host-wasi-http", "workerd", "wasmtime", "wash"],
        scenarios: &["early_hints_are_relayed"],
        reason: "neither `wasi:http` nor `fetch` shows interim responses",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            "fields_that_connection_names_go",
            "response_fields_that_connection_names_go",
        ],
        reason: "the runtime hides `Connection` from a component, and with it what it names",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &["a_body_that_breaks_off_counts_against_its_backend"],
        reason: "the runtime does not tell a component that a body which it hands through broke off",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &["failures_have_their_registered_names"],
        reason: "the runtime calls a connection that ends before the response a protocol error",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            "messages_of_a_mebibyte_pass_both_ways",
            "close_codes_pass_both_ways",
            "a_failed_handshake_goes_to_another_backend",
            "a_refused_handshake_is_forwarded",
            "a_client_that_leaves_ends_the_tunnel",
        ],
        reason: "`wasi:http` has no upgrades: a handshake is answered with 501",
    },
    Gap {
        runtimes: &["wasmtime", "wash"],
        scenarios: &[
            "a_client_that_leaves_before_the_response_cancels_the_request",
            "a_client_that_closes_has_left",
        ],
        reason: "the runtime lets a component wait for a response nobody is there to take, until \
                 `FIRST_BYTE_TIMEOUT`",
    },
    Gap {
        runtimes: &["wash"],
        scenarios: &["a_client_that_leaves_within_the_response_cancels_the_rest"],
        reason: "the runtime notices that nobody takes a response when more of it comes, or at \
                 `IDLE_TIMEOUT`",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["a_client_that_closes_has_left"],
        reason: "it takes a close for a half-close, and cancels on a reset",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["connect_is_not_implemented"],
        reason: "it answers CONNECT by itself, with 500",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &[
            "what_reached_nobody_is_sent_again",
            "a_body_nobody_read_is_sent_again_whatever_its_length",
            "nobody_available_is_said_with_a_time",
            "failures_have_their_registered_names",
        ],
        reason: "`fetch` tells that it failed, and not how: a request may always have been sent",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["a_backend_that_lets_nobody_in_costs_the_connect_timeout"],
        reason: "`fetch` does not tell when it has connected: the sum of both timeouts is one, until \
                 the response",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["a_get_with_content_is_sent_again_with_it"],
        reason: "`fetch` sends no content with GET",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["even_odd_targets_pass_byte_for_byte"],
        reason: "`fetch` takes URLs as browsers do: dot segments are resolved, an empty query is lost, \
                 `'` is escaped",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["repeated_response_fields_stay_repeated"],
        reason: "`Headers` joins fields of one name with commas, which means the same; `Set-Cookie` \
                 stays apart",
    },
    Gap {
        runtimes: &["workerd"],
        scenarios: &["response_trailers_pass", "request_trailers_pass"],
        reason: "`fetch` has no trailers",
    },
];

/// The gap that keeps the runtime from passing the scenario, by its number.
pub(crate) fn of(runtime: &Runtime, scenario: &Scenario) -> Option<usize> {
    ALL.iter().position(|gap| {
        gap.runtimes.contains(&runtime.name) && gap.scenarios.contains(&scenario.name)
    })
}

/// Every gap is of what there is.
///
/// # Panics
/// One is not.
pub(crate) fn check() {
    for gap in ALL {
        for name in gap.runtimes {
            assert!(
                Runtime::named(name).is_some(),
                "gap of no runtime: `{name}`"
            );
        }
        for name in gap.scenarios {
            let mut all = scenarios::all();
            assert!(
                all.any(|it| it.name == *name),
                "gap of no scenario: `{name}`"
            );
        }
    }
}
