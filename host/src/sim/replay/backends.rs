//! Backends that answer as they did when they were recorded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};

use super::super::network::pass;
use super::super::trace::{End, Outcome};
use super::filler::Filler;
use super::{Recording, outcome};
use crate::body::Body;
use crate::recording::{Attempt, Field};
use crate::upstream::{Cause, Delivery, SendError};

/// What every backend answered when.
pub(crate) struct Outcomes {
    recording: Arc<Recording>,
    /// Of each backend of the scenario, in the order of time.
    of_backend: Vec<Vec<Place>>,
}

/// An attempt in the recording, and when it was made.
#[derive(Clone, Copy)]
struct Place {
    at: u64,
    exchange: usize,
    attempt: usize,
}

/// What comes of an attempt, as it was recorded.
#[derive(Clone)]
pub(crate) struct Played {
    outcome: Outcome,
    took: Duration,
    /// Of the response.
    fields: HeaderMap,
    /// Of its body.
    length: u64,
    transfer: Duration,
    broken: bool,
    /// Whether it came of the request itself, and not of another one.
    own: bool,
}

impl Outcomes {
    /// Of the backends of these names.
    pub(super) fn new<'a>(
        recording: Arc<Recording>,
        backends: impl Iterator<Item = &'a str>,
    ) -> Self {
        let of_backend = backends.map(|name| {
            let mut places = Vec::new();
            for (index, exchange) in recording.exchanges.iter().enumerate() {
                for (number, attempt) in exchange.attempts.iter().enumerate() {
                    // What the client did not wait for tells nothing to others.
                    if attempt.backend.as_deref() == Some(name)
                        && outcome(attempt) != Outcome::Cancelled
                    {
                        places.push(Place {
                            at: exchange.at + attempt.at,
                            exchange: index,
                            attempt: number,
                        });
                    }
                }
            }
            places.sort_by_key(|place| place.at);
            places
        });
        let of_backend = of_backend.collect();
        Self {
            recording,
            of_backend,
        }
    }

    /// What comes of sending a request to a backend now: what came of it when it
    /// was recorded; if it went elsewhere then, what came of the backend's attempt
    /// that was nearest in time. None for a backend that was never tried.
    ///
    /// `request` is the index in the recording, if it is of it.
    pub(crate) fn of(
        &self,
        request: Option<usize>,
        (backend, name): (usize, &str),
        now: u64,
    ) -> Option<Played> {
        let exchange = request.and_then(|it| Some((it, self.recording.exchanges.get(it)?)));
        if let Some((index, exchange)) = exchange {
            let mut attempts = exchange.attempts.iter();
            let same = attempts.position(|it| it.backend.as_deref() == Some(name));
            if let Some(number) = same {
                let played = self.played(index, number)?;
                return Some(Played {
                    own: true,
                    ..played
                });
            }
        }
        let places = self.of_backend.get(backend)?;
        let later = places.partition_point(|place| place.at < now);
        let earlier = later.checked_sub(1).and_then(|it| places.get(it));
        let nearest = match (earlier, places.get(later)) {
            (Some(earlier), Some(later)) if now - earlier.at <= later.at - now => earlier,
            (_, Some(later)) => later,
            (Some(earlier), None) => earlier,
            (None, None) => return None,
        };
        self.played(nearest.exchange, nearest.attempt)
    }

    fn played(&self, exchange: usize, number: usize) -> Option<Played> {
        let exchange = self.recording.exchanges.get(exchange)?;
        let attempt = exchange.attempts.get(number)?;
        let last = number + 1 == exchange.attempts.len() && attempt.status == exchange.status;
        let took = attempt.ended.unwrap_or(exchange.ended);
        let fields = fields(attempt);
        let mut played = Played {
            outcome: outcome(attempt),
            took: Duration::from_millis(took.saturating_sub(attempt.at)),
            length: announced(&fields).unwrap_or(0),
            fields,
            transfer: Duration::ZERO,
            broken: false,
            own: false,
        };
        if last && exchange.method != "HEAD" {
            let head = exchange.head.unwrap_or(exchange.ended);
            let bytes = exchange.response.bytes;
            played.transfer = Duration::from_millis(exchange.ended.saturating_sub(head));
            played.broken = exchange.end == End::Broken;
            if exchange.end == End::Left {
                // It went on for longer than the client stayed.
                played.length = played.length.max(bytes);
                played.transfer += Duration::from_secs(1);
            } else {
                played.length = bytes;
            }
        }
        Some(played)
    }
}

/// The fields of a response, with hashes in the place of what is hidden.
fn fields(attempt: &Attempt) -> HeaderMap {
    let fields = attempt.fields.iter().map(|field| match field {
        Field::Shown { name, value } => (HeaderName::try_from(name).ok(), value.clone()),
        Field::Hashed { name, hash } => (HeaderName::try_from(name).ok(), hash.clone()),
    });
    let cookies = attempt.set_cookies.iter();
    let cookies = cookies.map(|it| (Some(SET_COOKIE), format!("{}={}", it.name, it.hash)));
    let mut map = HeaderMap::new();
    for (name, text) in fields.chain(cookies) {
        if let (Some(name), Ok(value)) = (name, HeaderValue::try_from(text)) {
            map.append(name, value);
        }
    }
    map
}

