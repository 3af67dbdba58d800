#!/usr/bin/env bash
# Packs the kubectl plugin for a release: archives, their sums, the krew manifest. See `help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=kubectl-pull_image
template=deploy/krew/pull-image.yaml

usage() {
  cat <<'TEXT'
hack/package.sh [--no-build] [--platforms PLATFORM,…] [--url URL]   makes dist/
hack/package.sh --verify                                            checks what is in dist/

  --no-build       takes the programs from bin/PLATFORM/ (`make pull-build`) instead of building them
  --platforms …    linux/amd64, linux/arm64 or both (default: both)
  --url URL        where the archives will be, in the krew manifest (default: the release of this version at the
                   repository that Cargo.toml names)
  --verify         needs python3 with its yaml module
  help             this text

dist/kubectl-pull_image-VERSION-OS-ARCH.tar.gz   the program and LICENSE
dist/SHA256SUMS                                  sums of the archives, for sha256sum --check
dist/pull-image.yaml                             the manifest for krew, from deploy/krew/pull-image.yaml

The same programs and the same commit make the same archives. SOURCE_DATE_EPOCH: the time that the files in
them have, in seconds since 1970 (default: the commit's).
TEXT
}

say() { printf 'package: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# of_workspace KEY: what [workspace.package] in Cargo.toml says.
of_workspace() { sed -n "/^\[workspace\.package\]/,/^\[/ s/^$1 *= *\"\(.*\)\"\$/\1/p" Cargo.toml; }

version=$(of_workspace version)
repository=$(of_workspace repository)
{ [ -n "$version" ] && [ -n "$repository" ]; } || fail "no version or no repository in [workspace.package] of Cargo.toml"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# has_agents PROGRAM: by what `kip-agent --version` says. Without agents the program is of no use.
has_agents() { [ "$(grep -oaF "kubectl-pull-image agent $version" "$1" | wc -l)" -eq 2 ]; }

# === making ===

# Nobody would notice before a user does, or a node.
check_program() { # PLATFORM
  local path=bin/$1/$program machine
  case $1 in
    linux/amd64) machine=62 ;;
    linux/arm64) machine=183 ;;
  esac
  [ -x "$path" ] || fail "$path is missing; make it with: hack/build.sh --of plugin $1"
  # `e_machine` of the ELF header.
  [ "$(od -An -tu2 -j18 -N2 "$path" | tr -d ' ')" = "$machine" ] ||
    fail "$path is not for $1; make it with: hack/build.sh --of plugin $1"
  has_agents "$path" || fail "$path has not the agents for both platforms in it; make it with: hack/build.sh --of plugin $1"
}

# pack FOLDER TIME ARCHIVE: the same bytes each time.
pack() {
  tar --create --directory "$1" --format ustar --sort name --owner root:0 --group root:0 --mtime "@$2" \
    LICENSE "$program" | gzip -9 -n >"$3"
}

make_archive() { # PLATFORM TIME
  local folder=$work/$1 archive=dist/$program-$version-${1/\//-}.tar.gz
  check_program "$1"
  mkdir -p "$folder"
  install -m 0755 "bin/$1/$program" "$folder/$program"
  install -m 0644 LICENSE "$folder/LICENSE"
  pack "$folder" "$2" "$archive"
  say "$archive has $(stat -c %s "$archive") bytes"
}

# Each entry of `platforms` is what the template has after that line.
make_manifest() { # URL PLATFORM…
  local url=$1 platform archive sum filled
  shift
  filled=$(sed -e '/^ *#/d' -e "s|@VERSION@|$version|; s|@REPOSITORY@|$repository|" "$template")
  sed '/^  platforms:$/q' <<<"$filled"
  for platform in "$@"; do
    archive=$program-$version-${platform/\//-}.tar.gz
    sum=$(sha256sum "dist/$archive")
    sed "1,/^  platforms:\$/d
      s|@OS@|${platform%/*}|; s|@ARCH@|${platform#*/}|; s|@URI@|$url/$archive|; s|@SHA256@|${sum%% *}|" <<<"$filled"
  done
}

make_all() { # URL PLATFORM…
  local url=$1 time platform
  shift
  time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null)} || fail "no commit here: set SOURCE_DATE_EPOCH"
  # Of another version nothing may be left.
  rm -rf dist
  mkdir dist
  for platform in "$@"; do make_archive "$platform" "$time"; done
  (cd dist && sha256sum -- *.tar.gz >SHA256SUMS)
  make_manifest "$url" "$@" >dist/pull-image.yaml
}

# === checking ===

verify_archive() { # ARCHIVE
  local folder=$work/${1##*/} runner='' machine time said
  mkdir "$folder"
  [ "$(tar --list --verbose --numeric-owner --file "$1" | awk '{ print $1, $2, $6 }')" = "-rw-r--r-- 0/0 LICENSE
-rwxr-xr-x 0/0 $program" ] || fail "$1 has not LICENSE with mode 0644 and $program with mode 0755, root's, and nothing else"
  tar --extract --file "$1" --directory "$folder"
  cmp "$folder/LICENSE" LICENSE || fail "$1: LICENSE is another one"
  time=$(stat -c %Y "$folder/$program")
  pack "$folder" "$time" "$work/again.tar.gz"
  cmp "$1" "$work/again.tar.gz" || fail "$1 is another one when it is packed again"
  has_agents "$folder/$program" || fail "$1: its program has not the agents for both platforms in it"
  machine=$(uname -m)
  case $1 in
    *-linux-amd64.*) [ "$machine" = x86_64 ] || runner=qemu-x86_64 ;;
    *-linux-arm64.*) [ "$machine" = aarch64 ] || runner=qemu-aarch64 ;;
  esac
  if [ -n "$runner" ] && ! command -v "$runner" >/dev/null; then
    say "$1 is right; its program was not run: there is no $runner"
    return
  fi
  said=$(${runner:+"$runner"} "$folder/$program" --version) || fail "$1: its program does not run"
  [ "$said" = "kubectl pull-image $version" ] || fail "$1: its program says '$said'"
  say "$1 is right, and its program runs${runner:+ (with $runner)}"
}

