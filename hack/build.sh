#!/usr/bin/env bash
# Builds the static release programs. See `help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
hack/build.sh [PLATFORM[,PLATFORM]…]   builds kip-daemon, kip-sleep and image-cloner into bin/PLATFORM/

  PLATFORM   linux/amd64 or linux/arm64 (default: this machine's)
  help       this text

bin/kip-daemon, bin/kip-sleep and bin/image-cloner are links to this machine's own.
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

# What is built for each platform; kip-sleep is one more, built in a way of its own.
programs=(kip-daemon image-cloner)

# build_each COMMAND…: builds each by a call of its own. Together each would get what the other one needs of a crate as well,
# and the daemon would be larger by half a megabyte, in memory too.
build_each() {
  local program
  for program in "${programs[@]}"; do "$@" -p "$program"; done
}

# install_programs PLATFORM FOLDER KIP-SLEEP: those of the folder, and kip-sleep.
install_programs() {
  local program
  mkdir -p "bin/$1"
  for program in "${programs[@]}"; do install -m 0755 "$2/$program" "bin/$1/$program"; done
  install -m 0755 "$3" "bin/$1/kip-sleep"
}

# === for this machine ===

# The musl target is used where it can be had, else static glibc.
build_here() { # PLATFORM ARCHITECTURE
  local musl=$2-unknown-linux-musl gnu=$2-unknown-linux-gnu target program
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
  build_each cargo build --release --locked --target "$target"
  # Without a target folder of its own: its link arguments are for the host's target.
  cargo build --profile sleep --locked -p kip-sleep --features freestanding
  install_programs "$1" "$out/$target/release" "$out/sleep/kip-sleep"
  for program in "${programs[@]}" kip-sleep; do ln -sfn "$1/$program" "bin/$program"; done
}

# === for another processor ===

build_there() { # PLATFORM ARCHITECTURE
  local target=$2-unknown-linux-musl cross
  has_target "$target" ||
    fail "$1: the Rust target $target cannot be had; a Rust from rustup (https://rustup.rs) is needed: rustup target add $target"
  cross=$(find_cross "$1" "$2")
  say "$1: with $cross"
  "build_there_$cross" "$target" "$2"
  # rustc brings this linker. kip-sleep has no C in it, and GNU's linker would keep its section headers.
  env "$(variable CARGO_TARGET "$target" LINKER)=rust-lld" \
    cargo build --profile sleep --locked --target "$target" -p kip-sleep --features freestanding
  install_programs "$1" "$out/$target/release" "$out/$target/sleep/kip-sleep"
}

build_there_gcc() { # TARGET ARCHITECTURE
  build_each env "CC_${1//-/_}=$2-linux-gnu-gcc" "$(variable CARGO_TARGET "$1" LINKER)=$2-linux-gnu-gcc" \
    cargo build --release --locked --target "$1"
}

build_there_zig() { # TARGET ARCHITECTURE
  build_each cargo zigbuild --release --locked --target "$1"
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
platforms=()
for argument; do
  case $argument in
    help | --help | -h) usage; exit ;;
  esac
  IFS=, read -ra more <<<"$argument"
  platforms+=("${more[@]}")
done
[ ${#platforms[@]} -gt 0 ] || case $machine in
  x86_64) platforms=(linux/amd64) ;;
  aarch64) platforms=(linux/arm64) ;;
  *) fail "kip-sleep cannot be built for this machine's $machine: linux/amd64 and linux/arm64 are known" ;;
esac
for platform in "${platforms[@]}"; do
  case $platform in
    linux/amd64 | linux/arm64) ;;
    *) fail "'$platform' is no known platform; linux/amd64 and linux/arm64 are, for example: hack/build.sh linux/amd64,linux/arm64" ;;
  esac
done
for platform in "${platforms[@]}"; do
  case $platform in
    linux/amd64) architecture=x86_64 ;;
    linux/arm64) architecture=aarch64 ;;
  esac
  if [ "$architecture" = "$machine" ]; then
    build_here "$platform" "$architecture"
  else
    build_there "$platform" "$architecture"
  fi
  ls -l "bin/$platform"/*
done
