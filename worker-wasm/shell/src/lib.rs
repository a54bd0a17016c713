//! `edgelb.wasm` but for the policy: `wasi:http/handler` over `edgelb:balancer/exchange`.

mod bindings {
    wit_bindgen::generate!({
        world: "shell",
        path: "../wit",
    });
}

struct Shell;

impl wasip3::exports::http::handler::Guest for Shell {
    async fn handle(
        _request: wasip3::http::types::Request,
    ) -> Result<wasip3::http::types::Response, wasip3::http::types::ErrorCode> {
        let _ = bindings::edgelb::balancer::exchange::configuration();
        Err(wasip3::http::types::ErrorCode::InternalError(None))
    }
}

#[cfg(target_family = "wasm")]
wasip3::http::service::export!(Shell);
