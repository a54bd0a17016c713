//! Requests out of a recording, with something in the place of what is hidden.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::header::{
    CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY,
    TRANSFER_ENCODING,
};
use http::{Method, Request, Uri};

use super::Recording;
use super::filler::Filler;
use crate::body::Body;
use crate::edge::Peer;
use crate::recording::{Exchange, Field, Header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What clients are told apart by, where the balancer hashes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Ip,
    Path(usize),
    Header(String),
    Cookie(String),
    None,
}

/// Makes requests as they were recorded.
#[derive(Debug)]
pub(super) struct Composer {
    /// Numbers of clients, by the hashes of their addresses.
    clients: BTreeMap<String, u32>,
    pub(super) affinity: Affinity,
    /// Where the platform says who the client is.
    client_ip_header: Option<HeaderName>,
    /// An address that is believed.
    proxy: Option<IpAddr>,
}

impl Affinity {
    fn of(header: &Header) -> Self {
        let setting = header.setting("AFFINITY_KEY");
        match setting.split_once(':') {
            Some(("path", segments)) => Self::Path(segments.parse().unwrap_or(1)),
            Some(("header", name)) => Self::Header(name.to_ascii_lowercase()),
            Some(("cookie", name)) => Self::Cookie(name.to_owned()),
            _ if setting == "none" => Self::None,
            _ => Self::Ip,
        }
    }
}

impl Composer {
    /// For a component whose settings are those of this header.
    pub(super) fn new(recording: &Recording, header: &Header) -> Self {
        let mut clients = BTreeMap::new();
        for exchange in &recording.exchanges {
            let next = u32::try_from(clients.len()).unwrap_or(u32::MAX);
            clients.entry(exchange.client.clone()).or_insert(next);
        }
        let proxies = header.setting("TRUSTED_PROXIES").split(',').next();
        let proxy = proxies.and_then(|it| it.split('/').next()?.trim().parse().ok());
        Self {
            clients,
            affinity: Affinity::of(header),
            client_ip_header: header.setting("CLIENT_IP_HEADER").parse().ok(),
            proxy,
        }
    }

    /// The number of a request's client.
    pub(super) fn client(&self, exchange: &Exchange) -> u32 {
        self.clients.get(&exchange.client).copied().unwrap_or(0)
    }

    /// What the balancer tells this request's client apart by, with equal
    /// hashes for equal values; none where it does by nothing, or by what was
    /// not hidden and is as it was.
    pub(super) fn key(&self, exchange: &Exchange) -> Option<String> {
        match &self.affinity {
            Affinity::Ip => Some(exchange.client.clone()),
            Affinity::Path(segments) => {
                let target = target(exchange, 0);
                let path = target.split('?').next().unwrap_or_default();
                let key: Vec<_> = path.split('/').take(segments + 1).collect();
                Some(key.join("/"))
            }
            Affinity::Header(name) => {
                let mut fields = exchange.fields.iter();
                fields.find_map(|field| match field {
                    Field::Hashed { name: it, hash } if it == name => Some(hash.clone()),
                    Field::Hashed { .. } | Field::Shown { .. } => None,
                })
            }
            Affinity::Cookie(name) => exchange.cookies.get(name).cloned(),
            Affinity::None => None,
        }
    }

