//! From an origin to a connection: names, TCP, TLS, all within one deadline.

use std::io;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::stream::{self, Reader, Writer};
use super::{Cause, SendError, Trust};

/// Opens connections.
pub(super) struct Connector {
    trust: Trust,
}

impl Connector {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust }
    }

    /// A connection to the origin, or why there is none. Nothing was sent.
    pub(super) async fn connect(
        &self,
        scheme: &Scheme,
        authority: &Authority,
        within: Duration,
    ) -> Result<(Reader, Writer), SendError> {
        self.attempt(scheme, authority, Instant::now() + within)
            .await
            .map_err(SendError::not_sent)
    }

    async fn attempt(
        &self,
        scheme: &Scheme,
        authority: &Authority,
        deadline: Instant,
    ) -> Result<(Reader, Writer), Cause> {
        let https = *scheme == Scheme::HTTPS;
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        // Brackets are the URI's, not the address's (RFC 3986 section 3.2.2).
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let addresses = timeout_at(deadline, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| Cause::DnsTimeout)?
            .map_err(|error| match out_of_descriptors(&error) {
                true => Cause::ConnectionLimitReached,
                false => Cause::DnsError,
            })?;

        let mut last = Cause::DnsError;
        let mut addresses: Vec<_> = addresses.collect();
        addresses.reverse();
        while let Some(address) = addresses.pop() {
            // An address that swallows packets leaves the next ones their share of the time.
            let left = deadline.saturating_duration_since(Instant::now());
            let shares = u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
            match timeout(left / shares, TcpStream::connect(address)).await {
                Err(_) => last = Cause::ConnectionTimeout,
                Ok(Err(error)) => last = connect_cause(&error),
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    if !https {
                        return Ok(stream::plain(stream));
                    }
                    let name = ServerName::try_from(host.to_owned())
                        .map_err(|_| Cause::TlsCertificateError)?;
                    let tls = self.trust.tls().map_err(|_| Cause::ConfigurationError)?;
                    let handshake = TlsConnector::from(tls).connect(name, stream);
                    return timeout_at(deadline, handshake)
                        .await
                        .map_err(|_| Cause::ConnectionTimeout)?
                        .map(stream::tls)
                        .map_err(|error| tls_cause(&error));
                }
            }
        }
        Err(last)
    }
}

/// Our own side has no more of what connections are made of.
fn out_of_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the operating system's kinds grow; whatever is new is unavailability"
)]
fn connect_cause(error: &io::Error) -> Cause {
    if out_of_descriptors(error) {
        return Cause::ConnectionLimitReached;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
        io::ErrorKind::TimedOut => Cause::ConnectionTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            Cause::ConnectionTerminated
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Cause::DestinationIpUnroutable
        }
        io::ErrorKind::PermissionDenied => Cause::DestinationIpProhibited,
        _ => Cause::DestinationUnavailable,
    }
}

fn tls_cause(error: &io::Error) -> Cause {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Cause::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(_)) => Cause::TlsAlertReceived,
        Some(_) => Cause::TlsProtocolError,
        None => Cause::ConnectionTerminated,
    }
}
