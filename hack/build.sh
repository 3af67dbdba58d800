#!/usr/bin/env bash
# Builds the static release programs. See `help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
hack/build.sh [--of WHAT] [PLATFORM[,PLATFORM]…]   builds programs into bin/PLATFORM/

  --of puller   kip-daemon, kip-sleep and image-cloner (default)
  --of plugin   kubectl-pull_image, with the agents for both platforms in it
  PLATFORM      linux/amd64 or linux/arm64 (default: this machine's)
  help          this text

bin/PROGRAM is a link to this machine's own.
Programs for another processor need its Rust target, which rustup brings, and one of these:
  gcc   Debian's cross compiler (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross), which is installed for root
  zig   cargo-zigbuild with Zig (pip install cargo-zigbuild brings both)
KIP_CROSS: `gcc` or `zig` (default: the one that is there, gcc first)
TEXT
}

say() { printf 'build: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null; }

out=${CARGO_TARGET_DIR:-target}

# has_target TARGET: whether rustc can build for it, if need be after rustup has fetched it.
has_target() {
  { have rustup && rustup target add "$1" >/dev/null 2>&1; } || [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ]
}

# variable PREFIX TARGET SUFFIX: the name under which cargo reads a target's setting.
variable() { printf '%s_%s_%s' "$1" "$(tr 'a-z-' 'A-Z_' <<<"$2")" "$3"; }

# What is built, and how: set by `choose`.
packages=()
programs=()
options=()

# choose WHAT
choose() {
  case $1 in
    # kip-sleep is one more, built in a way of its own.
    puller) packages=(kip-daemon image-cloner) programs=(kip-daemon image-cloner) options=(--release) ;;
    plugin) packages=(kubectl-pull-image) programs=(kubectl-pull_image) options=(--release) ;;
    agent) packages=(kip-agent) programs=(kip-agent) options=(--profile agent --features program) ;;
    *) fail "--of '$1': puller or plugin is needed" ;;
  esac
}

# build_each COMMAND…: builds each by a call of its own. Together each would get what the other one needs of a crate as well,
# and the daemon would be larger by half a megabyte, in memory too.
build_each() {
  local package
  for package in "${packages[@]}"; do "$@" "${options[@]}" -p "$package"; done
}

# install_programs PLATFORM TARGET-FOLDER: those that were built.
install_programs() {
  local program folder=release
  [ "${packages[*]}" != kip-agent ] || folder=agent
  mkdir -p "$1"
  for program in "${programs[@]}"; do install -m 0755 "$2/$folder/$program" "$1/$program"; done
}

# The agent is brought to a node in a ConfigMap, which takes a mebibyte: it has zstd's fastest way only, is not to be loaded
# anywhere else in memory, and nobody unwinds its stack.
agent_flags() { # TARGET
  local way flags='-fno-asynchronous-unwind-tables -fno-unwind-tables -fno-pic -fno-stack-protector'
  for way in DFAST GREEDY LAZY LAZY2 BTLAZY2 BTOPT BTULTRA; do flags+=" -DZSTD_EXCLUDE_${way}_BLOCK_COMPRESSOR"; done
  export "CFLAGS_${1//-/_}=$flags"
  export "$(variable CARGO_TARGET "$1" RUSTFLAGS)=-C relocation-model=static -C force-unwind-tables=no"
}

# build_agents: those for both platforms, into the target folder.
build_agents() {
  local platform size
  choose agent
  for platform in linux/amd64 linux/arm64; do
    ( # What it is built with is not for other programs.
      agent_flags "$(architecture_of "$platform")-unknown-linux-musl"
      build "$platform" "$out/agents/${platform#linux/}"
    )
    size=$(stat -c %s "$out/agents/${platform#linux/}/kip-agent")
    say "the agent for $platform has $size bytes (at most 1048575, for a ConfigMap)"
    [ "$size" -lt 1048576 ] || fail "the agent for $platform is too large"
  done
  export KIP_AGENTS
  KIP_AGENTS=$(realpath "$out/agents")
}

# === for this machine ===

# The musl target is used where it can be had, else static glibc.
build_here() { # ARCHITECTURE FOLDER
  local musl=$1-unknown-linux-musl gnu=$1-unknown-linux-gnu target
  if has_target "$musl"; then
    target=$musl
    # The TLS library has some C in it that needs a compiler but no C library: any will do.
    if ! have musl-gcc; then
      export "CC_${musl//-/_}=${CC:-cc}"
    fi
  else
    target=$gnu
    say "the target $musl cannot be had, building against static glibc"
    export "$(variable CARGO_TARGET "$gnu" RUSTFLAGS)=-C target-feature=+crt-static"
  fi
  build_each cargo build --locked --target "$target"
  install_programs "$2" "$out/$target"
}

sleep_here() { # FOLDER
  # Without a target folder of its own: its link arguments are for the host's target.
  cargo build --profile sleep --locked -p kip-sleep --features freestanding
  install -m 0755 "$out/sleep/kip-sleep" "$1/kip-sleep"
}

# === for another processor ===

