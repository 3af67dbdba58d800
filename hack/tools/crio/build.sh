#!/usr/bin/env bash
# Builds CRI-O (go.mod beside this file) once, with the program that makes its namespaces, into a cache folder outside the
# checkout, and prints that folder. A second call only prints. Some 4 minutes on 2 cores.
#
# KIP_CACHE_DIR: where builds are kept (default: ~/.cache/kubernetes-image-puller).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf 'crio: %s\n' "$*" >&2; }

command -v go >/dev/null || { say "Go 1.26 or newer is needed (https://go.dev/dl); 'go' was not found"; exit 1; }
command -v cc >/dev/null || { say "a C compiler is needed; 'cc' was not found (Debian: apt-get install gcc libc6-dev)"; exit 1; }
# Without it CRI-O runs no container that asks for a seccomp profile.
pkg-config --exists libseccomp || { say "libseccomp is needed (Debian: apt-get install libseccomp-dev pkg-config)"; exit 1; }

version=$(go list -m -f '{{.Version}}' github.com/cri-o/cri-o)
key=$({ cat go.mod go.sum build.sh; go version; } | sha256sum | cut -c1-16)
cache=${KIP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kubernetes-image-puller}
bin=$cache/crio-$version-$key
mkdir -p "$bin"

# What it would link with otherwise (gpgme, libbtrfs) is not used: images here have no signatures, layers are overlays.
tags="seccomp containers_image_openpgp containers_image_ostree_stub exclude_graphdriver_btrfs"

# One builder at a time: two would only slow each other down.
exec 9>"$bin/.lock"
flock 9
if [ ! -x "$bin/crio" ]; then
  say "building CRI-O $version …"
  started=$SECONDS
  go mod download github.com/cri-o/cri-o
  sources=$(go list -m -f '{{.Dir}}' github.com/cri-o/cri-o)
  cc -std=c99 -Os -static -o "$bin/pinns" "$sources"/pinns/src/*.c
  CGO_ENABLED=1 go build -trimpath -buildvcs=false -tags "$tags" -ldflags '-s -w' -o "$bin/.crio.new" github.com/cri-o/cri-o/cmd/crio >&2
  mv "$bin/.crio.new" "$bin/crio"
  say "CRI-O built in $((SECONDS - started)) s"
fi
echo "$bin"