    /// The request. By `variant`, it has another value in the place of a hidden
    /// one that the balancer looks at.
    pub(super) fn request(
        &self,
        exchange: &Exchange,
        variant: u32,
        session: Option<&str>,
    ) -> Request<Body> {
        let of = |affinity: bool| if affinity { variant } else { 0 };
        let method = exchange.method.parse().unwrap_or(Method::GET);
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        let target = target(exchange, of(matches!(self.affinity, Affinity::Path(_))));
        *request.uri_mut() = Uri::try_from(target).unwrap_or_default();
        let fields = request.headers_mut();
        if let Some(host) = exchange.host.as_deref().and_then(value) {
            fields.insert(HOST, host);
        }
        for field in &exchange.fields {
            let (name, text) = match field {
                Field::Shown { name, value } => (name, value.clone()),
                Field::Hashed { name, hash } => {
                    let affine = matches!(&self.affinity, Affinity::Header(it) if it == name);
                    (name, token(hash, of(affine)))
                }
            };
            let Ok(name) = HeaderName::try_from(name) else {
                continue;
            };
            if self.is_own(&name) {
                continue;
            }
            let nonce = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
            let text = match name {
                // A nonce must be one (RFC 6455 section 4.1).
                SEC_WEBSOCKET_KEY => Some(nonce),
                _ => value(&text),
            };
            if let Some(text) = text {
                fields.append(name, text);
            }
        }
        let cookies = exchange.cookies.iter().map(|(name, hash)| {
            let affine = matches!(&self.affinity, Affinity::Cookie(it) if it == name);
            format!("{name}={}", token(hash, of(affine)))
        });
        let cookies: Vec<_> = cookies.chain(session.map(str::to_owned)).collect();
        if !cookies.is_empty()
            && let Some(cookies) = value(&cookies.join("; "))
        {
            fields.insert(COOKIE, cookies);
        }
        let address = self.address(exchange, of(self.affinity == Affinity::Ip));
        self.introduce(&mut request, exchange, address);
        body(&mut request, exchange);
        request
    }

    /// Fields that say who the client is, or belong to a connection.
    fn is_own(&self, name: &HeaderName) -> bool {
        [
            FORWARDED,
            X_FORWARDED_FOR,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            EXPECT,
            super::super::world::REQUEST_ID,
        ]
        .contains(name)
            || self.client_ip_header.as_ref() == Some(name)
    }

    /// In 240.0.0.0/4, which is nobody's
    /// (<https://www.rfc-editor.org/rfc/rfc1112#section-4>), so that nobody's
    /// trusted proxies are there.
    fn address(&self, exchange: &Exchange, variant: u32) -> IpAddr {
        let count = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        let number = variant.wrapping_mul(count);
        let number = number.wrapping_add(self.client(exchange));
        IpAddr::V4(Ipv4Addr::from(0xF000_0000 | number & 0x0FFF_FFFF))
    }

    /// Says who the client is, as it was said.
    fn introduce(&self, request: &mut Request<Body>, exchange: &Exchange, address: IpAddr) {
        let mut peer = address;
        if let Some(text) = value(&address.to_string()).filter(|_| exchange.proxied) {
            let name = self.client_ip_header.clone();
            let name = name.or(self.proxy.map(|_| X_FORWARDED_FOR));
            if let Some(name) = name {
                request.headers_mut().insert(name, text);
            }
            peer = self.proxy.unwrap_or(peer);
        }
        request.extensions_mut().insert(Peer(peer));
    }
}

/// As many bytes as there were, or were announced.
fn body(request: &mut Request<Body>, exchange: &Exchange) {
    let announced = exchange.fields.iter().find_map(|field| match field {
        Field::Shown { name, value } if name == CONTENT_LENGTH.as_str() => {
            value.parse::<u64>().ok()
        }
        Field::Shown { .. } | Field::Hashed { .. } => None,
    });
    let length = exchange.body.bytes.max(announced.unwrap_or(0));
    let length = length.min(Filler::LONGEST);
    if announced.is_some() {
        let fields = request.headers_mut();
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if length > 0 {
        *request.body_mut() = Body::new(Filler::new(length, Duration::ZERO, false));
    }
}

/// The target, with hashes in the place of what is hidden.
fn target(exchange: &Exchange, variant: u32) -> String {
    if exchange.hidden.is_empty() {
        return exchange.target.clone();
    }
    let mut target = String::new();
    let mut hidden = exchange.hidden.iter();
    for (index, shown) in exchange.target.split('*').enumerate() {
        if index > 0 {
            match hidden.next() {
                Some(hash) => target.push_str(&token(hash, variant)),
                None => target.push('*'),
            }
        }
        target.push_str(shown);
    }
    target
}

fn token(hash: &str, variant: u32) -> String {
    match variant {
        0 => hash.to_owned(),
        variant => format!("{hash}.{variant}"),
    }
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
