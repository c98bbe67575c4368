#!/usr/bin/env bash
# Changes the checks, the fold of faults and the shrinker in one place after another, and says which changes no unit test notices.
#
#     cargo install cargo-mutants --locked
#     tests/mutants/run.sh                                  # everything: about 2,400 mutants, a day of one core
#     tests/mutants/run.sh -f 'src/check/raft/*.rs'         # one part; more arguments of `cargo mutants` may follow
#     tests/mutants/run.sh -f src/fault/fold.rs --shard 0/4
#
# Outside CI, as it takes so long. `cargo mutants` works in a copy of the checkout and changes nothing in it. The copies share
# one target folder (MUTANTS_TARGET), so that dependencies are built once. What survives is in mutants.out/missed.txt; those
# that are argued not to matter are in docs/MUTANTS.md. Exit code 2: something survived.
set -euo pipefail
cd "$(dirname "$0")/../.."

parts=("$@")
[[ $# -gt 0 ]] || parts=(-f 'src/check/**/*.rs' -f src/fault/fold.rs -f 'src/shrink/*.rs')

export CARGO_TARGET_DIR="${MUTANTS_TARGET:-${TMPDIR:-/tmp}/schism-mutants}"
# The tests of other parts cannot notice these mutants, except by running whole systems, which takes minutes.
exec cargo mutants "${parts[@]}" \
    --output "${MUTANTS_OUTPUT:-target/mutants}" \
    --timeout 300 --build-timeout 900 \
    --cargo-arg=--config=profile.dev.package.schism.opt-level=0 \
    --cargo-arg=--config=profile.dev.package.schism.debug=0 \
    --cargo-arg=--lib \
    -- check:: fault:: shrink::