build_there() { # PLATFORM ARCHITECTURE FOLDER
  local target=$2-unknown-linux-musl cross
  has_target "$target" ||
    fail "$1: the Rust target $target cannot be had; a Rust from rustup (https://rustup.rs) is needed: rustup target add $target"
  cross=$(find_cross "$1" "$2")
  say "$1: with $cross"
  "build_there_$cross" "$target" "$2"
  install_programs "$3" "$out/$target"
}

sleep_there() { # ARCHITECTURE FOLDER
  local target=$1-unknown-linux-musl
  # rustc brings this linker. kip-sleep has no C in it, and GNU's linker would keep its section headers.
  env "$(variable CARGO_TARGET "$target" LINKER)=rust-lld" \
    cargo build --profile sleep --locked --target "$target" -p kip-sleep --features freestanding
  install -m 0755 "$out/$target/sleep/kip-sleep" "$2/kip-sleep"
}

build_there_gcc() { # TARGET ARCHITECTURE
  build_each env "CC_${1//-/_}=$2-linux-gnu-gcc" "$(variable CARGO_TARGET "$1" LINKER)=$2-linux-gnu-gcc" \
    cargo build --locked --target "$1"
}

build_there_zig() { # TARGET ARCHITECTURE
  build_each cargo zigbuild --locked --target "$1"
}

# Ready is a compiler that finds its headers as well: Debian has them in a package of their own.
ready_gcc() { have "$1-linux-gnu-gcc" && "$1-linux-gnu-gcc" -E -x c - -o /dev/null <<<'#include <stdint.h>' 2>/dev/null; }
ready_zig() { have cargo-zigbuild; }

# find_cross PLATFORM ARCHITECTURE: `gcc` or `zig`.
find_cross() {
  local wanted=${KIP_CROSS:-} cross
  local -a packages
  packages=("gcc-${2//_/-}-linux-gnu" "libc6-dev-${1#linux/}-cross")
  case $wanted in
    '' | gcc | zig) ;;
    *) fail "KIP_CROSS='$wanted': gcc or zig is needed" ;;
  esac
  for cross in ${wanted:-gcc zig}; do
    if "ready_$cross" "$2"; then
      echo "$cross"
      return
    fi
  done
  if [ "$wanted" != zig ] && [ "$(id -u)" = 0 ] && have apt-get; then
    say "no C compiler for $1 here: installing ${packages[*]}"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"; } >&2 ||
      fail "$1: ${packages[*]} cannot be installed; install them, or: pip install cargo-zigbuild"
    echo gcc
    return
  fi
  case $wanted in
    zig) fail "$1: cargo-zigbuild is needed: pip install cargo-zigbuild" ;;
    gcc) fail "$1: ${2}-linux-gnu-gcc and its headers are needed (Debian: apt-get install ${packages[*]})" ;;
    *) fail "$1: a C compiler is needed: apt-get install ${packages[*]}, or: pip install cargo-zigbuild" ;;
  esac
}

# === the whole ===

machine=$(uname -m)

architecture_of() { # PLATFORM
  case $1 in
    linux/amd64) echo x86_64 ;;
    linux/arm64) echo aarch64 ;;
  esac
}

# build PLATFORM FOLDER: what was chosen.
build() {
  local architecture
  architecture=$(architecture_of "$1")
  if [ "$architecture" = "$machine" ]; then
    build_here "$architecture" "$2"
  else
    build_there "$1" "$architecture" "$2"
  fi
}

build_sleep() { # PLATFORM
  local architecture
  architecture=$(architecture_of "$1")
  if [ "$architecture" = "$machine" ]; then sleep_here "bin/$1"; else sleep_there "$architecture" "bin/$1"; fi
}

what=puller
platforms=()
while [ $# -gt 0 ]; do
  case $1 in
    help | --help | -h) usage; exit ;;
    --of) what=${2:-}; shift ;;
    *)
      IFS=, read -ra more <<<"$1"
      platforms+=("${more[@]}")
      ;;
  esac
  shift
done
[ "$what" != agent ] || fail "--of 'agent': puller or plugin is needed"
choose "$what"
[ ${#platforms[@]} -gt 0 ] || case $machine in
  x86_64) platforms=(linux/amd64) ;;
  aarch64) platforms=(linux/arm64) ;;
  *) fail "kip-sleep cannot be built for this machine's $machine: linux/amd64 and linux/arm64 are known" ;;
esac
for platform in "${platforms[@]}"; do
  [ -n "$(architecture_of "$platform")" ] ||
    fail "'$platform' is no known platform; linux/amd64 and linux/arm64 are, for example: hack/build.sh linux/amd64,linux/arm64"
done
if [ "$what" = plugin ]; then
  build_agents
  choose plugin
fi
for platform in "${platforms[@]}"; do
  build "$platform" "bin/$platform"
  built=("${programs[@]}")
  if [ "$what" = puller ]; then
    build_sleep "$platform"
    built+=(kip-sleep)
  fi
  if [ "$(architecture_of "$platform")" = "$machine" ]; then
    for program in "${built[@]}"; do ln -sfn "$platform/$program" "bin/$program"; done
  fi
  ls -l "bin/$platform"/*
done
