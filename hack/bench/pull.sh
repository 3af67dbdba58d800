#!/usr/bin/env bash
# Measures the kubectl plugin, the very program that `make pull-build` makes, on a real cluster of two nodes: one that keeps
# the layers of its images, and one that throws them away. Prints the tables of docs/pull-image.md.
#
# An image of 1 GB in 8 layers, each time into an empty cache, at 1, 2 and 4 streams, beside the same bytes by
# `kubectl exec POD -- cat … | tee FILE | sha256sum`: in turn, several rounds, medians. Then an image that differs in one layer,
# with the cache as it is. The sink is a folder, into which the layers are copied from the cache: so a whole pull writes each byte twice,
# kubectl's pipe once.
#
#   hack/bench/pull.sh [ROUNDS]      five without it; KIP_BENCH_MB=256 for a smaller image
#
# A cluster that is there under the name kip-bench-pull is used, and stays; else one is made, and is removed again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rounds=${1:-5}
layers=8 files=8
file_bytes=$((${KIP_BENCH_MB:-1024} * 1000000 / layers / files))
for tool in skopeo jq openssl curl tar /usr/bin/time; do
  command -v "$tool" >/dev/null || { echo "'$tool' is needed (Debian: skopeo jq openssl curl tar time)" >&2; exit 1; }
done
[ -x bin/kip-sleep ] || hack/build.sh
if [ ! -x bin/kubectl-pull_image ] || [ ! -d target/agents ]; then hack/build.sh --of plugin; fi
cluster=kip-bench-pull