/// The length that a response's head tells.
fn announced(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Played {
    /// After how long, and why, none of the request was sent, where the
    /// component waits this long at most.
    ///
    /// An attempt that its timeout ended met silence: how long it would have
    /// been, nobody knows, so that it is as long as anybody waits.
    pub(crate) fn refused(&self, within: Duration) -> Option<(Duration, SendError)> {
        let Outcome::Failed(cause, Delivery::NotSent) = self.outcome else {
            return None;
        };
        let silent = matches!(cause, Cause::ConnectionTimeout | Cause::DnsTimeout);
        Some(if silent {
            (within, SendError::not_sent(cause))
        } else if self.took > within {
            (within, SendError::not_sent(Cause::ConnectionTimeout))
        } else {
            (self.took, SendError::not_sent(cause))
        })
    }

    /// Answers a request that was sent.
    pub(crate) async fn answer(
        self,
        request: &Request<Bytes>,
    ) -> Result<Response<Body>, SendError> {
        let status = match self.outcome {
            Outcome::Status(status) => status,
            // It was silent for as long as anybody waited.
            Outcome::Failed(Cause::HttpResponseTimeout, _)
            | Outcome::Pending
            | Outcome::Cancelled => return std::future::pending().await,
            Outcome::Failed(cause, _) => {
                pass(self.took).await;
                return Err(SendError::maybe_sent(cause));
            }
        };
        pass(self.took).await;
        let status = StatusCode::from_u16(status)
            .map_err(|_| SendError::maybe_sent(Cause::HttpProtocolError))?;
        // What came of another request, which may not have asked for a tunnel.
        let wants_tunnel = request.headers().contains_key(UPGRADE);
        let (status, mut fields) = match status {
            StatusCode::SWITCHING_PROTOCOLS if wants_tunnel => return Ok(tunnel(self.fields)),
            StatusCode::SWITCHING_PROTOCOLS => (StatusCode::OK, HeaderMap::new()),
            status if wants_tunnel && status.is_success() && !self.own => {
                return Ok(tunnel(HeaderMap::new()));
            }
            status => (status, self.fields),
        };
        let bodiless = *request.method() == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let length = self.length.min(Filler::LONGEST);
        let body = if bodiless || (length == 0 && !self.broken) {
            Body::empty()
        } else {
            Body::new(Filler::new(length, self.transfer, self.broken))
        };
        if !bodiless && !self.broken && announced(&fields).is_some() {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        Ok(response)
    }
}

/// A tunnel in which nothing happens until the client closes it.
fn tunnel(mut fields: HeaderMap) -> Response<Body> {
    let (near, far) = tokio::io::duplex(64);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(far);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    for (name, value) in [(CONNECTION, "Upgrade"), (UPGRADE, "websocket")] {
        fields
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    let mut response = Response::new(Body::tunnel(near));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = fields;
    response
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// What comes of a request to A, where it was recorded with this attempt.
    async fn answer(request: Request<Bytes>, exchange: &str, attempt: &str) -> Response<Body> {
        let text = format!(
            concat!(
                r#"{{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z"}}"#,
                "\n",
                r#"{{"line":"exchange","request":0,"at":0,"client":"c","method":"GET","#,
                r#""target":"/","ended":1,{},"#,
                r#""attempts":[{{"backend":"A","at":0,"ended":1,{}}}]}}"#,
            ),
            exchange,
            attempt.replace('\n', "")
        );
        let outcomes = Outcomes::new(Arc::new(text.parse().unwrap()), std::iter::once("A"));
        let played = outcomes.of(Some(0), (0, "A"), 0).unwrap();
        played.answer(&request).await.unwrap()
    }

    fn told(response: &Response<Body>) -> Vec<String> {
        let fields = response.headers().iter();
        fields
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_has_the_fields_that_it_had() {
        const ATTEMPT: &str = r#""status":200,
            "fields":[{"name":"date","value":"now"},{"name":"vary","value":"a"},
                {"name":"vary","value":"b"},{"name":"location","hash":"0a0b"},
                {"name":"no name","value":"x"},{"name":"content-length","value":"7"}],
            "set_cookies":[{"name":"0c","hash":"0d"},{"name":"0e","hash":"0f"}]"#;
        let expected = [
            "date: now",
            "vary: a",
            "vary: b",
            "location: 0a0b",
            "content-length: 7",
            "set-cookie: 0c=0d",
            "set-cookie: 0e=0f",
        ];
        let whole = r#""end":"whole","status":200,"response":{"bytes":7}"#;
        let response = answer(Request::default(), whole, ATTEMPT).await;
        assert_eq!(told(&response), expected);
        let broken = r#""end":"broken","status":200,"response":{"bytes":3}"#;
        let response = answer(Request::default(), broken, ATTEMPT).await;
        assert_eq!(told(&response), expected);
        assert!(response.into_body().bytes().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_without_a_body_tells_the_length_that_it_told() {
        const FIELDS: &str = r#""fields":[{"name":"content-length","value":"99999999999"}]"#;
        for (status, method) in [(200, Method::HEAD), (304, Method::GET)] {
            let mut request = Request::default();
            *request.method_mut() = method;
            let exchange = format!(r#""end":"whole","status":{status}"#);
            let attempt = format!(r#""status":{status},{FIELDS}"#);
            let response = answer(request, &exchange, &attempt).await;
            assert_eq!(told(&response), ["content-length: 99999999999"]);
            assert_eq!(response.into_body().bytes().await.unwrap().len(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_asks_for_a_tunnel_gets_one() {
        const ATTEMPT: &str = r#""status":101,"fields":[
            {"name":"upgrade","value":"chat"},{"name":"sec-websocket-accept","hash":"0a"}]"#;
        let exchange = r#""end":"tunnel","status":101"#;
        let upgrade = Request::get("/").header(UPGRADE, "chat");
        let upgrade = upgrade.body(Bytes::new()).unwrap();
        let response = answer(upgrade, exchange, ATTEMPT).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let expected = [
            "upgrade: chat",
            "sec-websocket-accept: 0a",
            "connection: Upgrade",
        ];
        assert_eq!(told(&response), expected);
        let response = answer(Request::default(), exchange, ATTEMPT).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(told(&response), [""; 0]);
    }
}
