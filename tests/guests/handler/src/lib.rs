//! An ordinary `wasi:http/handler`, no balancer, for tests of the host as a
//! runtime for any of them.
//!
//! By the request's path: `/count` tells how many requests this instance has
//! been given, `/trap` traps, `/spin` never returns, `/refuse` answers with an
//! error code, and all else is asked of the origin that `ORIGIN` names
//! (`host:port`).

#![cfg(target_family = "wasm")]

use std::cell::Cell;

use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

thread_local! {
    static SERVED: Cell<u32> = const { Cell::new(0) };
}

struct Handler;

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        SERVED.set(SERVED.get() + 1);
        match request.get_path_with_query().as_deref() {
            Some("/count") => Ok(text(SERVED.get().to_string())),
            Some("/trap") => std::process::abort(),
            Some("/spin") => loop {
                std::hint::spin_loop();
            },
            Some("/refuse") => Err(ErrorCode::HttpRequestDenied),
            _ => pass(request).await,
        }
    }
}

/// Hands the request to the origin and its response back, bodies untouched.
async fn pass(request: Request) -> Result<Response, ErrorCode> {
    let denied = |()| ErrorCode::HttpRequestDenied;
    let origin = std::env::var("ORIGIN").map_err(|_| ErrorCode::ConfigurationError)?;
    let method = request.get_method();
    let target = request.get_path_with_query();
    let (content, trailers) = Request::consume_body(request, wit_future::new(|| Ok(())).1);
    let (onward, _sent) = Request::new(Fields::new(), Some(content), trailers, None);
    onward.set_method(&method).map_err(denied)?;
    onward.set_scheme(Some(&Scheme::Http)).map_err(denied)?;
    onward.set_authority(Some(&origin)).map_err(denied)?;
    onward
        .set_path_with_query(target.as_deref())
        .map_err(denied)?;
    client::send(onward).await
}

fn text(text: String) -> Response {
    let (mut writer, content) = wit_stream::new();
    wasip3::wit_bindgen::spawn_local(async move {
        writer.write_all(text.into_bytes()).await;
    });
    let trailers = wit_future::new(|| Ok(None)).1;
    Response::new(Fields::new(), Some(content), trailers).0
}

wasip3::http::service::export!(Handler);
