#!/usr/bin/env bash
# Measures how much more of a node's disk an image takes than is pulled: containerd keeps the pulled, compressed layers,
# and beside them the unpacked files. Images of several kinds are made of the file trees of this machine, one gzip layer
# each as builders make them, and imported into a containerd of their own (overlayfs). `kip-daemon check --registries`
# estimates by the figure in the last line (ON_DISK_PERCENT in crates/kip-daemon/src/footprint.rs).
#
#   hack/bench/footprint.sh [NAME=PATH …]      besides the kinds below; needs root
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[ "$(id -u)" = 0 ] || { echo "root is needed: containerd mounts what it unpacks" >&2; exit 1; }
for tool in tar gzip jq; do
  command -v "$tool" >/dev/null || { echo "'$tool' is needed (Debian: $tool)" >&2; exit 1; }
done
tools=$(hack/tools/build.sh containerd ctr)

work=$(mktemp -d)
daemon=
finish() {
  [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

cat >"$work/config.toml" <<TOML
version = 3
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/socket"
[ttrpc]
  address = "$work/socket.ttrpc"
TOML
"$tools/containerd" --config "$work/config.toml" >"$work/log" 2>&1 &
daemon=$!
for _ in $(seq 300); do
  "$tools/ctr" --address "$work/socket" version >/dev/null 2>&1 && break
  sleep 0.1
done
"$tools/ctr" --address "$work/socket" version >/dev/null || { cat "$work/log" >&2; exit 1; }

# The bytes that a folder takes on the disk.
taken() { du --summarize --block-size=1 "$1" 2>/dev/null | cut -f1; }

# Lists the files of installed packages, one after another with a zero byte between.
files_of() { # PACKAGE …
  dpkg-query --listfiles "$@" | sort -u | while IFS= read -r path; do
    # Folders come without what else is in them.
    if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\0' "$path"; fi
  done
}

# Makes an image of a list of files, imports it, and prints a line of figures.
image() { # NAME LIST
  local name=$1 list=$2 folder=$work/$1 pulled unpacked blobs snapshots blobs_before snapshots_before
  mkdir "$folder"
  tar --create --file "$folder/layer.tar" --null --no-recursion --files-from "$list" 2>/dev/null || [ -s "$folder/layer.tar" ]
  unpacked=$(stat --format %s "$folder/layer.tar")
  jq --null-input --compact-output --arg diff "sha256:$(sha256sum "$folder/layer.tar" | cut -d' ' -f1)" \
    --arg arch "$(go env GOARCH)" '{os: "linux", architecture: $arch, config: {}, rootfs: {type: "layers", diff_ids: [$diff]}}' \
    >"$folder/config.json"
  gzip -6 --no-name <"$folder/layer.tar" >"$folder/layer.tar.gz"
  rm "$folder/layer.tar"
  jq --null-input --compact-output --arg name "footprint.example/$name:1" \
    '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar.gz"]}]' >"$folder/manifest.json"
  tar --create --file "$folder/image.tar" --directory "$folder" manifest.json config.json layer.tar.gz
  pulled=$(stat --format %s "$folder/layer.tar.gz")
  blobs_before=$(taken "$work/root/io.containerd.content.v1.content")
  snapshots_before=$(taken "$work/root/io.containerd.snapshotter.v1.overlayfs")
  "$tools/ctr" --address "$work/socket" images import --snapshotter overlayfs "$folder/image.tar" >"$folder/said" 2>&1 ||
    { cat "$folder/said" >&2; return 1; }
  blobs=$(($(taken "$work/root/io.containerd.content.v1.content") - blobs_before))
  snapshots=$(($(taken "$work/root/io.containerd.snapshotter.v1.overlayfs") - snapshots_before))
  # An import that does not unpack would make a fine figure.
  [ "$snapshots" -ge "$((unpacked / 2))" ] || { echo "$name: $snapshots bytes unpacked of a tar of $unpacked" >&2; return 1; }
  rm -rf "$folder"
  echo "$name $pulled $blobs $snapshots" >>"$work/samples"
  awk -v name="$name" -v pulled="$pulled" -v blobs="$blobs" -v snapshots="$snapshots" 'BEGIN {
    mega = 1000000
    printf "figure: %-10s pulled %7.1f MB  on the disk %7.1f MB (blobs %7.1f, unpacked %7.1f)  factor %.2f\n",
      name, pulled / mega, (blobs + snapshots) / mega, blobs / mega, snapshots / mega, (blobs + snapshots) / pulled }'
}

tree() { # NAME PATH
  [ -e "$2" ] || { echo "figure: $1: not on this machine: $2"; return; }
  find "$2" -print0 >"$work/list"
  image "$1" "$work/list"
}

packages() { # NAME PACKAGE …
  local name=$1
  shift
  [ $# != 0 ] || { echo "figure: $name: its packages are not on this machine"; return; }
  files_of "$@" >"$work/list"
  image "$name" "$work/list"
}

# The installed packages whose names are like these.
like() { # PATTERN …
  dpkg-query --show --showformat '${db:Status-Abbrev} ${binary:Package}\n' "$@" 2>/dev/null | awk '$1 == "ii" { print $2 }'
}
essential() {
  dpkg-query --show --showformat '${db:Status-Abbrev} ${Essential} ${Priority} ${binary:Package}\n' |
    awk '$1 == "ii" && ($2 == "yes" || $3 == "required") { print $4 }'
}

printf 'figure: containerd %s, overlayfs on %s\n' "$("$tools/containerd" --version 2>/dev/null | awk '{ print $3 }')" \
  "$(stat --file-system --format %T "$work")"
mapfile -t names < <(essential; like 'libc6' 'libssl*' 'ca-certificates' 'libstdc++6')
packages base "${names[@]}"
mapfile -t names < <(like 'python3*' 'libpython3*')
packages python "${names[@]}"
mapfile -t names < <(like 'gcc*' 'g++*' 'cpp*' 'libgcc*' 'libstdc++*' 'libc6*' 'binutils*')
packages gcc "${names[@]}"
tree go "$(go env GOROOT)"
tree rust "$(rustc --print sysroot)"
tree jvm /usr/lib/jvm
# Programs without debug information, as images from scratch have them.
tree program "$tools"
for more in "$@"; do
  tree "${more%%=*}" "${more#*=}"
done

# Weighed by what is pulled: a list is a mixture.
awk '{ pulled += $2; disk += $3 + $4 } END { printf "figure: all together: %.2f times what is pulled\n", disk / pulled }' \
  "$work/samples"
