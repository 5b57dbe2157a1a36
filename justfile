# Short names for what this project's scripts do; none of them needs this file. `just --list` prints them.

# Builds for trying things out.
build:
    cargo build --release

# Serves a component, with further options after it.
serve component="guests/hello/hello.wat" *options="--workers 2":
    cargo run --release -- {{ component }} {{ options }}

# Installs what the tests need, and runs all of them.
test *arguments:
    ./test {{ arguments }}

# Runs the tests whose names contain this, where ./test was run before.
only filter:
    cargo test --release --locked {{ filter }}

# Formats the code.
format:
    cargo fmt

# Lints as CI does.
lint:
    cargo fmt --check
    RUSTFLAGS="${RUSTFLAGS:-} -D warnings" cargo clippy --release --locked --all-targets

# Looks for advisories, licences and duplicates among the dependencies.
deny:
    .ci/deny

# Runs what CI runs.
ci:
    .ci/run

# Makes the artefacts, and tries each of them.
release:
    .ci/release

# Renders the documentation of the code, private items included.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --document-private-items

# Measures wasmserve beside other servers.
compare *arguments:
    benches/compare {{ arguments }}

# Counts the instructions of a request.
instructions:
    benches/instructions

# Fuzzes one target.
fuzz target seconds="60":
    fuzz/run {{ target }} {{ seconds }}

# Builds the guests that tests and examples serve.
guests:
    guests/build

# Validates the manifests for Kubernetes.
kubernetes:
    deploy/kubernetes/validate
