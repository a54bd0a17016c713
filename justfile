# Every step of CI is a recipe here; `just test` is all of them.
# No `just` on the machine? `./just` fetches the pinned one and takes the same words.

set shell := ["bash", "-euo", "pipefail", "-c"]

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", "auto")
export RUSTDOCFLAGS := "-D warnings"
tools := justfile_directory() / ".tools"

_list:
    @{{ just_executable() }} --list --unsorted

# Everything that CI checks, cheapest first
test: fmt build clippy doc purity unit suites deny

# The code is formatted
fmt:
    cargo fmt --all --check

# Everything compiles, the components too; one build for all steps that follow
build: _targets
    cargo build --locked --workspace --all-targets

# No warnings: on the host, and in the guests as guests
clippy: _targets
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --target wasm32-wasip2 --target-dir target/components --profile component \
        -p edgelb-policy -p edgelb-balancer-component -p edgelb-shell -p edgelb-faulty -- -D warnings

# The documentation builds, without a broken link
doc: _targets
    cargo doc --locked --workspace --no-deps --document-private-items

# The core imports nothing, not even from an engine without WASI
purity: _targets
    cargo build --locked --target wasm32-unknown-unknown --target-dir target/components --profile component -p edgelb-pure
    cargo test --locked --workspace --test purity -- --include-ignored

# Tables, laws, goldens and doc tests
unit: _targets
    cargo test --locked --workspace --exclude edgelb-tests

# The real component in the embedded host, and the real process on real sockets
suites: _targets _nginx
    cargo build --locked --workspace --all-targets
    cargo test --locked --workspace -p edgelb-tests

# Licences, sources and bans of everything in the lock file
deny: _deny
    {{ tools }}/bin/cargo-deny --locked check bans licenses sources
    @{{ tools }}/bin/cargo-deny --locked check advisories 2> target/advisories.log \
        || { grep -q 'failed to fetch advisory database' target/advisories.log \
             && echo 'advisories: SKIPPED, their database cannot be fetched from here'; } \
        || { cat target/advisories.log; exit 1; }

# Three nginx under load for a minute, one killed and restarted every two seconds
soak: _targets _nginx
    cargo build --locked --workspace --all-targets
    SOAK_SECONDS=60 cargo test --locked --workspace -p edgelb-tests --test process soak -- --nocapture

# Requests per second, latency and CPU per request beside nginx, haproxy and a native proxy
bench *options: _targets _bench
    cargo build --locked --release
    cargo run --locked --release -p edgelb-bench -- {{ options }}

# Rewrites every golden file from what the code says now; read the diff
golden: _targets
    UPDATE_GOLDEN=1 cargo test --locked --workspace

_targets:
    @.ci/need targets

_nginx:
    @.ci/need nginx

_bench:
    @.ci/need nginx haproxy

_deny:
    @.ci/need cargo-deny
