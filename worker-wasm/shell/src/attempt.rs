//! One attempt over `wasi:http/client`.

use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Request, Response, Scheme};
use wasip3::wit_bindgen::FutureReader;

use crate::bindings::edgelb::balancer::exchange::{
    self, Attempt, BodySize, Cause, Delivery, ResponseHead,
};
use crate::failure::{classify, classify_upload};
use crate::fields::{self, FieldList};
use crate::incoming::{Incoming, length};
use crate::settings::Settings;

/// A backend's response, whose body nobody has read of.
pub(crate) struct Arrived {
    /// The response.
    pub(crate) response: Response,
    /// Its fields.
    pub(crate) fields: FieldList,
    /// How the connection to the backend ends. To be kept while the body is
    /// wanted: the runtime may take its loss for a loss of interest.
    pub(crate) connection: FutureReader<Result<(), ErrorCode>>,
}

impl Arrived {
    /// The head as the policy is shown it.
    pub(crate) fn head(&self, in_answer_to_head: bool) -> ResponseHead {
        let status = self.response.get_status_code();
        // https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
        let body = match status {
            101 | 204 | 304 => BodySize::None,
            _ if in_answer_to_head => BodySize::None,
            _ => length(&self.fields).map_or(BodySize::Unknown, BodySize::Known),
        };
        ResponseHead {
            status,
            body,
            fields: fields::pack(fields::views(&self.fields)),
        }
    }
}

/// Sends the request to a backend and waits for the response's head.
///
/// # Errors
/// Why none came.
pub(crate) async fn send(
    settings: &Settings,
    incoming: &mut Incoming,
    attempt: &Attempt,
) -> Result<Arrived, (Cause, Delivery)> {
    // The runtime makes `host` from the authority; the client's is another.
    let mut fields = fields::edited(&incoming.fields, &attempt.edits);
    fields::remove(&mut fields, b"host");

    let (request, connection) = {
        let (content, trailers) = incoming.take_body();
        let timeouts = settings.timeouts.clone();
        Request::new(fields::resource(&fields), content, trailers, Some(timeouts))
    };
    direct(&request, settings, incoming, attempt)
        .map_err(|()| (Cause::HttpRequestDenied, Delivery::NotSent))?;
    match client::send(request).await {
        Ok(response) => Ok(Arrived {
            fields: response.get_headers().copy_all(),
            response,
            connection,
        }),
        Err(code) if incoming.is_replayable() => Err(classify(&code)),
        Err(code) => Err(classify_upload(&code)),
    }
}

/// Sets what is no field.
///
/// # Errors
/// If the runtime refuses any of it.
fn direct(
    request: &Request,
    settings: &Settings,
    incoming: &Incoming,
    attempt: &Attempt,
) -> Result<(), ()> {
    let index = usize::try_from(attempt.backend).map_err(drop)?;
    let backend = settings.backends.get(index).ok_or(())?;
    request.set_method(&incoming.method)?;
    request.set_scheme(Some(&match backend.scheme {
        exchange::Scheme::Http => Scheme::Http,
        exchange::Scheme::Https => Scheme::Https,
    }))?;
    request.set_authority(Some(&backend.authority))?;
    request.set_path_with_query(Some(&incoming.target))
}
