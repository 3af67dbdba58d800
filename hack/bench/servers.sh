# shellcheck shell=bash disable=SC2034 # variables are shared with the scripts that source this
# Registries to measure with, and what is measured. Sourced by the scripts beside it; `work` is a folder that goes when they end,
# and so do the processes in `servers`.

work=$(mktemp -d)
servers=()
end_servers() {
  [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap end_servers EXIT

# Waits for a line of a server's log that a pattern finds, and prints what the pattern groups.
address() { # LOG PATTERN
  local log=$1 pattern=$2 found
  for _ in $(seq 300); do
    found=$(sed -nE "s/$pattern/\\1/p" "$log" | head -1)
    [ -z "$found" ] || { echo "$found"; return; }
    sleep 0.1
  done
  echo "no address in 30 s:" >&2
  cat "$log" >&2
  return 1
}

# Starts a docker-registry with a folder of its own; sets `registry` and `pid`.
start_registry() { # NAME
  local folder=$work/$1
  mkdir -p "$folder"
  printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' \
    "$folder/data" >"$folder/config.yaml"
  docker-registry serve "$folder/config.yaml" >"$folder/log" 2>&1 &
  pid=$!
  servers+=("$pid")
  registry=$(address "$folder/log" '.*listening on ([0-9.:]+).*')
}

stop_registry() { # NAME
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  rm -rf "${work:?}/$1"
}

# Runs a command, and writes its seconds, CPU seconds and peak kilobytes into a file of samples.
measure() { # SAMPLES COMMAND …
  local samples=$1
  shift
  /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }
  awk '{ print $1, $2 + $3, $4 / 1024 }' "$work/time" >>"$work/$samples"
}

# The middle one of a column of samples.
median() { # SAMPLES COLUMN
  awk -v column="$2" '{ print $column }' "$work/$1" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}
