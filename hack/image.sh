#!/usr/bin/env bash
# Builds the container image from bin/ and says how large it is. See `help`.
#
# Each builder has six functions, found by its name: build_ (an image of one platform), blobs_ (the image as it
# would be pushed: one file for the config and each compressed layer, into a folder), push_, and for an index of
# several platforms begin_index_ (before the images are built), end_index_ (after that) and push_index_.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
limit=6000000

usage() {
  cat <<'TEXT'
hack/image.sh [--of PROGRAM] [--platforms PLATFORM,…] [--push REGISTRY]
                    builds the image from bin/PLATFORM/ (`make build`)

  --of PROGRAM      puller (the default: kip-daemon and kip-sleep) or cloner (image-cloner)
  --platforms …     linux/amd64, linux/arm64 or both (default: this machine's). With both there is an image
                    NAME:TAG-amd64, an image NAME:TAG-arm64, and NAME:TAG is the index of the two
  --push REGISTRY   also pushes it to a plain-HTTP registry (HOST:PORT) as library/NAME:TAG (as NAME:TAG where
                    the name has a slash): there a local cluster, to which that registry is docker.io, finds it
  help              this text

The builder is docker where its daemon answers, else podman, else buildah. For an index docker counts only
where it keeps its images in containerd's store, since its own store keeps no index.
DOCKERIMAGE_NAME: the image's name (default kubernetes-image-puller, or image-cloner)
DOCKERIMAGE_TAG:  its tag (default: the version in Cargo.toml)
An image above 6 MB, compressed, is an error: that of each platform.
TEXT
}

say() { printf 'image: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null; }

workspace_version() {
  sed -n '/^\[workspace\.package\]/,/^\[/ s/^version *= *"\(.*\)"$/\1/p' "$root/Cargo.toml"
}

has_docker() {
  have docker && docker info >/dev/null 2>&1 || return
  [ ${#platforms[@]} -eq 1 ] || [[ $(docker info --format '{{.DriverStatus}}') == *io.containerd.snapshotter* ]]
}

find_builder() {
  if has_docker; then
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

build() { # PLATFORM IMAGE ARGUMENT…
  local platform=$1 tag=$2
  shift 2
  say "building $tag for $platform with $builder"
  [ "$platform" = "$here" ] || set -- --platform "$platform" "$@"
  # Docker's older builder gives the Dockerfile no TARGETPLATFORM of its own.
  "build_$builder" --tag "$tag" --build-arg "TARGETPLATFORM=$platform" --build-arg "VERSION=$version" \
    --file "$root/$dockerfile" "$@" "$root"
}

# A program of another processor would be noticed by nobody before a node starts it.

check_program() { # PLATFORM NAME
  local program=bin/$1/$2 machine
  case $1 in
    linux/amd64) machine=62 ;;
    linux/arm64) machine=183 ;;
    *) fail "'$1' is no known platform; linux/amd64 and linux/arm64 are, for example: --platforms linux/amd64,linux/arm64" ;;
  esac
  [ -f "$root/$program" ] || fail "$program is missing; make it with: make build PLATFORMS=$1"
  # The image's user is not the files' owner. (COPY --chmod would do, but docker without buildx refuses it.)
  [ -n "$(find "$root/$program" -perm -0555)" ] || fail "$program is not executable for all: chmod 0755 $program"
  # `e_machine` of the ELF header.
  [ "$(od -An -tu2 -j18 -N2 "$root/$program" | tr -d ' ')" = "$machine" ] ||
    fail "$program is not for $1; make it with: make build PLATFORMS=$1"
}

# === docker ===

build_docker() { docker build "$@" >&2; }

# docker keeps layers uncompressed and compresses them when it pushes. gzip's level 3 comes nearest to what it
# makes of them, from above: 2 % too much.
blobs_docker() { # IMAGE FOLDER
  local file
  local -a layers
  mkdir "$work/saved"
  docker save "$1" | tar -x -C "$work/saved" -f -
  mapfile -t layers < <(archive_list Layers)
  [ "${#layers[@]}" -gt 0 ] || fail "docker save: no layer in manifest.json"
  cp "$work/saved/$(archive_list Config)" "$2/config"
  for file in "${layers[@]}"; do gzip -3 -c "$work/saved/$file" >"$2/$(tr / - <<<"$file").gz"; done
  rm -r "$work/saved"
}

# archive_list FIELD: the paths in a field of the archive's manifest.json, one a line.
archive_list() {
  grep -oE "\"$1\":(\"[^\"]*\"|\[[^]]*\])" "$work/saved/manifest.json" | sed 's/^[^:]*://' | tr -d '[]"' | tr , '\n'
}

push_docker() { # REFERENCE
  docker tag "$image" "$1"
  docker push --quiet "$1" >&2 || fail "docker push: is ${1%%/*} among the insecure-registries of docker's daemon?"
}

begin_index_docker() { in_index=(); }

# Each step is in the cache of the builds before.
end_index_docker() {
  docker build --platform "$1" --tag "$image" --build-arg "VERSION=$version" --file "$root/$dockerfile" "$root" >&2
}

push_index_docker() { push_docker "$1"; }

# === podman ===

build_podman() { podman build "$@" >&2; }
blobs_podman() { podman push --quiet "$1" "oci:$work/layout" >&2 && layout_blobs "$2"; }
push_podman() { podman push --quiet --tls-verify=false "$image" "docker://$1" >&2; }

# What had the name before, a list or an image, would be added to, or be in the way.
begin_index_podman() {
  { podman manifest rm "$image" || podman rmi "$image" || true; } >/dev/null 2>&1
  in_index=(--manifest "$image")
}

end_index_podman() { :; }
push_index_podman() { podman manifest push --quiet --all --tls-verify=false "$image" "docker://$1" >&2; }

# === buildah ===

# Nothing runs in the image and nothing is pulled: neither mounts, nor namespaces, nor a signature policy of
# the host are needed, so that it works inside a container as well.
build_buildah() { run_buildah build --isolation chroot "$@" >&2; }
blobs_buildah() { run_buildah push --quiet "$1" "oci:$work/layout" >&2 && layout_blobs "$2"; }
push_buildah() { run_buildah push --quiet --tls-verify=false "$image" "docker://$1" >&2; }

# As with podman.
begin_index_buildah() {
  local -a buildah=(buildah --storage-driver vfs)
  { "${buildah[@]}" manifest rm "$image" || "${buildah[@]}" rmi "$image" || true; } >/dev/null 2>&1
  in_index=(--manifest "$image")
}

end_index_buildah() { :; }
push_index_buildah() { run_buildah "manifest push" --quiet --all --tls-verify=false "$image" "docker://$1" >&2; }

run_buildah() { # VERB ARGUMENT…
  local -a verb
  read -ra verb <<<"$1"
  shift
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"
  buildah --storage-driver vfs "${verb[@]}" --signature-policy "$work/policy.json" "$@"
}

# layout_blobs FOLDER: all blobs of an OCI layout but the manifest, which its index names.
layout_blobs() {
  local manifest
  manifest=$(grep -oE 'sha256:[0-9a-f]{64}' "$work/layout/index.json")
  cp "$work"/layout/blobs/sha256/* "$1"
  rm "$1/${manifest#sha256:}"
  rm -r "$work/layout"
}

# === the whole ===

check_size() { # IMAGE
  local bytes
  rm -rf "$work/pushed"
  mkdir "$work/pushed"
  "blobs_$builder" "$1" "$work/pushed"
  bytes=$(cat "$work"/pushed/* | wc -c)
  say "$1 has $bytes bytes, compressed (at most $limit)"
  [ "$bytes" -le "$limit" ] || fail "$1 is too large by $((bytes - limit)) bytes"
}

build_index() {
  local platform
  "begin_index_$builder"
  for platform in "${platforms[@]}"; do
    build "$platform" "$image-${platform##*/}" "${in_index[@]}"
    check_size "$image-${platform##*/}"
  done
  "end_index_$builder" "$(IFS=,; echo "${platforms[*]}")"
  say "$image is the index of ${platforms[*]}"
}

registry=
of=puller
case $(uname -m) in
  aarch64) here=linux/arm64 ;;
  *) here=linux/amd64 ;;
