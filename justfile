# Lists the recipes.
default:
    @just --list

# Builds everything.
build:
    cargo build --workspace --locked

# Runs the unit and integration tests.
test *args:
    cargo test --workspace --locked {{args}}

# Checks format, lints and layers.
lint:
    bash .ci/test lint

# Formats the code.
fmt:
    cargo fmt --all
    cd contracts && . tools/env.sh && forge fmt

# Runs the whole market on this machine.
dev *args:
    cargo run --release --locked -p t4t -- dev {{args}}

# Tests the contracts.
contracts:
    bash .ci/test contracts

# Tries the contracts' tests on mutants of slither-mutate and of our own: full, short as in CI, or list.
mutants form="full":
    bash contracts/mutants.sh {{form}}

# Tests the market end to end, with the money checked.
e2e:
    cargo test --locked -p t4t --test e2e
    bash .ci/test e2e

# Tries to break the market in every way there is and prints the table: short, or full; all suites, or some.
chaos form="short" *suites:
    bash libs/testkit/chaos.sh {{form}} {{suites}}

# Checks that crates depend on lower levels only, and modules in no circle.
layers:
    cargo test --workspace --locked --test layers --test modules

# Checks licences, sources and versions of all that is built from, with cargo-deny (`cargo install cargo-deny --locked`).
deny:
    cargo deny --offline check licenses bans sources

# Runs the benchmarks on a release build, or some: mining directory at-once blocks chain-calls; soak only where named.
bench *parts:
    cargo bench --locked -p t4t --bench market -- {{parts}}

# Fuzzes every parser of what comes from outside, so many seconds each.
fuzz seconds="30" *targets:
    bash libs/testkit/fuzz/run.sh {{seconds}} {{targets}}

# Runs the Bee client's whole suite against the given nodes, or against the development node.
conformance-bee *urls:
    T4T_BEE_URLS="{{urls}}" cargo test --locked -p t4t-bee-dev --test conformance

# Writes docs/configuration.md.
config-docs:
    cargo run --locked -p t4t -- config keys --markdown > docs/configuration.md

# Everything that CI runs.
ci:
    bash .ci/run
