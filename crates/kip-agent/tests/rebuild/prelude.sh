set -u

# Files of every kind, whose names are long and short, in the current folder or the one that is named.
tree() {
  mkdir -p "$1"
  (
    cd "$1"
    long=$(printf 'l%.0s' {1..60})/$(printf 'm%.0s' {1..60}) longer=$(printf 'k%.0s' {1..120})
    mkdir -p etc/conf.d usr/bin "$long" "$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})/$(printf 'f%.0s' {1..90})" empty
    echo configured >etc/config
    echo more >etc/conf.d/more
    head -c 100000 /dev/zero | tr '\0' x >usr/bin/large
    head -c 512 /dev/zero | tr '\0' y >usr/bin/block
    : >etc/nothing
    cp /bin/true usr/bin/capable
    cp /bin/true usr/bin/setuid
    echo deep >"$long/file"
    echo deepest >"$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})/$(printf 'f%.0s' {1..90})/file"
    echo long >"$longer"
    ln -s "$longer" link
    ln -s /etc/config etc/absolute
    ln -s "$(printf '../%.0s' {1..60})etc/config" etc/far
    ln "$longer" hard
    ln etc/config etc/hard-too
    echo umlaut >'über'
    ln -s 'über' etc/auf
    # Between a folder and what is in it, for those who sort whole paths.
    echo between >etc-x
    echo owned >owned
    chown 54321:54322 owned
    echo far >far-owner
    chown 3000000:3000001 far-owner
    chmod 1777 empty
    chmod 2750 etc/conf.d
    chmod 4755 usr/bin/setuid
    [ "${plain:-}" ] || {
      mknod device c 10 3000
      mknod disk b 8 17
      mkfifo fifo
      setcap cap_net_raw+ep usr/bin/capable
      setfattr -n user.note -v noted etc/config
    }
    find . -exec touch -h -d "@${at:-1700000000}" {} +
    touch -h -d @1600000000 etc/config link
  )
}

# The same, later: some are gone, new, changed, or something else.
later() {
  rm -r "$1/etc/conf.d" "$1/etc/nothing" "$1/usr/bin/block"
  echo changed >"$1/etc/config"
  rm -r "$1/empty"
  echo 'no folder' >"$1/empty"
  mkdir "$1/etc/nothing"
  echo new >"$1/usr/bin/new"
}

# A container's folder in an overlay above `lower`: the upper one is `upper`. The commands change what is in `$merged`.
overlaid() {
  mkdir -p upper work merged
  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
  trap 'umount merged' EXIT
  "$@"
  umount merged
  trap - EXIT
}

# The layer below, unpacked.
lower() {
  tree base
  "$CORPUS" containerd "$(mktemp -d)" base >lower.tar
  mkdir lower
  "$CORPUS" apply lower lower.tar
}

pack() { # NAME OF GNU TAR'S OPTIONS …
  tar --sort=name -cf layer.tar "$@"
}

storage() { buildah --root "$PWD/store" --runroot "$PWD/run" --storage-driver overlay "$@"; }

# The last layer of an image in an OCI layout.
layer_of() { # LAYOUT REFERENCE
  python3 - "$@" <<'PYTHON'
import gzip, json, sys
layout, wanted = sys.argv[1:]
blob = lambda digest: open(f"{layout}/blobs/" + digest.replace(":", "/"), "rb").read()
index = json.load(open(f"{layout}/index.json"))
named = [it for it in index["manifests"] if it.get("annotations", {}).get("org.opencontainers.image.ref.name") == wanted]
layers = json.loads(blob(named[0]["digest"]))["layers"]
open("layer.tar", "wb").write(gzip.decompress(blob(layers[-1]["digest"])))
if len(layers) > 1:
    open("lower.tar", "wb").write(gzip.decompress(blob(layers[-2]["digest"])))
PYTHON
}

# What is in the current folder, without the times of marks of deletion.
files() {
  find . -mindepth 1 ! -type c -exec stat -c '%N %F %a %u %g %h %Y %t:%T' {} +
  find . -type c -exec stat -c '%N %F %t:%T' {} +
  find . -type f -exec sha256sum {} +
  getfattr --absolute-names -dm- -hR .
}
