//! The interface's types to the core's and back, losing nothing.

use ::core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use alloc::string::ToString as _;

use edgelb_balancer as core;
use edgelb_config::Setting;

use crate::bindings::exports::edgelb::balancer::exchange as wit;

/// Views a request head without copying it. A pseudo-header field that is not
/// where it should be is empty, which is well-formed for none but the authority.
pub(crate) fn request_head(head: &wit::RequestHead) -> core::RequestHead<'_> {
    let mut fields = core::Fields::new(&head.fields);
    core::RequestHead {
        method: fields.take_pseudo(":method").unwrap_or_default(),
        authority: fields.take_pseudo(":authority").unwrap_or_default(),
        target: fields.take_pseudo(":path").unwrap_or_default(),
        scheme: head.scheme.into(),
        peer: head.peer.map(Into::into),
        body: head.body.into(),
        fields,
    }
}

/// Views an outcome without copying it.
pub(crate) fn outcome(outcome: &wit::Outcome) -> core::Outcome<'_> {
    match outcome {
        wit::Outcome::Head(arrival) => core::Outcome::Head(core::Arrival {
            head: core::ResponseHead {
                status: arrival.head.status,
                body: arrival.head.body.into(),
                fields: core::Fields::new(&arrival.head.fields),
            },
            replayable: arrival.replayable,
        }),
        wit::Outcome::Failed(failure) => core::Outcome::Failed(core::Failure {
            cause: failure.cause.into(),
            delivery: failure.delivery.into(),
            replayable: failure.replayable,
        }),
    }
}

/// What the ledger has to say since it was last asked.
pub(crate) fn effects(ledger: &mut core::Ledger) -> Option<wit::Effects> {
    let changed = ledger.take_changed();
    let events = ledger.take_events();
    // What happened changed the ledger.
    (changed || !ledger.holds_nothing()).then(|| wit::Effects {
        changed,
        next_trial: ledger.next_trial().map(|due| due.as_millis()),
        events: events.into_iter().map(Into::into).collect(),
    })
}

/// The effective configuration.
pub(crate) fn configuration(
    balancer: &core::Balancer,
    settings: &[Setting],
) -> wit::EffectiveConfiguration {
    let policy = balancer.policy();
    let ordinary = balancer.ordinary().iter();
    wit::EffectiveConfiguration {
        backends: policy.backends.iter().map(Into::into).collect(),
        connect_timeout: core::millis(policy.connect_timeout),
        first_byte_timeout: core::millis(policy.first_byte_timeout),
        idle_timeout: core::millis(policy.idle_timeout),
        replay_limit: policy.replay_limit,
        ordinary: ordinary.map(|edits| edits.as_bytes().to_vec()).collect(),
        relevant: balancer.relevant().collect(),
        settings: settings.iter().map(Into::into).collect(),
    }
}

/// Backends are counted by `u32` in the interface; no environment holds more.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl From<core::Attempt> for wit::Attempt {
    fn from(attempt: core::Attempt) -> Self {
        Self {
            backend: index(attempt.backend),
            edits: attempt.edits.into_bytes(),
            keep: attempt.keep,
            tunnel: attempt.tunnel,
            client: attempt.client.map(|client| client.to_string()),
            ordinary: attempt.ordinary.map(Into::into),
        }
    }
}

impl From<core::Ordinary> for wit::Ordinary {
    fn from(ordinary: core::Ordinary) -> Self {
        Self {
            edits: index(ordinary.edits),
            session: ordinary.session.map(|session| session.into_bytes()),
            tail: ordinary.tail.into(),
            reuse: ordinary.reuse.map(Into::into),
        }
    }
}

impl From<core::Reuse> for wit::Reuse {
    fn from(reuse: core::Reuse) -> Self {
        Self {
            until: reuse.until.as_millis(),
            path: index(reuse.path),
        }
    }
}

impl From<core::LocalReply> for wit::Reply {
    fn from(reply: core::LocalReply) -> Self {
        Self {
            status: reply.status,
            fields: reply.fields.into_bytes(),
            body: reply.body,
        }
    }
}

impl From<core::Tail> for wit::Tail {
    fn from(tail: core::Tail) -> Self {
        Self {
            backend: index(tail.backend),
            began: tail.began.as_millis(),
        }
    }
}

impl From<wit::Tail> for core::Tail {
    fn from(tail: wit::Tail) -> Self {
        Self {
            backend: usize::try_from(tail.backend).unwrap_or(usize::MAX),
            began: core::Timestamp::from_millis(tail.began),
        }
    }
}

impl From<core::Event> for wit::Event {
    fn from(event: core::Event) -> Self {
        match event {
            core::Event::Ejected {
                backend,
                until,
                reason,
            } => Self::Ejected(wit::Ejection {
                backend: index(backend),
                until: until.as_millis(),
                reason: reason.to_string(),
            }),
            core::Event::Trial { backend } => Self::Trial(index(backend)),
            core::Event::Recovered { backend } => Self::Recovered(index(backend)),
        }
    }
}

impl From<&core::Backend> for wit::Backend {
    fn from(backend: &core::Backend) -> Self {
        Self {
            name: backend.name.clone(),
            scheme: backend.origin.scheme.into(),
            authority: backend.origin.authority.clone(),
            weight: backend.weight.as_u16().into(),
            drain: backend.drain,
        }
    }
}

impl From<&Setting> for wit::Setting {
    fn from(setting: &Setting) -> Self {
        Self {
            name: setting.name.clone(),
            value: setting.value.clone(),
            default: setting.default,
        }
    }
}

impl From<wit::IpAddress> for IpAddr {
    fn from(address: wit::IpAddress) -> Self {
        match address {
            wit::IpAddress::Ipv4(number) => Ipv4Addr::from(number).into(),
            wit::IpAddress::Ipv6((upper, lower)) => {
                Ipv6Addr::from(u128::from(upper) << 64 | u128::from(lower)).into()
            }
        }
    }
}

impl From<wit::BodySize> for core::BodySize {
    fn from(size: wit::BodySize) -> Self {
        match size {
            wit::BodySize::None => Self::None,
            wit::BodySize::Unknown => Self::Unknown,
            wit::BodySize::Known(bytes) => Self::Known(bytes),
        }
    }
}

/// Enumerations that are the same on both sides.
macro_rules! same {
    ($($from:ty => $to:ty { $($case:ident),+ $(,)? })+) => {
        $(
            impl From<$from> for $to {
                fn from(value: $from) -> Self {
                    match value {
                        $(<$from>::$case => Self::$case,)+
                    }
                }
            }
        )+
    };
}

same! {
    wit::Scheme => core::Scheme { Http, Https }
    core::Scheme => wit::Scheme { Http, Https }
    wit::Delivery => core::Delivery { NotSent, MaybeSent }
    wit::BodyEnd => core::BodyEnd { Broken, Abandoned }
    wit::Cause => core::Cause {
        DnsTimeout,
        DnsError,
        DestinationNotFound,
        DestinationUnavailable,
        DestinationIpProhibited,
        DestinationIpUnroutable,
        ConnectionRefused,
        ConnectionTerminated,
        ConnectionTimeout,
        ConnectionReadTimeout,
        ConnectionWriteTimeout,
        ConnectionLimitReached,
        TlsProtocolError,
        TlsCertificateError,
        TlsAlertReceived,
        HttpRequestDenied,
        HttpResponseIncomplete,
        HttpResponseHeaderSectionSize,
        HttpResponseTimeout,
        HttpUpgradeFailed,
        HttpProtocolError,
        LoopDetected,
        ConfigurationError,
        InternalError,
    }
}
