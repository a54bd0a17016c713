//! From an origin to a connection: names, TCP, TLS, all within one deadline.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Cause, SendError};
use crate::error::EdgeError;

/// Whom connections to https backends trust.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The roots of the operating system.
    pub fn system() -> Self {
        Self::default()
    }

    /// These certificates too, in PEM.
    ///
    /// # Errors
    /// There is no certificate in it, or a broken one.
    pub fn and_pem(mut self, pem: &[u8]) -> Result<Self, EdgeError> {
        let before = self.extra.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate
                .map_err(|error| EdgeError::Certificates(format!("broken PEM: {error}")))?;
            self.extra.push(certificate);
        }
        if self.extra.len() == before {
            return Err(EdgeError::Certificates(
                "no certificate found; expected PEM (`-----BEGIN CERTIFICATE-----`)".to_owned(),
            ));
        }
        Ok(self)
    }

    fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // Broken system certificates are common and harmless as long as one works.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in &self.extra {
            roots.add(certificate.clone())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Opens connections.
pub(super) struct Connector {
    trust: Trust,
    /// Roots take a while to load, and many have no https backend.
    tls: OnceLock<Result<TlsConnector, rustls::Error>>,
}

impl Connector {
    pub(super) fn new(trust: Trust) -> Self {
        Self {
            trust,
            tls: OnceLock::new(),
        }
    }

    /// A connection to the origin, or why there is none. Nothing was sent.
    pub(super) async fn connect(
        &self,
        scheme: &Scheme,
        authority: &Authority,
        within: Duration,
    ) -> Result<Connection, SendError> {
        self.attempt(scheme, authority, Instant::now() + within)
            .await
            .map_err(SendError::not_sent)
    }

    async fn attempt(
        &self,
        scheme: &Scheme,
        authority: &Authority,
        deadline: Instant,
    ) -> Result<Connection, Cause> {
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
            .map_err(|_| Cause::DnsError)?;

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
                        return Ok(Connection::Plain(stream));
                    }
                    let name = ServerName::try_from(host.to_owned())
                        .map_err(|_| Cause::TlsCertificateError)?;
                    let handshake = self.tls()?.connect(name, stream);
                    return timeout_at(deadline, handshake)
                        .await
                        .map_err(|_| Cause::ConnectionTimeout)?
                        .map(|stream| Connection::Tls(Box::new(stream)))
                        .map_err(|error| tls_cause(&error));
                }
            }
        }
        Err(last)
    }

    fn tls(&self) -> Result<TlsConnector, Cause> {
        self.tls
            .get_or_init(|| {
                self.trust
                    .config()
                    .map(|it| TlsConnector::from(Arc::new(it)))
            })
            .clone()
            .map_err(|_| Cause::ConfigurationError)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the operating system's kinds grow; whatever is new is unavailability"
)]
fn connect_cause(error: &io::Error) -> Cause {
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

/// A connection to a backend.
pub(super) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }
}
