//! A page that stays up when its origin does not.
//!
//! Answers with what `origin.test` answers. Where that fails, or takes longer
//! than two seconds to begin, the answer is an apology with status 503.

#![cfg(target_family = "wasm")]

use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, RequestOptions, Response, Scheme};
use wasip3::{wit_future, wit_stream};

/// How long the origin may take, in nanoseconds.
const PATIENCE: u64 = 2_000_000_000;

struct Page;

impl Guest for Page {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        Ok(ask(request).await.unwrap_or_else(|_| apology()))
    }
}

/// What the origin answers, its body untouched.
async fn ask(request: Request) -> Result<Response, ErrorCode> {
    let denied = |()| ErrorCode::HttpRequestDenied;
    let target = request.get_path_with_query();
    let options = RequestOptions::new();
    options
        .set_first_byte_timeout(Some(PATIENCE))
        .map_err(|_| ErrorCode::ConfigurationError)?;
    let trailers = wit_future::new(|| Ok(None)).1;
    let (onward, _sent) = Request::new(Fields::new(), None, trailers, Some(options));
    onward.set_scheme(Some(&Scheme::Http)).map_err(denied)?;
    onward.set_authority(Some("origin.test")).map_err(denied)?;
    onward
        .set_path_with_query(target.as_deref())
        .map_err(denied)?;
    client::send(onward).await
}

fn apology() -> Response {
    let (mut writer, content) = wit_stream::new();
    wasip3::wit_bindgen::spawn_local(async move {
        writer.write_all(b"back soon\n".to_vec()).await;
    });
    let trailers = wit_future::new(|| Ok(None)).1;
    let (response, _sent) = Response::new(Fields::new(), Some(content), trailers);
    // 503 is a status, so this cannot fail.
    let _ = response.set_status_code(503);
    response
}

wasip3::http::service::export!(Page);
