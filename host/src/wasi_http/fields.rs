//! Which fields the guest sees and sends.

use std::sync::{Arc, LazyLock};

use http::header::{HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use wasmtime_wasi_http::ForbiddenHeaderFilter;

/// The request field in which the guest finds the client's address, without a
/// port. What a client sends by this name is removed.
pub(super) const PEER_FIELD: HeaderName = HeaderName::from_static("edgelb-peer");

/// The environment variable that tells the guest of [`PEER_FIELD`].
pub(super) const PEER_VARIABLE: &str = "EDGELB_PEER_FIELD";

/// The default of WASI hosts, less `connection` and `upgrade`.
static HIDDEN: [HeaderName; 7] = [
    HOST,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
];

/// Whether a field is the host's own affair: hidden from the guest, and not
/// for it to send.
pub(super) fn is_hidden(name: &HeaderName) -> bool {
    HIDDEN.contains(name)
}

/// [`is_hidden`], as `wasi:http` wants it, without an allocation each time.
pub(super) fn filter() -> ForbiddenHeaderFilter {
    static FILTER: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_hidden));
    Arc::clone(&FILTER)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

    use super::*;

    #[test]
    fn hidden_is_what_wasi_forbids_but_for_upgrades() {
        let names = |fields: &[HeaderName]| {
            let names = fields.iter().map(|name| name.as_str().to_owned());
            names.collect::<BTreeSet<_>>()
        };
        let mut expected = names(&DEFAULT_FORBIDDEN_HEADERS);
        expected.remove("connection");
        expected.remove("upgrade");
        assert_eq!(names(&HIDDEN), expected);
    }
}
