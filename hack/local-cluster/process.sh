# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with hack/local-cluster.sh
# Background processes of a cluster: start, tell whether alive, end. Sourced by hack/local-cluster.sh.
#
# Each has a file in $dir/pids: process id, start time and boot id. A process id alone could by now belong
# to somebody else, and `down` must never end a stranger.

boot_id=$(</proc/sys/kernel/random/boot_id)

# identity PID: the start time of a process in clock ticks; nothing for one that is gone or a zombie.
identity() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  stat=${stat##*) } # the program's name may hold blanks and brackets
  local -a field
  read -ra field <<<"$stat"
  [ "${field[0]}" != Z ] && [ "${field[0]}" != X ] && echo "${field[19]}"
}

# pid_of COMPONENT: its process id, if it is alive.
pid_of() {
  local pid start boot
  { read -r pid start boot <"$dir/pids/$1"; } 2>/dev/null || return 1
  [ "$boot" = "$boot_id" ] && [ "$(identity "$pid")" = "$start" ] && echo "$pid"
}

alive() { pid_of "$1" >/dev/null; }

log_of() { echo "$dir/logs/${1/:/-}.log"; }

# launch COMPONENT NETNS PROGRAM ARGUMENT…: starts it in the background, in a session of its own, so that it
# outlives this script. NETNS may be empty. Standard output goes to $launch_stdout, else to the log.
launch() {
  local component=$1 netns=$2 log
  shift 2
  ! alive "$component" || fail "$component runs already"
  log=$(log_of "$component")
  [ -z "$netns" ] || set -- nsenter --net="/run/netns/$netns" -- "$@"
  # A clean environment: a proxy setting of the caller would lead image pulls astray.
  set -- setsid env -i PATH="$tools:$PATH" HOME=/root LANG=C.UTF-8 "$@"
  (
    # Open files of the caller (a lock, a pipe that somebody reads to its end) must not live on in it.
    for fd in "/proc/$BASHPID/fd/"*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || [ "$fd" -eq 255 ] || eval "exec $fd>&-"
    done
    exec "$@"
  ) </dev/null >>"${launch_stdout:-$log}" 2>>"$log" &
  echo "$! $(identity $!) $boot_id" >"$dir/pids/$component"
  rm -f "$dir/stopped/$component"
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds. It is an error when the time passes, or when
# $watch_component ends meanwhile.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ -n "${watch_component:-}" ] && ! alive "$watch_component"; then
      fail_with_log "$watch_component" "$watch_component ended while waiting for $what"
    fi
    if [ $SECONDS -ge $deadline ]; then
      [ -z "${watch_component:-}" ] || fail_with_log "$watch_component" "$what: not within the time"
      fail "$what: not within the time; logs are in $dir/logs"
    fi
    sleep 0.05
  done
}

fail_with_log() { # COMPONENT MESSAGE
  say "the end of $(log_of "$1"):"
  tail -n 15 "$(log_of "$1")" >&2 || true
  fail "$2"
}

# end_pids PID…: kills them and waits until they are really gone, or 30 seconds.
end_pids() {
  local deadline=$((SECONDS + 30)) pid
  [ $# -gt 0 ] || return 0
  kill -KILL "$@" 2>/dev/null || true
  for pid in "$@"; do
    while identity "$pid" >/dev/null; do
      [ $SECONDS -lt $deadline ] || fail "process $pid does not end"
      sleep 0.02
    done
  done
}

# end_components COMPONENT…: those that are alive; forgets them all.
end_components() {
  local component pid
  local -a pids=()
  for component in "$@"; do
    pid=$(pid_of "$component") && pids+=("$pid")
  done
  end_pids "${pids[@]}"
  for component in "$@"; do rm -f "$dir/pids/$component"; done
}

# leftovers FOLDER: process ids of a cluster's programs whose arguments name a path below it: containerd's
# shims, CRI-O's monitors, and whatever was started just before a script was killed that had yet to write it down.
leftovers() {
  local cmdline pid
  while read -r cmdline; do
    pid=${cmdline#/proc/} pid=${pid%/cmdline}
    case $(readlink "/proc/$pid/exe") in
      */containerd-shim-runc-v2 | */conmon | */crio | */docker-registry | */registry | "${tools:?}"/* | "${kubernetes:?}"/*) echo "$pid" ;;
    esac
  done < <(grep -lsaF -- "$1/" /proc/[0-9]*/cmdline || true)
}

# end_leftovers FOLDER
end_leftovers() {
  local -a pids
  mapfile -t pids < <(leftovers "$1")
  end_pids "${pids[@]}"
}
