//! Whom backends are verified against.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::EdgeError;

/// Whom connections to https backends trust. Clones share what is loaded.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
    /// Roots take a while to load, and many have no https backend.
    loaded: Arc<OnceLock<Result<Arc<ClientConfig>, String>>>,
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
    pub fn and_pem(self, pem: &[u8]) -> Result<Self, EdgeError> {
        let mut extra = self.extra;
        let before = extra.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate
                .map_err(|error| EdgeError::Certificates(format!("broken PEM: {error}")))?;
            extra.push(certificate);
        }
        if extra.len() == before {
            return Err(EdgeError::Certificates(
                "no certificate found; expected PEM (`-----BEGIN CERTIFICATE-----`)".to_owned(),
            ));
        }
        Ok(Self {
            extra,
            loaded: Arc::default(),
        })
    }

    /// What connections are made with, loaded once.
    ///
    /// # Errors
    /// Nobody is trusted, or a certificate is of no use.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, EdgeError> {
        self.loaded
            .get_or_init(|| self.load())
            .clone()
            .map_err(EdgeError::Certificates)
    }

    fn load(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        // Broken system certificates are common and harmless as long as one works.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in &self.extra {
            let added = roots.add(certificate.clone());
            added.map_err(|error| format!("a certificate given cannot be used: {error}"))?;
        }
        if roots.is_empty() {
            return Err(
                "this system has no root certificates, so no https backend can be trusted; \
                 install them (`ca-certificates`) or give some"
                    .to_owned(),
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
