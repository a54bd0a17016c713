//! The runtimes that the balancer ships for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use edgelb_tests::nginx::Directory;
use edgelb_tests::process;

use crate::runtime::{Clients, Environment, Program, Refusal, Runtime};

/// In the order of the matrix.
pub(crate) static ALL: [Runtime; 6] = [
    Runtime {
        name: "host-exchange",
        about: "`edgelb serve`",
        clients: Clients::ByConnection,
        refusal: Refusal::ToStart,
        is_provided: true,
        missing: || None,
        program: |environment| host(&["--door", "exchange"], environment),
    },
    Runtime {
        name: "host-wasi-http",
        about: "`edgelb serve --door wasi-http`",
        clients: Clients::ByConnection,
        refusal: Refusal::ToStart,
        is_provided: true,
        missing: || None,
        program: |environment| host(&["--door", "wasi-http"], environment),
    },
    Runtime {
        name: "workerd",
        about: "[deploy/cloudflare](../deploy/cloudflare)",
        clients: Clients::ByField("cf-connecting-ip"),
        refusal: Refusal::OfRequests,
        is_provided: true,
        missing: || absent(&cloudflare("dist/worker.js")),
        program: workerd,
    },
    Runtime {
        name: "wasmtime",
        about: "[deploy/wasmtime](../deploy/wasmtime)",
        clients: Clients::Unknown,
        refusal: Refusal::OfRequests,
        is_provided: true,
        missing: || absent(&tool("wasmtime")),
        program: wasmtime,
    },
    Runtime {
        name: "wash",
        about: "[deploy/wasmcloud](../deploy/wasmcloud)",
        clients: Clients::Unknown,
        refusal: Refusal::OfRequests,
        is_provided: true,
        missing: || absent(&tool("wash")),
        program: wash,
    },
    Runtime {
        name: "spin",
        about: "[deploy/spin](../deploy/spin)",
        clients: Clients::ByConnection,
        refusal: Refusal::OfRequests,
        is_provided: false,
        missing: || match env::var_os(SPIN) {
            Some(path) => absent(Path::new(&path)),
            None => Some(format!("it is in no registry; `{SPIN}=` names its binary")),
        },
        program: spin,
    },
];

/// The variable that names the binary of Spin.
const SPIN: &str = "SPIN";

fn host(flags: &[&str], environment: &Environment) -> Program {
    let mut command = Command::new(process::program());
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(flags)
        .env_clear()
        .envs(environment.iter().cloned());
    Program {
        command,
        files: Directory::new(),
        address: "listening on http://",
        ready: "listening on http://",
        is_parent: false,
    }
}

/// The variable of the client's address is the one that `wrangler.toml` sets.
fn workerd(environment: &Environment) -> Program {
    let files = Directory::new();
    let environment = with_default(environment, "CLIENT_IP_HEADER", "cf-connecting-ip");
    let mut command = Command::new(cloudflare("node_modules/.bin/node"));
    command
        .arg(cloudflare("scripts/serve.ts"))
        .args(["--port", "0", "--env-file"])
        .arg(files.write("edgelb.env", lines(&environment)));
    Program {
        command,
        files,
        address: "listening on http://",
        ready: "listening on http://",
        is_parent: true,
    }
}

fn wasmtime(environment: &Environment) -> Program {
    let files = Directory::new();
    let mut command = Command::new(repository("deploy/wasmtime/serve"));
    command
        .env_clear()
        .envs(of_ours(["PATH", "HOME"]))
        .env("EDGELB_WASMTIME", tool("wasmtime"))
        .env("EDGELB_LISTEN", "127.0.0.1:0")
        .env(
            "EDGELB_COMPONENT",
            files.write("edgelb.wasm", edgelb_artifacts::EDGELB),
        )
        .envs(environment.iter().cloned());
    Program {
        command,
        files,
        address: "Serving HTTP on http://",
        ready: "Serving HTTP on http://",
        is_parent: false,
    }
}

/// The manifest in a copy of the folders that it speaks of.
fn wash(environment: &Environment) -> Program {
    let files = Directory::new();
    let project = files.path().join("deploy/wasmcloud");
    for folder in ["deploy/wasmcloud/.wash", "target/components"] {
        fs::create_dir_all(files.path().join(folder)).unwrap();
    }
    let manifest = "deploy/wasmcloud/.wash/config.yaml";
    fs::copy(repository(manifest), files.path().join(manifest)).unwrap();
    files.write("target/components/edgelb.wasm", edgelb_artifacts::EDGELB);
    files.write("deploy/wasmcloud/edgelb.env", lines(environment));
    let mut command = Command::new(tool("wash"));
    command
        .arg("dev")
        .current_dir(project)
        .env_clear()
        .envs(of_ours(["PATH"]))
        .env("HOME", files.path())
        .env("WASH_DEV", r#"{address="127.0.0.1:0"}"#);
    Program {
        command,
        files,
        address: "HTTP server listening addr=",
        ready: "listening for HTTP requests",
        is_parent: false,
    }
}

/// The manifest's own backends are blanked out, which is as good as none.
fn spin(environment: &Environment) -> Program {
    let files = Directory::new();
    for folder in ["deploy/spin", "target/components"] {
        fs::create_dir_all(files.path().join(folder)).unwrap();
    }
    let manifest = files.path().join("deploy/spin/spin.toml");
    fs::copy(repository("deploy/spin/spin.toml"), &manifest).unwrap();
    files.write("target/components/edgelb.wasm", edgelb_artifacts::EDGELB);
    let mut command = Command::new(env::var_os(SPIN).unwrap_or_default());
    command
        .args(["up", "--listen", "127.0.0.1:0", "--from"])
        .arg(manifest)
        .current_dir(files.path());
    for (name, value) in [("BACKEND_CF", ""), ("BACKEND_KOYEB", "")] {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    for (name, value) in environment {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    Program {
        command,
        files,
        address: "Serving http://",
        ready: "Serving http://",
        is_parent: true,
    }
}

/// `NAME=value` lines.
fn lines(environment: &Environment) -> String {
    let lines = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"));
    lines.collect()
}

fn with_default(environment: &Environment, name: &str, value: &str) -> Environment {
    let mut environment = environment.clone();
    if !environment.iter().any(|(other, _)| other == name) {
        environment.push((name.to_owned(), value.to_owned()));
    }
    environment
}

/// Variables of this process that others need, too.
fn of_ours<const N: usize>(names: [&'static str; N]) -> Vec<(&'static str, std::ffi::OsString)> {
    let set = names
        .into_iter()
        .filter_map(|name| Some((name, env::var_os(name)?)));
    set.collect()
}

fn absent(path: &Path) -> Option<String> {
    (!path.exists()).then(|| {
        format!(
            "there is no `{}`; `./just conformance` sees to it",
            path.display()
        )
    })
}

fn tool(name: &str) -> PathBuf {
    repository(".tools/bin").join(name)
}

fn cloudflare(path: &str) -> PathBuf {
    repository("deploy/cloudflare").join(path)
}

/// A path in this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).join(path)
}
