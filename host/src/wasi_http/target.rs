//! What guests may ask for: paths, and the server as a whole.

use http::Method;
use http::uri::PathAndQuery;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::http::types::HostRequest as _;

use super::guest::Guest;

/// The target of an OPTIONS request that asks about the server as a whole.
///
/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2.4>
const ASTERISK: &str = "*";

const TYPES: &str = "wasi:http/types@0.3.0";
const SET_PATH: &str = "[method]request.set-path-with-query";

/// Puts a `set-path-with-query` that takes [`ASTERISK`], too, where its method is
/// set already, in the place of the one that only takes paths.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(TYPES)?.func_wrap(
        SET_PATH,
        |mut store, (request, target): (Resource<Request>, Option<String>)| {
            let mut http = store.data_mut().http();
            if target.as_deref() == Some(ASTERISK) {
                let request = http.table.get_mut(&request)?;
                if request.method == Method::OPTIONS {
                    request.path_with_query = Some(PathAndQuery::from_static(ASTERISK));
                    return Ok((Ok(()),));
                }
            }
            Ok((http.set_path_with_query(request, target)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
