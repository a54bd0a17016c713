//! What platforms grant a request and an isolate.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::{HeaderMap, Request};
use serde::{Deserialize, Serialize};

use super::scenario::{optional, optional_size};
use crate::metering::Grant;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A platform, as far as its limits go.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// No limit at all.
    #[default]
    None,
    /// Cloudflare Workers, free plan
    /// (<https://developers.cloudflare.com/workers/platform/limits/>).
    CloudflareFree,
    /// The same, paid plan.
    CloudflarePaid,
    /// Spin, which by itself limits nothing. Who hosts it does, and for that
    /// there are the fields of [`Limits`]: Fermyon Wasm Functions, for one,
    /// grants 128 MiB and 30 s (<https://developer.fermyon.com/wasm-functions/faq>).
    Spin,
}

/// What a platform grants: a preset, and what differs from it. Where a field
/// is `None` the preset's holds, and where that has none either, there is no limit.
///
/// | limit | Cloudflare, free | paid | Spin | exceeded, gives at Cloudflare | at Spin | else |
/// |---|---|---|---|---|---|---|
/// | `cpu-time` | 10 ms | 30 s | | 503, `error code: 1102` | 500 | 502 |
/// | `memory` | 128 MiB | 128 MiB | | 503, `error code: 1102` | 500 | 502 |
/// | `subrequests` | 50 | 10,000 | | the component an error | the same | the same |
/// | `connections` | 6 | 6 | | (nothing: others wait) | | |
/// | `wall-time` | | | | 504, or the body breaks off | the same | the same |
/// | `url-size` | 16 KiB | 16 KiB | | 414 | 414 | 414 |
/// | `request-header-size` | 128 KiB | 128 KiB | | 431 | 431 | 431 |
/// | `response-header-size` | 128 KiB | 128 KiB | | 520 | 500 | 502 |
///
/// In a file, the name of a preset or a table:
/// `limits = { preset = "cloudflare-free", cpu-time = "5ms", subrequests = 3 }`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// The platform: what exceeding a limit gives is what that gives.
    #[serde(default)]
    pub preset: Preset,
    /// Processor time of one request. A virtual one, the same on every machine:
    /// a nanosecond a WebAssembly instruction.
    ///
    /// By [`Door::Exchange`](crate::Door) what the policy decides up to the head
    /// of the response. By [`Door::WasiHttp`](crate::Door), where many requests
    /// share an instance, all that it does for the request until its task ends;
    /// whoever takes more is who exceeds it, and the others lose the instance,
    /// too: what may be repeated is, and the rest is answered with 502.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub cpu_time: Option<Duration>,
    /// Bytes of memory of one isolate: all its linear memories together, in
    /// pages of 64 KiB.
    #[serde(
        default,
        deserialize_with = "optional_size::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory: Option<usize>,
    /// Requests that one request may send. To send another fails at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subrequests: Option<usize>,
    /// Requests sent for one request that may wait for the head of their
    /// response at a time. Others wait for one of those to get it, or to fail;
    /// this limit is none that can be exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<NonZeroUsize>,
    /// Time of one request, from when the isolate is given it to the last byte
    /// of its answer. A WebSocket, once it is open, may take longer.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<Duration>,
    /// Bytes of a request's URL, as in `http://host/path?query`.
    #[serde(
        default,
        deserialize_with = "optional_size::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub url_size: Option<usize>,
    /// Bytes of all fields of a request together, as HTTP/1.1 writes them:
    /// each with its colon, a space and the end of its line.
    #[serde(
        default,
        deserialize_with = "optional_size::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub request_header_size: Option<usize>,
    /// The same of a response.
    #[serde(
        default,
        deserialize_with = "optional_size::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub response_header_size: Option<usize>,
}

/// A limit that can be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    CpuTime,
    Memory,
    Subrequests,
    WallTime,
    UrlSize,
    RequestHeaderSize,
    ResponseHeaderSize,
}

impl Preset {
    /// What the platform grants.
    pub const fn limits(self) -> Limits {
        match self {
            Self::None | Self::Spin => Limits::unlimited(self),
            // <https://developers.cloudflare.com/workers/platform/limits/#account-plan-limits>
            Self::CloudflareFree => Limits {
                cpu_time: Some(Duration::from_millis(10)),
                subrequests: Some(50),
                ..Limits::of_cloudflare(self)
            },
            // Processor time is what a Worker has that asks for no more; it may
            // ask for five minutes.
            Self::CloudflarePaid => Limits {
                cpu_time: Some(Duration::from_secs(30)),
                subrequests: Some(10_000),
                ..Limits::of_cloudflare(self)
            },
        }
    }

    /// Whether what exceeds this limit takes along the isolate around the
    /// instance, and all that is known there. Cloudflare starts another for the
    /// requests that follow, and lets those under way go on
    /// (<https://developers.cloudflare.com/workers/platform/limits/#memory>).
    pub(crate) fn ends_isolate(self, limit: Limit) -> bool {
        match self {
            Self::CloudflareFree | Self::CloudflarePaid => limit.ends_instance(),
            Self::None | Self::Spin => false,
        }
    }
}

impl From<Preset> for Limits {
    fn from(preset: Preset) -> Self {
        Self::unlimited(preset)
    }
}

