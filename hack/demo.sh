#!/usr/bin/env bash
# The image puller on a real Kubernetes of two nodes on this machine, without Docker: boots the cluster `demo`,
# installs the chart, shows the images arriving on the nodes, and says what to try next. A cluster that is up is
# kept, an installed chart upgraded. Linux, root, Rust, Go and a C compiler are needed.
#
#   hack/demo.sh             with hack/demo-values.yaml
#   hack/demo.sh VALUES      with another values file; its images must be in the cluster's registry
#
# KIP_DEMO_DEADLINE: how many seconds the images may take (default 180). NO_COLOR: no colours.
# shellcheck disable=SC2016 # commands for the reader, awk's and Go's variables
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

release=kubernetes-image-puller
namespace=image-puller
deadline=${KIP_DEMO_DEADLINE:-180}
patience=20 # with nothing left but failures; kubelet tries again after some 10 s
shell_set_up='  eval "$(hack/local-cluster.sh env)"; export KUBECONFIG PATH="$KIP_TOOLS:$PATH"'

fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
now() { echo "${EPOCHREALTIME/[.,]/}"; }
since() { local tenths=$((($(now) - $1) / 100000)); printf '%d.%d s' $((tenths / 10)) $((tenths % 10)); }

# The terminal's rows and columns.
screen() { { stty size </dev/tty; } 2>/dev/null | grep -v ' 0$' || echo 24 80; }

# Says how far a step is, over and over in a line of the terminal.
tick() { # HEADING STARTED
  local width text
  while sleep 0.3 && kill -0 $$; do
    read -r _ width < <(screen)
    text="$1  $(since "$2")  $(tail -n 1 "$log" | tr -cd '[:print:]')"
    printf '\r%s\e[K' "${text:0:width-1}"
  done 2>/dev/null
}

stop_ticker() {
  [ -n "$ticker" ] || return 0
  kill -KILL "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  ticker=
  printf '\r\e[K'
}

# step TITLE COMMAND…: what the command prints is kept, and shown when it fails. The command stays in the
# foreground, where Ctrl-C reaches it.
step() {
  local heading started status=0
  started=$(now)
  number=$((number + 1)) heading="[$number/7] $1"
  shift
  if [ -n "$terminal" ]; then
    tick "$heading" "$started" &
    ticker=$!
  else
    echo "$heading …"
  fi
  "$@" >"$log" 2>&1 || status=$?
  stop_ticker
  [ $status = 0 ] || { tail -n 40 "$log" >&2; fail "$heading: failed after $(since "$started")"; }
  printf '%s: %s\n' "$heading" "$(since "$started")"
}

# What the cluster says, a line each: nodes, the list of images, and the containers of the DaemonSet's pods.
template='{{range .items}}{{if eq .kind "Node"}}node {{.metadata.name}}
{{else if eq .kind "ConfigMap"}}{{with .data.IMAGES}}images
{{.}}
end
{{end}}{{else if and (eq (print (index .metadata.labels "app.kubernetes.io/component")) "holder") (not .metadata.deletionTimestamp)}}
{{- $node := .spec.nodeName}}{{range .spec.containers}}container {{$node}} {{.name}} {{.image}}
{{end}}{{range .status.containerStatuses}}status {{$node}} {{.name}} {{if .state.running}}running{{end}}
{{- with .state.waiting}}{{.reason}}{{end}}{{with .state.terminated}}{{.reason}}{{end}}
{{end}}{{end}}{{end}}'

