//! The layers.

#![allow(
    clippy::needless_raw_string_hashes,
    reason = "scripts are quoted alike, whether they have quotes or not"
)]

/// How a layer comes to be.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) expected: Expected,
    /// In bash, after `prelude.sh`.
    pub(crate) script: &'static str,
    /// What happens after unpacking.
    pub(crate) then: &'static str,
}

/// What must come out.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// The same bytes.
    Proven,
    /// The same files; the reason why no more.
    Lost(&'static str),
}

use Expected::{Lost, Proven};

const fn case(name: &'static str, expected: Expected, script: &'static str) -> Case {
    Case {
        name,
        expected,
        script,
        then: "",
    }
}

/// All of them.
pub(crate) const CASES: &[Case] = &[
    case(
        "containerd: nothing",
        Proven,
        r#"mkdir a b; "$CORPUS" containerd a b >layer.tar"#,
    ),
    case(
        "containerd: everything",
        Proven,
        r#"tree t; mkdir n; "$CORPUS" containerd n t >layer.tar"#,
    ),
    case(
        "containerd: decimals of times",
        Proven,
        r#"at=1700000000.9 tree t; mkdir n; "$CORPUS" containerd n t >layer.tar"#,
    ),
    case(
        "containerd: large file",
        Proven,
        r#"mkdir n t; head -c 50000001 /dev/urandom >t/f; "$CORPUS" containerd n t >layer.tar"#,
    ),
    case(
        "containerd: deletions",
        Proven,
        r#"lower; cp -a lower t; later t; "$CORPUS" containerd lower t >layer.tar"#,
    ),
    case(
        "containerd: deletions, source date",
        Proven,
        r#"lower; cp -a lower t; later t; "$CORPUS" containerd lower t 1650000000 >layer.tar"#,
    ),
    case(
        "containerd: built on the node",
        Proven,
        r#"mkdir fs n; echo a >fs/a; mkdir fs/b; echo c >fs/b/c; "$CORPUS" containerd n fs >layer.tar"#,
    ),
    case(
        "containerd: before 1970",
        Lost("unpacked as 1970"),
        r#"tree t; touch -d @-5 t/etc/config; mkdir n; "$CORPUS" containerd n t >layer.tar"#,
    ),
    case(
        "containerd 1.7: deletions",
        Proven,
        r#"lower; cp -a lower t; later t; date +%s >created; "$CORPUS" containerd1 lower t >layer.tar"#,
    ),
    case(
        "containerd 1.7: deletions, no history",
        Lost("no time of deletion"),
        r#"lower; cp -a lower t; later t; "$CORPUS" containerd1 lower t >layer.tar"#,
    ),
    case(
        "docker: everything",
        Proven,
        r#"tree t; "$CORPUS" docker t >layer.tar"#,
    ),
    case(
        "docker: overlay's deletions",
        Proven,
        r#"lower; overlaid later merged; date +%s >created; "$CORPUS" docker upper >layer.tar"#,
    ),
    case(
        "docker: opaque folder",
        Proven,
        r#"lower; f() { rm -r merged/etc; mkdir merged/etc; echo n >merged/etc/n; }; overlaid f; "$CORPUS" docker upper >layer.tar"#,
    ),
    case(
        "docker: deletions and an opaque folder, no history",
        Lost("no time of deletion"),
        r#"lower; f() { later merged; rm -r merged/usr; mkdir merged/usr; echo n >merged/usr/n; }; overlaid f; touch -h -d @1650000000 upper/etc/conf.d; "$CORPUS" docker upper >layer.tar"#,
    ),
    case(
        "docker: deletion at its folder's time",
        Proven,
        r#"lower; f() { rm merged/etc/nothing; }; overlaid f; touch -d @1650000000 upper/etc; touch -h -d @1650000000 upper/etc/nothing; "$CORPUS" docker upper >layer.tar"#,
    ),
    case(
        "docker: changes",
        Proven,
        r#"lower; cp -a lower t; later t; date +%s >created; "$CORPUS" changes lower t >layer.tar"#,
    ),
    case(
        "docker: changes, everything",
        Proven,
        r#"tree t; mkdir n; "$CORPUS" changes n t >layer.tar"#,
    ),
    case(
        "buildah: everything",
        Proven,
        r#"tree t; c=$(storage from scratch); storage copy -q $c t /; storage commit -q $c one; storage push -q one oci:o:one; layer_of o one"#,
    ),
    case(
        "buildah: deletions and an opaque folder",
        Proven,
        r#"tree t; c=$(storage from scratch); storage copy -q $c t /; storage commit -q $c one; c=$(storage from one); m=$(storage mount $c); later $m; rm -r $m/usr; mkdir $m/usr; storage umount $c; date +%s >created; storage commit -q $c two; storage push -q two oci:o:two; layer_of o two"#,
    ),
    case(
        "umoci: everything",
        Proven,
        r#"umoci init --layout o; umoci new --image o:a; umoci unpack --image o:a b; tree t; cp -a t/. b/rootfs/; touch -d @1700000000 b/rootfs; umoci repack --image o:b b; layer_of o b"#,
    ),
    case(
        "umoci: deletions",
        Proven,
        r#"umoci init --layout o; umoci new --image o:a; umoci unpack --image o:a b; tree t; cp -a t/. b/rootfs/; umoci repack --image o:b b; umoci unpack --image o:b c; later c/rootfs; date +%s >created; touch -d "@$(cat created)" c/rootfs; umoci repack --image o:c c; layer_of o c"#,
    ),
    case(
        "gnu: ./, numeric owners",
        Proven,
        r#"tree t; pack --format=gnu --numeric-owner -C t ."#,
    ),
    case(
        "gnu: ./, root as owner",
        Proven,
        r#"tree t; pack --format=gnu -C t ."#,
    ),
    case(
        "gnu: ./, root's time in the history",
        Proven,
        r#"tree t; touch -d @1777777777 t; echo 1777777777 >created; pack --format=gnu --numeric-owner -C t ."#,
    ),
    case(
        "gnu: ./, root's time unknown",
        Lost("no time of the root"),
        r#"tree t; touch -d @1777777777 t; pack --format=gnu --numeric-owner -C t ."#,
    ),
    case(
        "gnu: names only, as Debian's",
        Proven,
        r#"tree t; (cd t; tar --sort=name --numeric-owner --format=gnu -cf ../layer.tar *)"#,
    ),
    case(
        "gnu: by path",
        Proven,
        r#"tree t; (cd t; find . | sort | tar --no-recursion --numeric-owner --format=gnu -cf ../layer.tar -T -)"#,
    ),
    case(
        "gnu: order of nobody",
        Lost("no order"),
        r#"tree t; (cd t; find . | sort -r | tar --no-recursion --format=gnu -cf ../layer.tar -T -)"#,
    ),
    case(
        "gnu: holes",
        Lost("holes are unpacked as zeros"),
        r#"mkdir t; truncate -s 1M t/f; echo x >>t/f; pack --format=posix --sparse --numeric-owner -C t ."#,
    ),
    case(
        "gnu: posix, decimals",
        Proven,
        r#"at=1700000000.25 tree t; touch -d @1700000000 t; pack --format=posix --numeric-owner --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -C t ."#,
    ),
    case(
        "gnu: posix, all times",
        Lost("times of access and change"),
        r#"tree t; pack --format=posix -C t ."#,
    ),
    case(
        "gnu: marks of aufs",
        Proven,
        r#"lower; mkdir -p t/etc t/usr; touch t/etc/.wh.nothing t/usr/.wh..wh..opq; echo n >t/usr/n; chmod 0 t/etc/.wh.nothing t/usr/.wh..wh..opq; find t -exec touch -d @1650000000 {} +; echo 1650000000 >created; pack --format=gnu --numeric-owner -C t ."#,
    ),
    case(
        "python: gnu, as bazel's",
        Proven,
        r#"plain=1 tree t; python3 -c '
import tarfile
def plain(it):
    it.uid = it.gid = it.mtime = 0; it.uname = it.gname = ""
    return it
with tarfile.open("layer.tar", "w", format=tarfile.GNU_FORMAT) as t:
    t.add("t/etc", "./etc", filter=plain)
    t.add("t/usr", "./usr", filter=plain)'"#,
    ),
    case(
        "python: pax, as it is",
        Proven,
        r#"at=1700000000.123456789 tree t; python3 -c '
import os, tarfile
with tarfile.open("layer.tar", "w") as t:
    for name in sorted(os.listdir("t")): t.add("t/" + name, name)'"#,
    ),
    case(
        "python: pax, whole seconds",
        Proven,
        r#"tree t; python3 -c '
import os, tarfile
def whole(it):
    it.mtime = int(it.mtime); it.uname = it.gname = ""
    return it
with tarfile.open("layer.tar", "w") as t:
    for name in sorted(os.listdir("t")): t.add("t/" + name, name, filter=whole)'"#,
    ),
    case(
        "crane: files without folders",
        Proven,
        r#""$CORPUS" crane usr/bin/a=1 usr/bin/b=2 etc/c=3 >layer.tar"#,
    ),
    case(
        "crane: folders are below",
        Proven,
        r#"lower; "$CORPUS" crane usr/bin/a=1 etc/conf.d/x=2 new/c=3 >layer.tar"#,
    ),
    case(
        "go: absolute names",
        Proven,
        r#"plain=1 tree t; "$CORPUS" plain absolute t >layer.tar"#,
    ),
    Case {
        then: "cp -a fs copy; rm -r fs; mv copy fs",
        ..case(
            "crane: on a disk that was copied",
            Proven,
            r#"lower; "$CORPUS" crane usr/bin/a=1 etc/conf.d/x=2 new/c=3 >layer.tar"#,
        )
    },
    case(
        "ko: a program",
        Proven,
        r#"mkdir -p t/ko-app; echo p >t/ko-app/program; chmod 555 t/ko-app t/ko-app/program; find t -exec touch -d @0 {} +; "$CORPUS" plain ko t >layer.tar"#,
    ),
    case(
        "buildkit: everything",
        Proven,
        r#"mkdir lower; f() { tree merged; }; overlaid f; "$CORPUS" buildkit lower upper >layer.tar"#,
    ),
    case(
        "buildkit: deletions and an opaque folder",
        Proven,
        r#"lower; f() { later merged; rm -r merged/usr; mkdir merged/usr; echo n >merged/usr/n; }; overlaid f; "$CORPUS" buildkit lower upper >layer.tar"#,
    ),
    case(
        "kaniko: an entry for the root",
        Proven,
        r#"plain=1 tree t; rm t/etc-x; touch -d @1700000000 t; "$CORPUS" plain root t >layer.tar"#,
    ),
    case(
        "go: folders without a slash",
        Proven,
        r#"tree t; for f in t/usr/bin/capable t/etc/config; do setfattr -x security.capability $f || :; done; rm t/hard t/etc/hard-too; "$CORPUS" plain bare t >layer.tar"#,
    ),
    case(
        "bsdtar: mtree, as bazel's",
        Proven,
        r#"plain=1 tree t; cd t; rm -r d* *ü* etc/auf etc/far k* link hard far-owner; { echo '#mtree'; find . -mindepth 1 | sort | while read f; do
  m="$f uid=0 gid=0 time=1672560000 mode=$(stat -c %a $f)"
  if [ -L $f ]; then echo "$m type=link link=$(readlink $f)"; elif [ -d $f ]; then echo "$m type=dir"; else echo "$m type=file content=$f"; fi
done; } >../all; bsdtar -cf ../layer.tar @../all"#,
    ),
    case(
        "go: a file twice",
        Lost("the first is overwritten"),
        r#"mkdir t; echo a >t/a; tar --format=gnu -cf layer.tar -C t a; echo b >t/a; tar --format=gnu -rf layer.tar -C t a"#,
    ),
];
