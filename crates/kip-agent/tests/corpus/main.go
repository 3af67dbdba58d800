// Layers as builders in Go write them, and the unpacker of a node.
//
//	corpus apply ROOT TAR PARENT...       containerd 2: into the form of an overlay's folder
//	corpus containerd LOWER UPPER [EPOCH] containerd 2, BuildKit
//	corpus containerd1 LOWER UPPER        containerd 1.7: marks of deletion have the time now
//	corpus buildkit LOWER UPPER          BuildKit, from the folder of an overlay
//	corpus docker UPPER                   Docker, from the folder of an overlay
//	corpus changes LOWER UPPER            Docker, without one
//	corpus crane NAME=CONTENT...          go-containerregistry: files only
//	corpus plain FORM ROOT                Go's archive/tar: absolute, ko, root (kaniko) or bare
//
// A layer is written to the standard output.
package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	archive1 "github.com/containerd/containerd/archive"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/moby/buildkit/util/overlay"
	docker "github.com/moby/go-archive"
	"github.com/moby/sys/user"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(what string, args []string) error {
	ctx := context.Background()
	switch what {
	case "apply":
		file, err := os.Open(args[1])
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = archive.Apply(ctx, args[0], file, archive.WithConvertWhiteout(archive.OverlayConvertWhiteout), archive.WithParents(args[2:]))
		return err
	case "containerd":
		var options []archive.WriteDiffOpt
		if len(args) > 2 {
			seconds, err := strconv.ParseInt(args[2], 10, 64)
			if err != nil {
				return err
			}
			epoch := time.Unix(seconds, 0)
			options = append(options, archive.WithSourceDateEpoch(&epoch))
		}
		return archive.WriteDiff(ctx, os.Stdout, args[0], args[1], options...)
	case "containerd1":
		return archive1.WriteDiff(ctx, os.Stdout, args[0], args[1])
	case "buildkit":
		lower := []mount.Mount{{Type: "bind", Source: args[0], Options: []string{"rbind", "ro"}}}
		upper, err := filepath.Abs(args[1])
		if err != nil {
			return err
		}
		return overlay.WriteUpperdir(ctx, os.Stdout, upper, lower)
	case "docker":
		reader, err := docker.TarWithOptions(args[0], &docker.TarOptions{WhiteoutFormat: docker.OverlayWhiteoutFormat})
		return copied(reader, err)
	case "changes":
		changes, err := docker.ChangesDirs(args[1], args[0])
		if err != nil {
			return err
		}
		reader, err := docker.ExportChanges(args[1], changes, user.IdentityMapping{})
		return copied(reader, err)
	case "crane":
		files := map[string][]byte{}
		for _, arg := range args {
			name, content, _ := strings.Cut(arg, "=")
			files[name] = []byte(content)
		}
		layer, err := crane.Layer(files)
		if err != nil {
			return err
		}
		reader, err := layer.Uncompressed()
		return copied(reader, err)
	case "plain":
		return plain(args[0], args[1])
	}
	return fmt.Errorf("%q is not known", what)
}

func copied(reader io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer reader.Close()
	_, err = io.Copy(os.Stdout, reader)
	return err
}

// plain writes the files with names that are absolute; as ko does, with bare folders; as kaniko does, with an entry for the root and
// hard links that lead to absolute names; or with bare names.
func plain(form, root string) error {
	first := map[uint64]string{}
	writer := tar.NewWriter(os.Stdout)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&os.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header.Uname, header.Gname = "", ""
		header.Name = name
		switch {
		case name == "." && form != "root":
			return nil
		case name == ".":
			header.Name = "/"
		case form == "absolute" || form == "ko" && !info.IsDir():
			header.Name = "/" + name
		case form == "root" && info.IsDir():
			header.Name += "/"
		}
		if stat := info.Sys().(*syscall.Stat_t); form == "root" && stat.Nlink > 1 && !info.IsDir() {
			if header.Linkname = first[stat.Ino]; header.Linkname != "" {
				header.Typeflag, header.Size = tar.TypeLink, 0
				return writer.WriteHeader(header)
			}
			first[stat.Ino] = "/" + name
			header.Linkname = link
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = writer.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return writer.Close()
}
