#!/usr/bin/env bash
# Builds the container image from bin/ and says how large it is. See `help`.
#
# Each builder has three functions, found by its name: build_, blobs_ (the image as it would be pushed: one
# file for the config and each compressed layer, into a folder) and push_.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
limit=6000000

usage() {
  cat <<'TEXT'
hack/image.sh [--push REGISTRY]      builds the image from bin/kip-daemon and bin/kip-sleep (`make build`)

  --push REGISTRY   also pushes it to a plain-HTTP registry (HOST:PORT) as library/NAME:TAG (as NAME:TAG where
                    the name has a slash): there a local cluster, to which that registry is docker.io, finds it
  help              this text

The builder is docker where its daemon answers, else podman, else buildah.
DOCKERIMAGE_NAME: the image's name (default kubernetes-image-puller)
DOCKERIMAGE_TAG:  its tag (default: the version in Cargo.toml)
An image above 6 MB, compressed, is an error.
TEXT
}

say() { printf 'image: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null; }

workspace_version() {
  sed -n '/^\[workspace\.package\]/,/^\[/ s/^version *= *"\(.*\)"$/\1/p' "$root/Cargo.toml"
}

find_builder() {
  if have docker && docker info >/dev/null 2>&1; then
    builder=docker
  elif have podman; then
    builder=podman
  elif have buildah; then
    builder=buildah
  elif [ "$(id -u)" = 0 ] && have apt-get; then
    say "no docker, podman or buildah here: installing buildah"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends buildah; } >&2 ||
      fail "buildah cannot be installed; install docker, podman or buildah"
    builder=buildah
  else
    fail "no builder: install docker (and start its daemon), podman or buildah"
  fi
}

# === docker ===

build_docker() { docker build --tag "$image" "$@" >&2; }

# docker keeps layers uncompressed and compresses them when it pushes. gzip's level 3 comes nearest to what it
# makes of them, from above: 2 % too much.
blobs_docker() { # FOLDER
  local file
  local -a layers
  mkdir "$work/saved"
  docker save "$image" | tar -x -C "$work/saved" -f -
  mapfile -t layers < <(archive_list Layers)
  [ "${#layers[@]}" -gt 0 ] || fail "docker save: no layer in manifest.json"
  cp "$work/saved/$(archive_list Config)" "$1/config"
  for file in "${layers[@]}"; do gzip -3 -c "$work/saved/$file" >"$1/$(tr / - <<<"$file").gz"; done
}

# archive_list FIELD: the paths in a field of the archive's manifest.json, one a line.
archive_list() {
  grep -oE "\"$1\":(\"[^\"]*\"|\[[^]]*\])" "$work/saved/manifest.json" | sed 's/^[^:]*://' | tr -d '[]"' | tr , '\n'
}

push_docker() { # REFERENCE
  docker tag "$image" "$1"
  docker push --quiet "$1" >&2 || fail "docker push: is ${1%%/*} among the insecure-registries of docker's daemon?"
}

# === podman ===

build_podman() { podman build --tag "$image" "$@" >&2; }
blobs_podman() { podman push --quiet "$image" "oci:$work/layout" >&2 && layout_blobs "$1"; }
push_podman() { podman push --quiet --tls-verify=false "$image" "docker://$1" >&2; }

# === buildah ===

# Nothing runs in the image and nothing is pulled: neither mounts, nor namespaces, nor a signature policy of
# the host are needed, so that it works inside a container as well.
build_buildah() { run_buildah build --isolation chroot --tag "$image" "$@" >&2; }
blobs_buildah() { run_buildah push --quiet "$image" "oci:$work/layout" >&2 && layout_blobs "$1"; }
push_buildah() { run_buildah push --quiet --tls-verify=false "$image" "docker://$1" >&2; }

run_buildah() { # VERB ARGUMENT…
  local verb=$1
  shift
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"
  buildah --storage-driver vfs "$verb" --signature-policy "$work/policy.json" "$@"
}

# layout_blobs FOLDER: all blobs of an OCI layout but the manifest, which its index names.
layout_blobs() {
  local manifest
  manifest=$(grep -oE 'sha256:[0-9a-f]{64}' "$work/layout/index.json")
  cp "$work"/layout/blobs/sha256/* "$1"
  rm "$1/${manifest#sha256:}"
}

# === the whole ===

check_size() {
  local bytes
  mkdir "$work/pushed"
  "blobs_$builder" "$work/pushed"
  bytes=$(cat "$work"/pushed/* | wc -c)
  say "$image has $bytes bytes, compressed (at most $limit)"
  [ "$bytes" -le "$limit" ] || fail "$image is too large by $((bytes - limit)) bytes"
}

registry=
while [ $# -gt 0 ]; do
  case $1 in
    --push)
      registry=${2:-}
      [[ $registry =~ ^[^/]+:[0-9]+$ ]] || fail "--push '$registry': a registry such as 10.0.0.1:5000 is needed"
      shift 2
      ;;
    help | --help | -h) usage; exit ;;
    *) fail "no argument '$1' is known; see: hack/image.sh help" ;;
  esac
done

version=$(workspace_version)
[ -n "$version" ] || fail "no version in [workspace.package] of Cargo.toml"
name=${DOCKERIMAGE_NAME:-kubernetes-image-puller}
tag=${DOCKERIMAGE_TAG:-$version}
image=$name:$tag
for program in kip-daemon kip-sleep; do
  [ -f "$root/bin/$program" ] || fail "bin/$program is missing; make it with: make build"
  # The image's user is not the files' owner. (COPY --chmod would do, but docker without buildx refuses it.)
  [ -n "$(find "$root/bin/$program" -perm -0555)" ] || fail "bin/$program is not executable for all: chmod 0755 bin/$program"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find_builder
say "building $image with $builder"
"build_$builder" --build-arg "VERSION=$version" --file "$root/docker/Dockerfile" "$root"
check_size
if [ -n "$registry" ]; then
  case $name in
    */*) reference=$registry/$image ;;
    *) reference=$registry/library/$image ;;
  esac
  "push_$builder" "$reference"
  say "pushed $reference"
fi