# cells: a line `IMAGE NODE STATE…` for each of both. Cached and failed is the pods' word. kubelet gives it only
# when it has been through all containers of a pod; until then containerd's log tells what is being pulled and
# what is there. (kubelet's Events would not do: it drops those past the 25th of a pod.)
cells() {
  local objects
  objects=$(kubectl --request-timeout=5s -n $namespace get nodes,configmaps,pods -o go-template="$template" 2>/dev/null) || return 1
  awk '
    FILENAME ~ /containerd-[^\/]*$/ {
      if (!/msg="(PullImage|Pulled image) / || /returns/) next
      node = FILENAME; gsub(/.*\/containerd-|\.log$/, "", node)
      split($0, quoted, /\\"/); key = node SUBSEP quoted[2]
      seen[key] = 1; pull[key] = ""
      if (/PullImage/) next
      # Go prints 212.02ms, 1.5s, 1m2.5s.
      gsub(/.* in |"$/, "")
      pull[key] = sprintf(" %.1fs", split($0, part, "m") == 1 ? $0 : part[2] == "s" ? $0 / 1000 : part[1] * 60 + part[2])
      next
    }
    $1 == "images" || $1 == "end" { inside = $1 == "images"; next }
    inside && NF {
      label[++rows] = image[rows] = $1
      sub(/^[^=]*=/, "", image[rows])
      if (!sub(/=.*/, "", label[rows])) gsub(/.*\/|[:@].*/, "", label[rows])
      next
    }
    $1 == "node" { node_name[++nodes] = $2 }
    $1 == "container" { held[$2, $3] = $4 }
    $1 == "status" {
      key = $2 SUBSEP held[$2, $3]
      if ($4 == "running") state[key] = "cached"
      else if ($4 !~ /^(PodInitializing|ContainerCreating)?$/ && state[key] == "") state[key] = "failed: " $4
    }
    END {
      for (row = 1; row <= rows; row++) for (n = 1; n <= nodes; n++) {
        key = node_name[n] SUBSEP image[row]
        text = state[key] != "" ? state[key] : !seen[key] ? "waiting" : pull[key] == "" ? "pulling" : "pulled"
        print label[row], node_name[n], text (text ~ /^(cached|pulled)$/ ? pull[key] : "")
      }
    }' "$KIP_CLUSTER_DIR"/logs/containerd-*.log - <<<"${objects//;/$'\n'}"
}

# frame CELLS WIDTH: the whole table, for a terminal.
frame() {
  awk -v width="$2" -v colours="$colours" '
    function paint(text, room,   colour) {
      colour = text ~ /^cached/ ? 32 : text ~ /^pull/ ? 33 : text ~ /^failed/ ? 31 : ""
      text = sprintf("%-" room "s  ", substr(text, 1, room))
      sub(/^waiting/, "·      ", text)
      printf "%s", colours && colour ? "\033[" colour "m" text "\033[0m" : text
    }
    $1 != row { row = label[++rows] = $1; nodes = 0 }
    { node[++nodes] = $2; state = $0; sub(/^[^ ]+ [^ ]+ /, "", state); cell[rows, nodes] = state }
    length($1) > first { first = length($1) > 24 ? 24 : length($1) }
    END {
      room = int((width - first - 3) / nodes) - 2
      room = room > 26 ? 26 : room < 7 ? 7 : room
      for (r = 0; r <= rows; r++) {
        paint(r ? label[r] : "IMAGE", first)
        for (n = 1; n <= nodes; n++) paint(r ? cell[r, n] : node[n], room)
        printf "\033[K\n"
      }
    }' <<<"$1"
}

# follow: shows the table until every image is on every node, or (1) that is not to be expected any more.
follow() {
  local cells='' before='' started rows width cached=0 failed=0 total=0 most=0 drawn=0 text tally
  local first=$SECONDS changed=$SECONDS
  started=$(now)
  while :; do
    cells=$(cells) || cells=$before
    total=$(grep -c . <<<"$cells") || true
    cached=$(grep -c ' cached' <<<"$cells") || true
    failed=$(grep -c ' failed: ' <<<"$cells") || true
    tally="$cached of $total cached, $(since "$started")"
    if [ -n "$terminal" ] && [ "$total" -gt 0 ]; then
      read -r rows width < <(screen)
      text=$(frame "$cells" "$width")$'\n'$tally
      # What has scrolled away cannot be drawn over.
      [ "$(wc -l <<<"$text")" -lt "$rows" ] || terminal=
    fi
    if [ -z "$terminal" ] && [ "$cells" != "$before" ]; then
      { grep -vxF -f <(echo "$before") <<<"$cells" || true; } | sed "/ waiting$/d; s/^/$(since "$started")  /"
    elif [ -n "$terminal" ] && [ "$total" -gt 0 ]; then
      [ "$drawn" = 0 ] || text=$'\e['$drawn$'A\r'$text
      printf '%s\e[K\n\e[J' "$text"
      drawn=$(wc -l <<<"$text")
    fi
    if [ "$total" -gt 0 ] && [ "$cached" = "$total" ]; then break; fi
    [ "$cached" = "$most" ] && [ $((cached + failed)) = "$total" ] || most=$cached changed=$SECONDS
    [ $((SECONDS - changed)) -lt $patience ] || return 1
    [ $((SECONDS - first)) -lt "$deadline" ] || return 1
    before=$cells
    sleep 0.2
  done
  [ -n "$terminal" ] || echo "$tally"
}

explain() {
  printf '\nMissing:\n%s\n\nThe last lines of the daemon:\n%s\n\nEvents:\n%s\n\n' "$(cells | grep -v ' cached')" \
    "$(kubectl -n $namespace logs deployment/$release --tail=10 2>&1)" \
    "$(kubectl -n $namespace events --types=Warning 2>&1 | tail -n 10)"
  printf 'The cluster stays up for a look:\n%s\nIts end:\n  hack/local-cluster.sh down\n' "$shell_set_up"
}

suggest() {
  local version holders=app.kubernetes.io/component=holder list='kubectl get configmap k8s-image-puller -o yaml'
  version=$(sed -n 's/^appVersion: *//p' deploy/helm/Chart.yaml)
  cat <<TEXT

What to try next, in this folder (Ctrl-C ends a --watch). First, in your shell:
$shell_set_up
  kubectl config set-context --current --namespace $namespace
What the daemon tells, and its metrics:
  kubectl events --for deployment/$release --watch
  daemon=\$(kubectl get pods -l app=$release -o name)
  kubectl get --raw /api/v1/namespaces/$namespace/pods/\${daemon#*/}:8080/proxy/metrics
Delete the DaemonSet: it is back within a second
  kubectl delete daemonset $release; kubectl get daemonset,pods
Add an image to the list: pods that hold it as well take over
  $list | sed 's|IMAGES: .*|&\n    more=$release:${version//\"/};|' | kubectl replace -f -
  kubectl rollout status daemonset/$release
Break the list: an Event says what is wrong, and the last good list stays
  $list | sed 's|/demo/scratch|/DEMO/scratch|' | kubectl replace -f -
  kubectl events --for deployment/$release --types Warning
Stop the registry and kill a sleeper: it is back (RESTARTS) without a registry
  hack/local-cluster.sh stop registry
  sleeper=\$(kubectl get pods -l $holders -o jsonpath='{.items[0].spec.nodeName} {.items[0].status.containerStatuses[0].containerID}')
  hack/local-cluster.sh ctr "\${sleeper% *}" tasks kill --signal SIGKILL "\${sleeper#*//}"
  kubectl get pods -l $holders --watch
  hack/local-cluster.sh start registry
Add a node, put the list back, and see the table again:
  hack/local-cluster.sh add-node node-3 && hack/demo.sh
Remove everything:
  hack/local-cluster.sh down
TEXT
}

values=${1:-hack/demo-values.yaml}
case $values in -* | help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit ;; esac
[ -r "$values" ] || fail "there is no values file '$values'; an example is hack/demo-values.yaml"
[ "$(uname -s) $(id -u)" = 'Linux 0' ] || fail "the local cluster needs Linux and root (network namespaces, mounts, cgroups)"
for program in cargo go cc; do
  command -v $program >/dev/null || fail "'$program' was not found; Rust, Go and a C compiler (Debian: gcc libc6-dev) are needed"
done
terminal='' colours='' ticker='' number=0
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then terminal=yes; fi
[ -n "${NO_COLOR:-}" ] || colours=$terminal
log=$(mktemp)
trap 'stop_ticker; rm -f "$log"' EXIT
trap 'stop_ticker; printf "\ndemo: stopped. Go on: hack/demo.sh. Remove all: hack/local-cluster.sh down\n" >&2; exit 130' INT TERM

printf 'The image puller on a Kubernetes of two nodes on this machine, without Docker.\n'
printf 'The first time takes 10 to 15 minutes, to build Kubernetes; later less than one.\n\n'
step "Kubernetes, containerd, etcd and Helm from source" hack/tools/build.sh
step "kip-daemon and kip-sleep" hack/build.sh
step "cluster 'demo': control plane, registry, two nodes" hack/local-cluster.sh up
eval "$(hack/local-cluster.sh env)"
export KUBECONFIG PATH=$KIP_TOOLS:$PATH
step "the puller's image into the registry" hack/image.sh --push "$KIP_REGISTRY"
step "sample images into the registry" \
  cargo run -q --locked -p kip-e2e --bin sample-images -- --registry "$KIP_REGISTRY" --prefix demo --tag 1
install=(helm install "$release" deploy/helm -f "$values" -n "$namespace" --create-namespace)
# Edits of the ConfigMap by hand, to which the demo invites, give way to the values.
if helm status $release -n $namespace >/dev/null 2>&1; then
  install=(helm upgrade "$release" deploy/helm -f "$values" -n "$namespace" --force-conflicts)
fi
step "${install[*]}" "${install[@]}"
printf '[7/7] the images arrive on the nodes:\n\n'
follow || { explain >&2 || true; exit 1; }
suggest
