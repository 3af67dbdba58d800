#!/usr/bin/env bash
# Builds the static release programs into bin/. The musl target is used where it can be had, else static glibc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

arch=$(uname -m)
musl=$arch-unknown-linux-musl
gnu=$arch-unknown-linux-gnu
out=${CARGO_TARGET_DIR:-target}

if { command -v rustup >/dev/null && rustup target add "$musl" >/dev/null 2>&1; } ||
  [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ]; then
  target=$musl
  # The TLS library has some C in it that needs a compiler but no C library: any will do.
  if ! command -v musl-gcc >/dev/null; then
    export "CC_${musl//-/_}=${CC:-cc}"
  fi
else
  target=$gnu
  echo "build: the target $musl cannot be had, building against static glibc" >&2
  export "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$gnu")_RUSTFLAGS=-C target-feature=+crt-static"
fi

cargo build --release --locked --target "$target" -p kip-daemon
# Without a target folder of its own: its link arguments are for the host's target.
cargo build --profile sleep --locked -p kip-sleep --features freestanding

mkdir -p bin
install -m 0755 "$out/$target/release/kip-daemon" bin/kip-daemon
install -m 0755 "$out/sleep/kip-sleep" bin/kip-sleep
ls -l bin/kip-daemon bin/kip-sleep