# What krew checks, and beyond that, that the manifest speaks of these archives.
verify_manifest() {
  python3 - "$version" "$program" <<'PYTHON'
import hashlib, os, re, sys
import yaml

version, program = sys.argv[1:]
with open("dist/pull-image.yaml") as file:
    text = file.read()
manifest = yaml.safe_load(text)
wrong = []

def check(is_right, what):
    if not is_right:
        wrong.append(what)

def check_all(manifest):
    spec = manifest["spec"]
    check("@" not in text, "a word between @ signs is left")
    check(manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2", "apiVersion")
    check(manifest["kind"] == "Plugin", "kind")
    check(manifest["metadata"] == {"name": "pull-image"}, "metadata.name: that of the file is needed")
    check(spec["version"] == "v" + version, "spec.version: v and that of Cargo.toml are needed")
    check(re.fullmatch(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", spec["version"]), "spec.version: no semantic version")
    check(spec["homepage"].startswith("https://"), "spec.homepage")
    check(0 < len(spec["shortDescription"]) <= 50 and "\n" not in spec["shortDescription"], "spec.shortDescription: one short line is needed")
    check(spec["description"].strip(), "spec.description")
    check(isinstance(spec["caveats"], str), "spec.caveats")
    check(spec["platforms"], "spec.platforms")
    named = set()
    for number, platform in enumerate(spec["platforms"]):
        where = f"spec.platforms[{number}]"
        check(set(platform) == {"selector", "uri", "sha256", "files", "bin"}, f"{where}: a field too many or too few")
        labels = platform["selector"]["matchLabels"]
        check(set(labels) == {"os", "arch"}, f"{where}.selector: os and arch are needed")
        archive = f"{program}-{version}-{labels['os']}-{labels['arch']}.tar.gz"
        check(platform["uri"].startswith("https://") and platform["uri"].endswith("/" + archive), f"{where}.uri: https://…/{archive} is needed")
        check(archive not in named, f"{where}: {archive} is there twice")
        named.add(archive)
        path = os.path.join("dist", archive)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                check(platform["sha256"] == hashlib.sha256(file.read()).hexdigest(), f"{where}.sha256: {path} has another one")
        else:
            check(False, f"{where}: there is no {path}")
        check(platform["files"] and all(set(it) == {"from", "to"} and it["from"] and it["to"] for it in platform["files"]), f"{where}.files")
        check({it["from"] for it in platform["files"]} == {program, "LICENSE"}, f"{where}.files: {program} and LICENSE are needed")
        check(platform["bin"] == program, f"{where}.bin")
    check(named == {it for it in os.listdir("dist") if it.endswith(".tar.gz")}, "an archive is not in the manifest")

try:
    check_all(manifest)
except KeyError as missing:
    wrong.append(f"there is no field {missing}")
for what in wrong:
    print(f"package: dist/pull-image.yaml: {what}", file=sys.stderr)
sys.exit(1 if wrong else 0)
PYTHON
}

verify() {
  local archive
  python3 -c 'import yaml' 2>/dev/null || fail "python3 with its yaml module is needed (Debian: apt-get install python3-yaml)"
  [ -f dist/SHA256SUMS ] || fail "there is no dist/SHA256SUMS; make it with: hack/package.sh"
  (cd dist && sha256sum --check --quiet --strict SHA256SUMS) || fail "dist/SHA256SUMS is not of these archives"
  [ "$(wc -l <dist/SHA256SUMS)" -eq "$(find dist -name '*.tar.gz' | wc -l)" ] || fail "an archive is not in dist/SHA256SUMS"
  for archive in dist/*.tar.gz; do verify_archive "$archive"; done
  verify_manifest
  say "dist/pull-image.yaml is right"
}

# === the whole ===

platforms=(linux/amd64 linux/arm64)
url=$repository/releases/download/v$version
is_built=
is_verified=
while [ $# -gt 0 ]; do
  case $1 in
    help | --help | -h) usage; exit ;;
    --no-build) is_built=yes ;;
    --verify) is_verified=yes ;;
    --platforms) IFS=, read -ra platforms <<<"${2:-}"; shift ;;
    --url) url=${2:-}; shift ;;
    *) say "there is no '$1' (see: hack/package.sh help)"; exit 64 ;;
  esac
  shift || { say "the last argument needs a value (see: hack/package.sh help)"; exit 64; }
done
if [ -n "$is_verified" ]; then
  verify
  exit
fi
[ ${#platforms[@]} -gt 0 ] || fail "--platforms: linux/amd64, linux/arm64 or both are needed"
for platform in "${platforms[@]}"; do
  case $platform in
    linux/amd64 | linux/arm64) ;;
    *) fail "'$platform' is no known platform; linux/amd64 and linux/arm64 are" ;;
  esac
done
case $url in
  https://*) url=${url%/} ;;
  *) fail "--url '$url': https://… is needed" ;;
esac
if [ -z "$is_built" ]; then
  hack/build.sh --of plugin "$(IFS=,; printf '%s' "${platforms[*]}")"
fi
make_all "$url" "${platforms[@]}"
ls -l dist >&2