. hack/bench/servers.sh
own=
tag=
sampler=
finish() {
  [ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true
  if [ -n "$own" ]; then
    hack/local-cluster.sh down --name "$cluster" >/dev/null 2>&1 || true
  elif [ -n "$tag" ]; then
    clear_up >/dev/null 2>&1 || true
  fi
  end_servers
}
trap finish EXIT

# Of a cluster that stays: the pods, and the images on the nodes.
clear_up() {
  local node
  kubectl delete namespace "$tag" --wait=false
  for node in node-1 node-2; do
    hack/local-cluster.sh ctr --name "$cluster" "$node" images list --quiet | grep -F ":$tag" |
      xargs -r hack/local-cluster.sh ctr --name "$cluster" "$node" images remove
  done
}

if ! hack/local-cluster.sh env --name "$cluster" >/dev/null 2>&1; then
  own=yes
  hack/local-cluster.sh up --name "$cluster" --nodes 2 >/dev/null
fi
set -a
eval "$(hack/local-cluster.sh env --name "$cluster")"
set +a
kubectl() { "$KIP_TOOLS/kubectl" "$@"; }
# No image of an earlier run has this tag.
tag=bench-$EPOCHSECONDS
kubectl create namespace "$tag" >/dev/null

# === images ===

# Bytes without end: such as do not get smaller, and the programs of the cluster, one after the other.
content() { # KIND
  case $1 in
  random) cat /dev/urandom ;;
  programs) while cat "$KIP_TOOLS"/*; do :; done ;;
  esac
}

# Stores a blob in the layout; prints its descriptor without a media type.
put() { # FILE
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  jq --null-input --compact-output --arg digest "sha256:$digest" --argjson size "$(stat --format %s "$1")" '{$digest, $size}'
  mv "$1" "$layout/blobs/sha256/$digest"
}

# A tar of the files in a folder as a layer, in the form that Docker's has. Its digest, as it is not compressed, is its diff_id.
layer() { # FOLDER
  local names
  mapfile -t names < <(ls "$1")
  tar --create --format=ustar --blocking-factor=1 --sort=name --owner=0 --group=0 --numeric-owner --file "$work/layer" \
    --directory "$1" "${names[@]}"
  put "$work/layer"
}

# Pushes an image of these layers. They are compressed with gzip on the way.
push() { # NAME LAYERS
  local config
  jq --null-input --compact-output --arg arch "$architecture" --argjson layers "$2" \
    '{os: "linux", architecture: $arch, config: {Entrypoint: ["/kip-sleep", "24h"]},
      rootfs: {type: "layers", diff_ids: [$layers[].digest]}}' >"$work/config"
  config=$(put "$work/config")
  jq --null-input --compact-output --argjson config "$config" --argjson layers "$2" \
    '"application/vnd.oci.image." as $of | {schemaVersion: 2, mediaType: "\($of)manifest.v1+json",
      config: ($config + {mediaType: "\($of)config.v1+json"}), layers: [$layers[] + {mediaType: "\($of)layer.v1.tar"}]}' \
    >"$work/manifest"
  put "$work/manifest" | jq --compact-output \
    '{schemaVersion: 2, manifests: [. + {mediaType: "application/vnd.oci.image.manifest.v1+json"}]}' >"$layout/index.json"
  skopeo copy --quiet --dest-tls-verify=false "oci:$layout" "docker://$KIP_REGISTRY/bench/$1:$tag"
}

# An image of 1 GB of a kind, and another one that has another last layer.
make_images() { # KIND
  local all=() number folder
  (
    set +o pipefail
    content "$1" 2>/dev/null | head -c $(((layers + 1) * files * file_bytes)) |
      split --bytes "$file_bytes" --numeric-suffixes --suffix-length 3 - "$work/file-"
  )
  set -- "$1" "$work"/file-*
  for number in $(seq $((layers + 1))); do
    folder=$work/tree
    mkdir -p "$folder/$tag-$1-$number"
    [ "$number" != 1 ] || install -m 0755 bin/kip-sleep "$folder/kip-sleep"
    mv "${@:2 + (number - 1) * files:files}" "$folder/$tag-$1-$number"
    all+=("$(layer "$folder")")
    rm -r "$folder"
  done
  push "$1" "$(jq --slurp --compact-output ".[:$layers]" <<<"${all[*]}")"
  push "$1-next" "$(jq --slurp --compact-output "del(.[$((layers - 1))])" <<<"${all[*]}")"
  rm "$layout"/blobs/sha256/*
}

# An image with this machine's own cat and the libraries that it needs.
make_reader() {
  local folder=$work/tree file
  install -D -m 0755 "$(command -v cat)" "$folder/bin/cat"
  install -m 0755 bin/kip-sleep "$folder/kip-sleep"
  ldd "$folder/bin/cat" | grep -o '/[^ ]*' | while read -r file; do install -D -m 0755 "$file" "$folder$file"; done
  push reader "[$(layer "$folder")]"
  rm -r "$folder"
}

# Runs an image on a node. It sees the folder of containerd there.
start() { # NAME NODE
  jq --null-input --arg name "$1-$2" --arg node "$2" --arg image "$KIP_REGISTRY/bench/$1:$tag" \
    --arg folder "$KIP_CLUSTER_DIR/n/$2/containerd" \
    '{apiVersion: "v1", kind: "Pod", metadata: {$name}, spec: {
      nodeName: $node, terminationGracePeriodSeconds: 0, automountServiceAccountToken: false,
      containers: [{name: "main", $image,
        volumeMounts: [{name: "containerd", mountPath: "/containerd", readOnly: true}]}],
      volumes: [{name: "containerd", hostPath: {path: $folder}}]}}' |
    kubectl --namespace "$tag" apply --filename - >/dev/null
}

case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
layout=$work/layout
mkdir -p "$layout/blobs/sha256"
echo '{"imageLayoutVersion": "1.0.0"}' >"$layout/oci-layout"
make_images random
make_images programs
make_reader
for name in reader random random-next; do start "$name" node-1; done
for name in reader random random-next programs programs-next; do start "$name" node-2; done
kubectl --namespace "$tag" wait --for=condition=Ready pod --all --timeout=600s >/dev/null

# === measuring ===

# CPU seconds so far: of what is on the way to a node, and of the pods there, which is the agent or cat.
spent() { # NODE
  local component ticks=0 pods
  for component in apiserver "kubelet:$1" "containerd:$1"; do
    ticks=$((ticks + $(awk '{ print $14 + $15 }' "/proc/$(cut -d' ' -f1 "$KIP_CLUSTER_DIR/pids/$component")/stat")))
  done
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    pods=$(awk '/^usage_usec/ { print $2 / 1e6 }' "/sys/fs/cgroup/kip-$cluster/$1/cpu.stat")
  else
    pods=$(awk '{ print $1 / 1e9 }' "/sys/fs/cgroup/cpuacct/kip-$cluster/$1/cpuacct.usage")
  fi
  awk -v ticks="$ticks" -v hz="$(getconf CLK_TCK)" -v pods="$pods" 'BEGIN { print ticks / hz, pods }'
}

# Measures a command. Its line of samples: whole seconds, CPU seconds and peak megabytes of the client, CPU seconds on the way
# and of the pods.
sample() { # SAMPLES NODE COMMAND …
  local before after
  echo "$1" >"$work/current"
  before=$(spent "$2")
  measure now "${@:3}"
  after=$(spent "$2")
  echo "$(cat "$work/now") $before $after" | awk '{ print $1, $2, $3, $6 - $4, $7 - $5 }' >>"$work/$1"
  rm "$work/now"
  # What the helper pod's end costs is nobody's. A folder that is gone before it is on the disk is not written there.
  kubectl --namespace "$tag" wait --for=delete pod --selector app.kubernetes.io/name=kubectl-pull-image --timeout=60s >/dev/null
  rm -rf "$work/out"
}

# Peak megabytes of the agents, all that run at a time together and the largest of them, twice a second.
watch_agents() {
  local pid peak most sum
  while sleep 0.5; do
    most=0 sum=0
    for pid in $(pgrep -f '^/pull-image-[0-9a-f]*/agent/kip-agent serve'); do
      # Another cluster may be on this machine.
      grep -qsF "/kip-$cluster/" "/proc/$pid/cgroup" || continue
      peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) || continue
      [ -n "$peak" ] || continue
      sum=$((sum + peak))
      [ "$peak" -le "$most" ] || most=$peak
    done
    [ "$sum" = 0 ] || awk -v sum="$sum" -v most="$most" 'BEGIN { print sum / 1024, most / 1024 }' \
      >>"$work/$(cat "$work/current").agents"
  done
}