esac
platforms=("$here")
while [ $# -gt 0 ]; do
  case $1 in
    --push)
      registry=${2:-}
      [[ $registry =~ ^[^/]+:[0-9]+$ ]] || fail "--push '$registry': a registry such as 10.0.0.1:5000 is needed"
      shift 2
      ;;
    --of)
      of=${2:-}
      shift 2
      ;;
    --platforms)
      [ $# -ge 2 ] || fail "--platforms: platforms such as linux/amd64,linux/arm64 are needed"
      mapfile -t platforms < <(tr , '\n' <<<"$2" | sort -u)
      shift 2
      ;;
    help | --help | -h) usage; exit ;;
    *) fail "no argument '$1' is known; see: hack/image.sh help" ;;
  esac
done

case $of in
  puller) programs=(kip-daemon kip-sleep) dockerfile=docker/Dockerfile default_name=kubernetes-image-puller ;;
  cloner) programs=(image-cloner) dockerfile=docker/Dockerfile.image-cloner default_name=image-cloner ;;
  *) fail "--of '$of': puller or cloner is needed" ;;
esac
version=$(workspace_version)
[ -n "$version" ] || fail "no version in [workspace.package] of Cargo.toml"
name=${DOCKERIMAGE_NAME:-$default_name}
tag=${DOCKERIMAGE_TAG:-$version}
image=$name:$tag
for platform in "${platforms[@]}"; do
  for program in "${programs[@]}"; do check_program "$platform" "$program"; done
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find_builder
kind=
if [ ${#platforms[@]} -eq 1 ]; then
  build "${platforms[0]}" "$image"
  check_size "$image"
else
  kind=index_
  build_index
fi
if [ -n "$registry" ]; then
  case $name in
    */*) reference=$registry/$image ;;
    *) reference=$registry/library/$image ;;
  esac
  "push_$kind$builder" "$reference"
  say "pushed $reference"
fi
