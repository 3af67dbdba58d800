#!/usr/bin/env bash
# Builds the pinned programs of the local cluster (go.mod beside this file; containerd has a module of its
# own in containerd/) once, into a cache folder outside the checkout, and prints that folder. A second call only prints.
#
#   hack/tools/build.sh            every program
#   hack/tools/build.sh helm …     only these
#
# KIP_CACHE_DIR: where builds are kept (default: ~/.cache/kubernetes-image-puller).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf '%s\n' "$*" >&2; }

command -v go >/dev/null || { say "tools: Go 1.26 or newer is needed (https://go.dev/dl); 'go' was not found"; exit 1; }
command -v cc >/dev/null || { say "tools: a C compiler is needed for the pause program; 'cc' was not found (Debian: apt-get install gcc libc6-dev)"; exit 1; }

key=$({ cat go.mod go.sum containerd/go.mod containerd/go.sum build.sh; go version; } | sha256sum | cut -c1-16)
cache=${KIP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kubernetes-image-puller}
bin=$cache/tools-$key
mkdir -p "$bin"

kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
containerd=$(go -C containerd list -m -f '{{.Version}}' github.com/containerd/containerd/v2)
minor=${kubernetes#v1.} minor=${minor%%.*}
# Without these the programs call themselves v0.0.0, and Helm's and kubelet's version checks see that.
ldflags="-s -w
  -X k8s.io/component-base/version.gitVersion=$kubernetes
  -X k8s.io/component-base/version.gitMajor=1
  -X k8s.io/component-base/version.gitMinor=$minor
  -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes
  -X github.com/containerd/containerd/v2/version.Version=$containerd"

programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl
  etcd containerd containerd-shim-runc-v2 ctr helm pause)
[ $# -eq 0 ] || programs=("$@")

module_of() {
  case $1 in
    containerd* | ctr) echo containerd ;;
    *) echo . ;;
  esac
}

package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    helm) echo helm.sh/helm/v4/cmd/helm ;;
    containerd* | ctr) echo "github.com/containerd/containerd/v2/cmd/$1" ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
  esac
}

build() { # NAME TARGET
  if [ "$1" = pause ]; then
    cc -Os -Wall -static -DVERSION="$kubernetes" -o "$2" \
      "$(go list -m -f '{{.Dir}}' k8s.io/kubernetes)/build/pause/linux/pause.c"
    strip "$2"
  else
    CGO_ENABLED=0 go -C "$(module_of "$1")" build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$2" "$(package_of "$1")"
  fi
}

# One builder at a time: two would only slow each other down.
exec 9>"$bin/.lock"
flock 9
n=0
for program in "${programs[@]}"; do
  n=$((n + 1))
  [ -x "$bin/$program" ] && continue
  say "tools: [$n/${#programs[@]}] building $program (all of them: some 8 minutes on 2 cores, once) …"
  go mod download k8s.io/kubernetes
  started=$SECONDS
  build "$program" "$bin/.$program.new" >&2
  mv "$bin/.$program.new" "$bin/$program"
  say "tools: [$n/${#programs[@]}] $program built in $((SECONDS - started)) s"
done
echo "$bin"