# The same content by kubectl. A pipe's last bytes may be lost without an error: they are counted.
by_cat() { # KIND NODE
  local blobs=/containerd/io.containerd.content.v1.content/blobs/sha256 snapshots=io.containerd.snapshotter.v1.overlayfs/snapshots
  local all=() bytes
  case $2 in
  node-1)
    mapfile -t all < <(skopeo inspect --raw --tls-verify=false "docker://$KIP_REGISTRY/bench/$1:$tag" |
      jq --raw-output --arg blobs "$blobs" '.layers[].digest | sub("sha256:"; "\($blobs)/")')
    ;;
  node-2) (cd "$KIP_CLUSTER_DIR/n/$2/containerd" && printf '/containerd/%s\n' "$snapshots"/*/fs/"$tag-$1"-[1-8]/*) >"$work/all"
    mapfile -t all <"$work/all" ;;
  esac
  # shellcheck disable=SC2016 # expanded by that shell
  sample "$1-$2-cat" "$2" bash -c 'set -o pipefail; "$KIP_TOOLS/kubectl" --namespace "$0" exec "$1" -- cat "${@:3}" | tee "$2" | sha256sum' \
    "$tag" "reader-$2" "$work/file" "${all[@]}"
  bytes=$(stat --format %s "$work/file")
  rm "$work/file"
  [ "$bytes" = "$(cat "$work/bytes-$1-$2" 2>/dev/null || echo "$bytes")" ] || { echo "$1 on $2: cat brought $bytes bytes" >&2; return 1; }
  echo "$bytes" >"$work/bytes-$1-$2"
}

pull() { # SAMPLES STREAMS POD NODE
  sample "$1" "$4" bin/kubectl-pull_image --namespace "$tag" --quiet --output json --streams "$2" --cache-dir "$work/cache" \
    --to "oci:$work/out" "$3-$4"
  # Beside its line: bytes, bytes over the network, seconds of the transfer.
  jq --raw-output '"\(.fetched.bytes) \(.fetched.wireBytes) \(.fetched.seconds)"' "$work/said" >>"$work/$1.fetched"
  jq --raw-output '.layers | "\(.blob) as blobs, \(.proven) proven, \(.rebuilt) rebuilt"' "$work/said" >"$work/$1.layers"
}

by_plugin() { # KIND NODE STREAMS
  pull "$1-$2-$3" "$3" "$1" "$2"
  # What is in the cache now is also in the other image, but for one layer.
  [ "$3" != 2 ] || pull "$1-$2-next" 2 "$1-next" "$2"
  rm -rf "$work/cache"
}

echo none >"$work/current"
watch_agents &
sampler=$!

cases=("random node-1" "random node-2" "programs node-2")
for round in $(seq "$rounds"); do
  for case in "${cases[@]}"; do
    read -r kind node <<<"$case"
    # In turn, and another one first each time.
    ways=(cat 1 2 4)
    ways=("${ways[@]:round % 4}" "${ways[@]:0:round % 4}")
    for way in "${ways[@]}"; do
      case $way in
      cat) by_cat "$kind" "$node" ;;
      *) by_plugin "$kind" "$node" "$way" ;;
      esac
    done
  done
done

# === tables ===

# The largest of a column of samples.
largest() { # SAMPLES COLUMN
  awk -v column="$2" '$column > most { most = $column } END { print most + 0 }' "$work/$1" 2>/dev/null || echo 0
}

row() { # SAMPLES TITLE BYTES WIRE TRANSFER-SECONDS BASE-RATE
  local whole
  whole=$(median "$1" 1)
  awk -v title="$2" -v bytes="$3" -v wire="$4" -v transfer="$5" -v base="$6" -v whole="$whole" \
    -v client="$(median "$1" 2)" -v way="$(median "$1" 4)" -v pods="$(median "$1" 5)" -v peak="$(largest "$1" 3)" \
    -v agents="$(largest "$1.agents" 1)" -v agent="$(largest "$1.agents" 2)" 'BEGIN {
      rate = bytes / transfer / 1e6
      printf "| %s | %.2f | %.2f | %.1f | %.1f | %.0f | %s | %.2f | %.2f | %.2f | %.1f | %s |\n", title, whole, transfer,
        bytes / 1e6, wire / 1e6, rate, base ? sprintf("%.2f (%.2f)", rate / base, bytes / whole / 1e6 / base) : "",
        client, way, pods, peak, agent ? sprintf("%.1f (%.1f)", agent, agents) : "" }'
}

printf '%s, %s processors, kernel %s; Kubernetes %s; an image of %s MB in %s layers; rounds: %s, medians, of peaks the largest\n' \
  "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" "$(uname -r)" \
  "$(kubectl version --output json | jq --raw-output .serverVersion.gitVersion)" \
  "$((layers * files * file_bytes / 1000000))" "$layers" "$rounds"
for case in "${cases[@]}"; do
  read -r kind node <<<"$case"
  case $kind-$node in
  random-node-1) title='Layers as blobs (gzip), which get no smaller' ;;
  random-node-2) title='Layers thrown away, made again: random content' ;;
  programs-node-2) title='Layers thrown away, made again: programs' ;;
  esac
  printf '\n%s (%s):\n\n' "$title" "$(cat "$work/$kind-$node-2.layers")"
  echo '| How | Whole, s | Transfer, s | MB | MB sent | MB/s | Of the rate of cat: transfer (whole) | CPU s: client | API server, kubelet, containerd | Agent, or cat | Peak MB: client | An agent (all) |'
  echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |'
  bytes=$(cat "$work/bytes-$kind-$node")
  seconds=$(median "$kind-$node-cat" 1)
  # shellcheck disable=SC2016 # that is Markdown
  row "$kind-$node-cat" '`kubectl exec … cat`' "$bytes" "$bytes" "$seconds" ''
  base=$(awk -v bytes="$bytes" -v seconds="$seconds" 'BEGIN { print bytes / seconds / 1e6 }')
  for way in 1 2 4 next; do
    samples=$kind-$node-$way
    case $way in
    1) title='1 stream' ;;
    next) title='Another image with 1 new layer, 2 streams' base='' ;;
    *) title="$way streams" ;;
    esac
    row "$samples" "$title" "$(median "$samples.fetched" 1)" "$(median "$samples.fetched" 2)" "$(median "$samples.fetched" 3)" "$base"
  done
done
echo
echo '| What | Bytes |'
echo '| --- | --- |'
for file in target/agents/*/kip-agent; do
  printf "| The agent for %s | %s |\n" "$(basename "$(dirname "$file")")" "$(stat --format "%s" "$file")"
done
printf "| The plugin, with both | %s |\n" "$(stat --dereference --format %s bin/kubectl-pull_image)"