impl Limits {
    const fn unlimited(preset: Preset) -> Self {
        Self {
            preset,
            cpu_time: None,
            memory: None,
            subrequests: None,
            connections: None,
            wall_time: None,
            url_size: None,
            request_header_size: None,
            response_header_size: None,
        }
    }

    /// What all plans have in common. Of wall time there is no limit as long
    /// as the client stays
    /// (<https://developers.cloudflare.com/workers/platform/limits/#duration>).
    const fn of_cloudflare(preset: Preset) -> Self {
        Self {
            // <https://developers.cloudflare.com/workers/platform/limits/#memory>
            memory: Some(128 * MIB),
            // Six wait for a response's head at a time, and further ones for them:
            // <https://developers.cloudflare.com/workers/platform/limits/#simultaneous-open-connections>
            connections: NonZeroUsize::new(6),
            // <https://developers.cloudflare.com/workers/platform/limits/#request-and-response-limits>
            url_size: Some(16 * KIB),
            request_header_size: Some(128 * KIB),
            response_header_size: Some(128 * KIB),
            ..Self::unlimited(preset)
        }
    }

    /// With what the preset says where nothing else is said.
    #[must_use]
    pub fn effective(self) -> Self {
        let preset = self.preset.limits();
        Self {
            preset: self.preset,
            cpu_time: self.cpu_time.or(preset.cpu_time),
            memory: self.memory.or(preset.memory),
            subrequests: self.subrequests.or(preset.subrequests),
            connections: self.connections.or(preset.connections),
            wall_time: self.wall_time.or(preset.wall_time),
            url_size: self.url_size.or(preset.url_size),
            request_header_size: self.request_header_size.or(preset.request_header_size),
            response_header_size: self.response_header_size.or(preset.response_header_size),
        }
    }

    /// What an instance is told of these.
    pub(crate) fn grant(&self) -> Grant {
        Grant {
            cpu_time: self.cpu_time,
            memory: self.memory,
        }
    }

    /// The limit that a request exceeds by being made.
    pub(crate) fn exceeded_by_request<B>(&self, request: &Request<B>) -> Option<Limit> {
        if self.url_size.is_some_and(|most| url_size(request) > most) {
            return Some(Limit::UrlSize);
        }
        let fields = || field_size(request.headers());
        let exceeds = self.request_header_size.is_some_and(|most| fields() > most);
        exceeds.then_some(Limit::RequestHeaderSize)
    }

    /// Whether a response has larger fields than it may.
    pub(crate) fn exceeded_by_response(&self, fields: &HeaderMap) -> Option<Limit> {
        let exceeds = (self.response_header_size).is_some_and(|most| field_size(fields) > most);
        exceeds.then_some(Limit::ResponseHeaderSize)
    }
}

impl Limit {
    const ALL: [Self; 7] = [
        Self::CpuTime,
        Self::Memory,
        Self::Subrequests,
        Self::WallTime,
        Self::UrlSize,
        Self::RequestHeaderSize,
        Self::ResponseHeaderSize,
    ];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == name)
    }

    /// Whether an instance that exceeds it is lost.
    pub(crate) fn ends_instance(self) -> bool {
        matches!(self, Self::CpuTime | Self::Memory)
    }

    /// As in a trace, and in a scenario's `limits`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CpuTime => "cpu-time",
            Self::Memory => "memory",
            Self::Subrequests => "subrequests",
            Self::WallTime => "wall-time",
            Self::UrlSize => "url-size",
            Self::RequestHeaderSize => "request-header-size",
            Self::ResponseHeaderSize => "response-header-size",
        }
    }
}

fn url_size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    if uri.authority().is_some() {
        return uri.to_string().len();
    }
    let host = request.headers().get(http::header::HOST);
    let host = host.map_or(0, http::HeaderValue::len);
    "http://".len() + host + uri.path_and_query().map_or(0, |it| it.as_str().len())
}

fn field_size(fields: &HeaderMap) -> usize {
    let sizes = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + ": ".len() + value.len() + "\r\n".len());
    sizes.sum()
}

/// As a scenario spells them: the name of a preset, or a table.
pub(crate) mod spelled {
    use std::fmt;

    use serde::de::value::{MapAccessDeserializer, StrDeserializer};
    use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
    use serde::ser::{Serialize as _, Serializer};

    use super::{Limits, Preset};

    pub(crate) fn serialize<S: Serializer>(
        limits: &Limits,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if *limits == Limits::from(limits.preset) {
            limits.preset.serialize(serializer)
        } else {
            limits.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Limits, D::Error> {
        struct Spelled;
        impl<'de> Visitor<'de> for Spelled {
            type Value = Limits;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "limits: `\"cloudflare-free\"` or `{ preset = \"cloudflare-free\", subrequests = 3 }`",
                )
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Limits, E> {
                Preset::deserialize(StrDeserializer::new(name)).map(Limits::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Limits, A::Error> {
                Limits::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Spelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_before_the_preset() {
        let limits = Limits {
            cpu_time: Some(Duration::from_millis(5)),
            ..Preset::CloudflareFree.into()
        };
        let limits = limits.effective();
        assert_eq!(limits.cpu_time, Some(Duration::from_millis(5)));
        assert_eq!(limits.subrequests, Some(50));
        assert_eq!(limits.wall_time, None);
        assert_eq!(limits.effective(), limits);
    }
}
