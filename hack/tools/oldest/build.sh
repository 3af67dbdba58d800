#!/usr/bin/env bash
# Builds the control plane of the oldest Kubernetes that is tested (go.mod beside this file) once, into a cache folder
# outside the checkout, and prints that folder. A second call only prints. It has a key of its own: a new version
# here builds nothing of hack/tools/ again.
#
# KIP_CACHE_DIR: where builds are kept (default: ~/.cache/kubernetes-image-puller).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf 'oldest: %s\n' "$*" >&2; }

command -v go >/dev/null || { say "Go 1.26 or newer is needed (https://go.dev/dl); 'go' was not found"; exit 1; }

kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${kubernetes#v1.} minor=${minor%%.*}
# The types that the daemon is compiled with are those of the oldest version that it is tested on.
feature=$(sed -n 's/^k8s-openapi = .*features = \["\(v1_[0-9]*\)"\].*/\1/p' ../../../Cargo.toml)
[ "$feature" = "v1_$minor" ] || {
  say "Cargo.toml has k8s-openapi with the feature '$feature', hack/tools/oldest/go.mod has Kubernetes $kubernetes: they must be the same minor"
  exit 1
}

key=$({ cat go.mod go.sum build.sh; go version; } | sha256sum | cut -c1-16)
cache=${KIP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kubernetes-image-puller}
bin=$cache/oldest-$kubernetes-$key
mkdir -p "$bin"

programs=(kube-apiserver kube-controller-manager kube-scheduler)
ldflags="-s -w
  -X k8s.io/component-base/version.gitVersion=$kubernetes
  -X k8s.io/component-base/version.gitMajor=1
  -X k8s.io/component-base/version.gitMinor=$minor
  -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes"

# One builder at a time: two would only slow each other down.
exec 9>"$bin/.lock"
flock 9
n=0
for program in "${programs[@]}"; do
  n=$((n + 1))
  [ -x "$bin/$program" ] && continue
  say "[$n/${#programs[@]}] building $program $kubernetes …"
  go mod download k8s.io/kubernetes
  started=$SECONDS
  CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$bin/.$program.new" "k8s.io/kubernetes/cmd/$program" >&2
  mv "$bin/.$program.new" "$bin/$program"
  say "[$n/${#programs[@]}] $program built in $((SECONDS - started)) s"
done
echo "$bin"
