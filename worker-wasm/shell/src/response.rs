//! What the client gets.

use wasip3::http::types::{ErrorCode, Response};
use wasip3::wit_bindgen::{FutureReader, spawn_local};
use wasip3::wit_future;

use crate::attempt::Arrived;
use crate::bindings::edgelb::balancer::exchange::{Forward, Reply, Tail};
use crate::failure::body_end;
use crate::fields::{self, FieldList};
use crate::incoming::{following, stream};
use crate::policy;

/// A backend's response with its fields edited and its body handed through.
pub(crate) fn forward(arrived: Arrived, forward: &Forward) -> Response {
    let fields = fields::edited(&arrived.fields, &forward.edits);
    let status = arrived.response.get_status_code();
    let (content, trailers) = Response::consume_body(arrived.response, accepted());
    let (response, delivered) = Response::new(fields::resource(&fields), Some(content), trailers);
    let _ = response.set_status_code(status);
    spawn_local(watch(forward.tail, arrived.connection, delivered));
    response
}

/// A response of the balancer's own, without its body in answer to HEAD
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2>).
pub(crate) fn reply(reply: Reply, in_answer_to_head: bool) -> Response {
    let mut fields = fields::unpack(&reply.fields);
    let length = reply.body.len().to_string().into_bytes();
    fields.push(("content-length".to_owned(), length));
    let content = (!in_answer_to_head).then_some(reply.body);
    respond(reply.status, &fields, content)
}

/// A response that says nothing but its status: where the exchange cannot go on
/// and there is nobody to ask.
pub(crate) fn empty(status: u16) -> Response {
    let fields = vec![("content-length".to_owned(), b"0".to_vec())];
    respond(status, &fields, None)
}

/// The message that a body was received well.
pub(crate) fn accepted() -> FutureReader<Result<(), ErrorCode>> {
    wit_future::new(|| Ok(())).1
}

fn respond(status: u16, fields: &FieldList, content: Option<Vec<u8>>) -> Response {
    let content = content.filter(|content| !content.is_empty()).map(stream);
    let (response, _) = Response::new(fields::resource(fields), content, following(None));
    let _ = response.set_status_code(status);
    response
}

/// Stays until the body is through, and tells the policy if it was broken off.
async fn watch(
    tail: Tail,
    connection: FutureReader<Result<(), ErrorCode>>,
    delivered: FutureReader<Result<(), ErrorCode>>,
) {
    let upstream = connection.await;
    let downstream = delivered.await;
    if let Some(end) = body_end(&upstream, &downstream) {
        policy::finish(tail, end);
    }
}
