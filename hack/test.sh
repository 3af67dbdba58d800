#!/usr/bin/env bash
# Every test that a change must pass, stage after stage, cheapest first; each prints its seconds.
#
#   hack/test.sh             all stages
#   hack/test.sh STAGE …     only these: format lint unit sleep differential tools agent build oldest chart cluster arm64
#
# The stage cluster waits for pods half of the time: what is needed after it begins is built beside it, the plugin, and the programs for
# arm64 where that stage comes next.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stages=(format lint unit sleep differential tools agent build oldest chart cluster arm64)
[ $# -eq 0 ] || stages=("$@")

say() { printf 'test: %s\n' "$*" >&2; }

# Installs what a fresh Debian does not have; elsewhere, says what is missing.
need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $2"
    { install_package "$2" || { apt-get update -q && install_package "$2"; }; } >/dev/null
  else
    say "'$1' is needed (Debian: apt-get install $2)"
    exit 1
  fi
}

# A service that is in it is not started: tests start what they need themselves.
install_package() ( # PACKAGE
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$1"
)

# A test is named alone (`--test`), not with its package (`-p`), wherever that is enough: of a package alone cargo would build what it
# needs with fewer features, and nearly all of that anew.
freestanding=(-p kip-sleep --features freestanding --profile sleep)
# A build of its own: what only the program has, its client has not.
agent=(-p kip-agent --features program)

stage_format() {
  cargo fmt --all --check
  need shellcheck shellcheck
  shellcheck --external-sources .ci/run hack/*.sh hack/*/*.sh hack/*/*/*.sh
}

stage_lint() {
  cargo clippy --locked --workspace --all-targets -- -D warnings
  cargo clippy --locked "${freestanding[@]}" --all-targets -- -D warnings
  cargo clippy --locked "${agent[@]}" --all-targets -- -D warnings
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
  cargo test --locked "${agent[@]}"
}

# The program itself: its size, its memory, signals as PID 1. Root is needed for the namespaces.
stage_sleep() { cargo test --locked "${freestanding[@]}"; }

# Beside the Go standard library, the Go modules that kubelet, the API server and containerd use, and a registry in Go.
stage_differential() {
  need docker-registry docker-registry
  cargo test --locked --test differential -- --ignored --nocapture
  cargo test --locked --test it -- --ignored
}

stage_tools() { hack/tools/build.sh >/dev/null; }

# The agent on the stores of real runtimes, and on layers of real builders, for which root is needed. Of containerd there are two:
# the one that is installed and the local cluster's.
stage_agent() {
  local each containerd
  for each in buildah=buildah podman=podman skopeo=skopeo umoci=umoci containerd=containerd dockerd=docker.io docker=docker-cli \
    bsdtar=libarchive-tools setcap=libcap2-bin setfattr=attr python3=python3; do
    need "${each%=*}" "${each#*=}"
  done
  containerd=$(hack/tools/build.sh containerd ctr)/containerd
  KIP_CONTAINERD=$containerd cargo test --locked "${agent[@]}" --test rebuild --test stores --test sequential -- --ignored --nocapture
}

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
  [ -x bin/kip-daemon ] || hack/build.sh
  hack/build.sh linux/arm64
  emulator=$(command -v qemu-aarch64)
  for pages in 4096 65536; do
    KIP_SLEEP_RUNNER="$emulator -p $pages" KIP_SLEEP_PROGRAM=$PWD/bin/linux/arm64/kip-sleep \
      cargo test --locked "${freestanding[@]}" --test cli --test install
  done
  programs=(KIP_DAEMON_RUNNER="$emulator" KIP_DAEMON_PROGRAM="$PWD/bin/linux/arm64/kip-daemon")
  env "${programs[@]}" cargo test --locked -p kip-daemon --test cli --test golden
  env "${programs[@]}" cargo test --locked -p kip-daemon --test builds -- --ignored
  cargo test --locked --workspace --test platforms
}

stage_chart() {
  need docker-registry docker-registry
  need skopeo skopeo
  PATH="$(hack/tools/build.sh helm):$PATH" cargo test --locked --workspace --lib --bins --test chart --test cloner_chart --test openshift --test samples
}

stage_cluster() {
  need podman podman
  need dockerd docker.io
  need docker docker-cli
  export KIP_E2E_SKIP_BUILD=1
  cluster=up
  hack/run-e2e.sh --of puller,cloner
  until_built plugin
  hack/run-e2e.sh --of plugin --rm
  cluster=
}

need cc gcc
began=$SECONDS
times=()
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || { say "there is no stage '$stage' (see the head of hack/test.sh)"; exit 64; }
done
work=$(mktemp -d)
beside=
cluster=
finish() {
  [ -z "$beside" ] || { kill -- "-$beside" 2>/dev/null && wait "$beside" 2>/dev/null; } || true
  [ -z "$cluster" ] || hack/run-e2e.sh --down || true
  rm -rf "$work"
}
trap finish EXIT

run_stage() { # STAGE
  local started=$SECONDS
  say "---- $1"
  "stage_$1"
  times+=("$1 $((SECONDS - started)) s")
  say "---- ${times[-1]}"
}

# In a process group of its own, so that all of it ends when the script does, and with what is left of the processors: pods have
# the small shares that they ask for. What is tested is not run so: it would be late with everything.
build_beside() { # WHAT…: plugin, arm64
  local what
  set -m
  for what; do
    case $what in
      plugin) chrt --idle 0 hack/build.sh --of plugin ;;
      arm64) chrt --idle 0 hack/build.sh linux/arm64 ;;
    esac || exit 1
    touch "$work/$what"
  done >"$work/beside.log" 2>&1 &
  beside=$!
  set +m
  say "---- built beside the next stage: $*"
}

until_built() { # WHAT: of what is built beside
  while [ ! -e "$work/$1" ]; do
    # Both together: it may have ended well since the first look.
    if ! kill -0 "$beside" 2>/dev/null && [ ! -e "$work/$1" ]; then
      cat "$work/beside.log" >&2
      say "$1 could not be built"
      exit 1
    fi
    sleep 1
  done
}

for stage in "${stages[@]}"; do
  case $stage in
    cluster) if [[ " ${stages[*]} " == *" cluster arm64 "* ]]; then build_beside plugin arm64; else build_beside plugin; fi ;;
    arm64) [ -z "$beside" ] || until_built arm64 ;;
  esac
  # A test that fails ends all: the stages after it build on it.
  run_stage "$stage"
done
say "all passed in $((SECONDS - began)) s: $(printf '%s; ' "${times[@]}")"
