# Every step of CI is a recipe here; `just test` is all of them.
# No `just` on the machine? `./just` fetches the pinned one and takes the same words.

set shell := ["bash", "-euo", "pipefail", "-c"]

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", "auto")
export RUSTDOCFLAGS := "-D warnings"
tools := justfile_directory() / ".tools"
target := env("CARGO_TARGET_DIR", "target")

_list:
    @{{ just_executable() }} --list --unsorted

# Everything that CI checks
test: fmt build clippy doc tests scenarios instructions cloudflare deny

# The code is formatted
fmt:
    cargo fmt --all --check

# Everything compiles, the components too; the steps that follow share it
build:
    cargo build --locked --workspace --all-targets

# No warnings: on the host, and in the guests as guests
clippy: _targets
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --target wasm32-wasip2 --target-dir target/clippy --profile component \
        -p edgelb-policy -p edgelb-shell -p edgelb-faulty -p edgelb-handler -p your-component -- -D warnings
    cargo clippy --locked --target wasm32-unknown-unknown --target-dir target/clippy --profile component \
        -p edgelb-balancer-component -p edgelb-pure -- -D warnings

# The documentation builds, without a broken link
doc:
    cargo doc --locked --workspace --no-deps --document-private-items

# All tests: tables, laws, the component in the embedded host, the real process on real
# sockets, and every scenario on every runtime that registries provide
tests *filter: build _nginx _runtimes
    CONFORMANCE=all cargo test --locked --workspace -- {{ filter }}

# Of these only the last: `just conformance [RUNTIME]... [PART OF A NAME]...`
conformance *filter: build _runtimes
    CONFORMANCE=all cargo test --locked --workspace --test conformance -- {{ filter }}

# A decision and a request take no more instructions than they did, give or take 5 %
# (--write: they take what they take)
instructions *options: build
    @.ci/need valgrind
    {{ target }}/debug/edgelb-bench instructions {{ options }}

# The adapter for Cloudflare Workers: its types, and its suite on real workerd
cloudflare: build
    @.ci/need cloudflare
    npm --prefix deploy/cloudflare run check
    npm --prefix deploy/cloudflare test

# Licences, sources and bans of everything in the lock file
deny: _deny
    {{ tools }}/bin/cargo-deny --locked check bans licenses sources
    @{{ tools }}/bin/cargo-deny --locked check advisories 2> {{ target }}/advisories.log \
        || { grep -q 'failed to fetch advisory database' {{ target }}/advisories.log \
             && echo 'advisories: SKIPPED, their database cannot be fetched from here'; } \
        || { cat {{ target }}/advisories.log; exit 1; }

# The shipped scenarios with 32 seeds each, and the simulator's rate; unoptimised, three minutes on two cores
scenarios seeds="0..32": build
    {{ target }}/debug/edgelb sim scenarios/*.toml --seeds {{ seeds }}
    .ci/rate {{ target }}/debug/edgelb 5000

# The same optimised, with 256 seeds each, and the rate that is promised; minutes
simulate seeds="0..256":
    cargo build --locked --release
    {{ target }}/release/edgelb sim scenarios/*.toml --seeds {{ seeds }}
    .ci/rate {{ target }}/release/edgelb 20000

# Three nginx under load for a minute, one killed and restarted every two seconds
soak: build _nginx
    SOAK_SECONDS=60 cargo test --locked --workspace --test process -- --nocapture no_idempotent_request_fails

# Rate, latency, CPU per request, bodies, memory and reuse beside nginx, haproxy and a native proxy
bench *options: _bench
    cargo build --locked --release
    cargo run --locked --release -p edgelb-bench -- {{ options }}

# Rewrites every golden file from what the code says now; read the diff
golden: build _nginx _runtimes
    UPDATE_GOLDEN=1 CONFORMANCE=all cargo test --locked --workspace

_targets:
    @.ci/need targets

_nginx:
    @.ci/need nginx

_runtimes:
    @.ci/need wasmtime wash cloudflare

_bench:
    @.ci/need nginx haproxy wasmtime

_deny:
    @.ci/need cargo-deny
