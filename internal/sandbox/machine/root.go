// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

// Directories of a machine's disk that hold what the host lends.
const (
	programsDir = "opt/machine/bin"    // becomes /usr/local/bin
	imagesDir   = "opt/machine/images" // imported by headless-images.service
	path        = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// private is what of the host's /etc is not copied to a machine: its identity,
// its services, and what its own Kubernetes may have there.
var private = []string{
	"machine-id", "hostname", "hosts", "resolv.conf", "fstab", "mtab", "adjtime",
	"systemd/system", "systemd/network", "network", "netplan", "cron.d",
	"kubernetes", "cni", "containerd", "sysctl.d", "sysctl.conf", "headless",
}

// loan is what a machine borrows from the host; machine-init mounts it.
type loan struct {
	Programs map[string]string `json:"programs"` // name -> file of the host
	Images   string            `json:"images,omitempty"`
	NetNS    string            `json:"netns"`
	CGroup   string            `json:"cgroup"`
}

// makeRoot builds a machine's disk. One that was built is left as the machine left it.
func makeRoot(dir string, s Spec, o Options) error {
	l := loan{Programs: map[string]string{}, Images: o.ImagesDir, NetNS: netnsFile(s), CGroup: s.cgroup()}
	for _, name := range o.Binaries {
		file := filepath.Join(o.BinDir, name)
		if !exists(file) {
			return fmt.Errorf("program %s of the machine image is missing: run `make build`", file)
		}
		l.Programs[name] = file
	}
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode what the machine borrows: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "loan.json"), data, 0o600); err != nil {
		return fmt.Errorf("write what the machine borrows: %w", err)
	}
	root := filepath.Join(dir, "root")
	if exists(root) {
		return nil
	}
	unfinished := root + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove unfinished disk: %w", err)
	}
	if err := fillRoot(unfinished, s, o); err != nil {
		return fmt.Errorf("build disk: %w", err)
	}
	if err := os.Rename(unfinished, root); err != nil {
		return fmt.Errorf("finish disk: %w", err)
	}
	return nil
}

func fillRoot(root string, s Spec, o Options) error {
	for _, step := range []func(string) error{
		skeleton,
		copyEtc,
		func(root string) error { return install(root, s, o) },
		enable,
	} {
		if err := step(root); err != nil {
			return err
		}
	}
	return nil
}

// skeleton makes the directories, and the names that lead into /usr.
func skeleton(root string) error {
	for _, d := range []string{
		"usr", "etc", "var/log/journal", "var/lib", "run", "tmp", "proc", "sys", "dev", "root", "home", "opt", "mnt", "srv",
		programsDir, imagesDir,
	} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil { //nolint:gosec // a disk's directories are read by all
			return err
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := link(root, name); err != nil {
			return err
		}
	}
	return nil
}

func copyEtc(root string) error {
	if _, err := command.Run(context.Background(), "cp", "-a", "/etc/.", filepath.Join(root, "etc")); err != nil {
		return err
	}
	for _, name := range private {
		if err := os.RemoveAll(filepath.Join(root, "etc", name)); err != nil {
			return err
		}
	}
	return nil
}

// install writes the files of the machine image.
func install(root string, s Spec, o Options) error {
	for _, name := range o.Binaries {
		if err := write(root, filepath.Join(programsDir, name), "", 0o755); err != nil {
			return err
		}
	}
	for _, file := range imageFiles(s) {
		if err := write(root, file.path, file.content, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// enable says which units start and which must not.
func enable(root string) error {
	units := maps.Clone(wanted)
	for _, unit := range masked {
		units[unit] = "/dev/null"
	}
	for _, name := range names(units) {
		from := filepath.Join(root, "etc/systemd/system", name)
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil { //nolint:gosec // as above
			return err
		}
		if err := os.Symlink(units[name], from); err != nil {
			return err
		}
	}
	return nil
}

// link makes a top level name such as /lib lead where it leads on the host. The
// host's /usr is all that a machine has of its programs.
func link(root, name string) error {
	target, err := os.Readlink("/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the host's /%s is not a link into /usr: machines need a merged /usr, as Debian 12 has it: %w", name, err)
	}
	return os.Symlink(target, filepath.Join(root, name))
}

func write(root, name, content string, mode fs.FileMode) error {
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // a disk's directories are read by all
		return err
	}
	return os.WriteFile(file, []byte(content), mode)
}

// removeRoot removes the machine's directory, unless something of the host is
// still mounted below it: then what would be removed is the host's.
func removeRoot(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	if mount := mountedBelow(string(data), dir); mount != "" {
		return fmt.Errorf("remove files: %s is mounted there: unmount it first", mount)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove files: %w", err)
	}
	return nil
}

// mountedBelow finds in the text of /proc/self/mountinfo what is mounted below a directory.
func mountedBelow(mountinfo, dir string) string {
	for line := range strings.Lines(mountinfo) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			return f[4]
		}
	}
	return ""
}

// names returns the keys of a map, in order.
func names(m map[string]string) []string {
	return slices.Sorted(maps.Keys(m))
}
