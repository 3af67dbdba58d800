#!/usr/bin/env bash
# Every test that a change must pass, stage after stage, cheapest first; each prints its seconds.
#
#   hack/test.sh             all stages
#   hack/test.sh STAGE …     only these: format lint unit sleep differential tools build oldest arm64 chart cluster
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stages=(format lint unit sleep differential tools build oldest arm64 chart cluster)
[ $# -eq 0 ] || stages=("$@")

say() { printf 'test: %s\n' "$*" >&2; }

# Installs what a fresh Debian does not have; elsewhere, says what is missing.
need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $2"
    { DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$2" ||
      { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$2"; }; } >/dev/null
  else
    say "'$1' is needed (Debian: apt-get install $2)"
    exit 1
  fi
}

freestanding=(-p kip-sleep --features freestanding --profile sleep)

stage_format() {
  cargo fmt --all --check
  need shellcheck shellcheck
  shellcheck --external-sources .ci/run hack/*.sh hack/*/*.sh hack/*/*/*.sh
}

stage_lint() {
  cargo clippy --locked --workspace --all-targets -- -D warnings
  cargo clippy --locked "${freestanding[@]}" --all-targets -- -D warnings
  RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet
  # The fuzz targets are no part of the workspace. To be checked, they need none of the library in C++ that runs them.
  local fuzzed
  for fuzzed in kip-image image-cloner; do
    CUSTOM_LIBFUZZER_PATH=/none CARGO_TARGET_DIR=target/fuzz \
      cargo check --locked --quiet --manifest-path "crates/$fuzzed/fuzz/Cargo.toml"
  done
}

stage_unit() {
  need docker-registry docker-registry
  cargo test --locked
}

# The program itself: its size, its memory, signals as PID 1. Root is needed for the namespaces.
stage_sleep() { cargo test --locked "${freestanding[@]}"; }

# Beside the Go standard library, the Go modules that kubelet, the API server and containerd use, and a registry in Go.
stage_differential() {
  need docker-registry docker-registry
  cargo test --locked -p kip-sleep --test differential -- --ignored --nocapture
  cargo test --locked -p kip-image --test differential -- --ignored --nocapture
  cargo test --locked -p kip-registry --test it -- --ignored
}

stage_tools() { hack/tools/build.sh >/dev/null; }

stage_build() {
  hack/build.sh
  hack/image.sh
}

# The program that was built, on the oldest API server that it is made for: what needs no node.
stage_oldest() { hack/run-oldest.sh; }

# The arm64 programs beside those of amd64, in an emulator, and the image index of both.
stage_arm64() {
  local emulator pages
  local -a programs
  need qemu-aarch64 qemu-user
  need openssl openssl
  need docker-registry docker-registry
  need skopeo skopeo
  hack/build.sh linux/amd64,linux/arm64
  emulator=$(command -v qemu-aarch64)
  for pages in 4096 65536; do
    KIP_SLEEP_RUNNER="$emulator -p $pages" KIP_SLEEP_PROGRAM=$PWD/bin/linux/arm64/kip-sleep \
      cargo test --locked "${freestanding[@]}" --test cli --test install
  done
  programs=(KIP_DAEMON_RUNNER="$emulator" KIP_DAEMON_PROGRAM="$PWD/bin/linux/arm64/kip-daemon")
  env "${programs[@]}" cargo test --locked -p kip-daemon --test cli --test golden
  env "${programs[@]}" cargo test --locked -p kip-daemon --test builds -- --ignored
  cargo test --locked -p kip-e2e --test platforms
}

stage_chart() {
  need docker-registry docker-registry
  need skopeo skopeo
  PATH="$(hack/tools/build.sh helm):$PATH" cargo test --locked -p kip-e2e --lib --bins --test chart --test cloner_chart --test openshift --test samples
}

stage_cluster() { KIP_E2E_SKIP_BUILD=1 hack/run-e2e.sh --rm; }

need cc gcc
began=$SECONDS
times=()
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || { say "there is no stage '$stage' (see the head of hack/test.sh)"; exit 64; }
done
for stage in "${stages[@]}"; do
  say "---- $stage"
  started=$SECONDS
  # A test that fails ends all: the stages after it build on it.
  "stage_$stage"
  times+=("$stage $((SECONDS - started)) s")
  say "---- $stage: $((SECONDS - started)) s"
done
say "all passed in $((SECONDS - began)) s: $(printf '%s; ' "${times[@]}")"
