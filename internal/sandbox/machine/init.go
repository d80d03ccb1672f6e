// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// initCommand is the hidden command that becomes PID 1 of a machine.
const initCommand = "machine-init"

// systemd is what machine-init becomes.
const systemd = "/lib/systemd/systemd"

// Init is PID 1 of a machine until it becomes systemd. It runs in new mount, UTS,
// IPC and PID namespaces, joins the machine's network and control groups, mounts
// the machine's disk and what the host lends, and makes that the root. On success
// it does not return.
func Init(dir string) error {
	// Namespaces belong to threads: what follows stays on one, and that one becomes systemd.
	runtime.LockOSThread()
	s, err := loadSpec(dir)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, "loan.json"))
	if err != nil {
		return fmt.Errorf("read what the machine borrows: %w", err)
	}
	var l loan
	if err = json.Unmarshal(data, &l); err != nil {
		return fmt.Errorf("read what the machine borrows: %w", err)
	}
	groups, err := hierarchies()
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return joinGroups(groups, l.CGroup) },
		func() error { return enter(l.NetNS) },
		func() error { return unix.Sethostname([]byte(s.Name)) },
		func() error { return mountAll(filepath.Join(dir, "root"), l, groups) },
		dropCapabilities,
	} {
		if err = step(); err != nil {
			return fmt.Errorf("start machine %s: %w", s.Name, err)
		}
	}
	env := []string{"container=headless-sandbox", "PATH=" + path}
	if err = unix.Exec(systemd, []string{systemd, "--system"}, env); err != nil {
		return fmt.Errorf("start %s: %w (install the package systemd)", systemd, err)
	}
	return nil
}

// enter joins the network namespace and makes the control groups a namespace of their own.
func enter(netns string) error {
	file, err := os.Open(netns)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("join network namespace: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make cgroup namespace: %w", err)
	}
	return nil
}

// dropCapabilities takes from the machine what would reach the host's kernel.
func dropCapabilities() error {
	for _, c := range []uintptr{unix.CAP_SYS_TIME, unix.CAP_SYS_MODULE} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// mounter mounts below a root and keeps the first error, so that a list of mounts reads as one.
type mounter struct {
	root string
	err  error
}

func (m *mounter) mount(source, target, fstype string, flags uintptr, data string) {
	if m.err != nil {
		return
	}
	if err := unix.Mount(source, filepath.Join(m.root, target), fstype, flags, data); err != nil {
		m.err = fmt.Errorf("mount %s on /%s: %w", source, target, err)
	}
}

// bind makes a file or directory of the host visible; readOnly keeps it from change.
func (m *mounter) bind(source, target string, readOnly bool) {
	m.mount(source, target, "", unix.MS_BIND, "")
	if readOnly {
		m.mount(source, target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
}

func (m *mounter) do(what func() error) {
	if m.err == nil {
		m.err = what()
	}
}

func (m *mounter) mkdir(name string) {
	m.do(func() error { return os.MkdirAll(filepath.Join(m.root, name), 0o755) }) //nolint:gosec // as on any disk
}

func (m *mounter) symlink(to, name string) {
	m.do(func() error { return os.Symlink(to, filepath.Join(m.root, name)) })
}

// touch makes an empty file to mount on.
func (m *mounter) touch(name, content string) {
	m.do(func() error { return os.WriteFile(filepath.Join(m.root, name), []byte(content), 0o600) })
}

// mountAll makes the machine's view of the world, and that its root.
func mountAll(root string, l loan, groups []hierarchy) error {
	m := &mounter{root: root}
	// Nothing that is mounted here is seen outside.
	m.do(func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") })
	m.mount(root, "", "", unix.MS_BIND, "")
	m.bind("/usr", "usr", true)
	for _, name := range names(l.Programs) {
		m.bind(l.Programs[name], filepath.Join(programsDir, name), true)
	}
	m.mount(filepath.Join(root, programsDir), "usr/local/bin", "", unix.MS_BIND|unix.MS_REC, "")
	if l.Images != "" && exists(l.Images) {
		m.bind(l.Images, imagesDir, true)
	}
	m.mount("tmpfs", "run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
	m.mount("tmpfs", "tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	m.devices()
	m.kernel(groups)
	if m.err != nil {
		return m.err
	}
	return pivot(root)
}

// devices makes /dev from the few devices that programs expect.
func (m *mounter) devices() {
	m.mount("tmpfs", "dev", "tmpfs", unix.MS_NOSUID, "mode=755")
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		m.touch("dev/"+name, "")
		m.bind("/dev/"+name, "dev/"+name, false)
	}
	// The kernel's log is the host's: nobody writes to it, and what is read of it is nothing.
	m.touch("dev/kmsg", "")
	m.bind("/dev/null", "dev/kmsg", false)
	for _, name := range []string{"dev/pts", "dev/shm", "dev/mqueue"} {
		m.mkdir(name)
	}
	m.mount("devpts", "dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
	m.mount("tmpfs", "dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	m.symlink("pts/ptmx", "dev/ptmx")
	m.symlink("/proc/self/fd", "dev/fd")
	m.symlink("/proc/self/fd/0", "dev/stdin")
	m.symlink("/proc/self/fd/1", "dev/stdout")
	m.symlink("/proc/self/fd/2", "dev/stderr")
}

// tunables are the settings of the whole kernel that a kubelet sets. The machine
// gets files of its own, which already say what the kubelet wants.
var tunables = map[string]string{
	"vm/overcommit_memory": "1\n", "vm/panic_on_oom": "0\n", "kernel/panic": "10\n", "kernel/panic_on_oops": "1\n",
	"kernel/keys/root_maxkeys": "1000000\n", "kernel/keys/root_maxbytes": "25000000\n",
}

// kernel mounts /proc, /sys and the control groups.
func (m *mounter) kernel(groups []hierarchy) {
	m.mount("proc", "proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	// Settings of the network are of the namespace; all others are the host's.
	m.bind(filepath.Join(m.root, "proc/sys"), "proc/sys", true)
	m.bind(filepath.Join(m.root, "proc/sys/net"), "proc/sys/net", false)
	m.mount("", "proc/sys/net", "", unix.MS_BIND|unix.MS_REMOUNT, "")
	m.mkdir("run/machine")
	for i, name := range names(tunables) {
		own := fmt.Sprintf("run/machine/%d", i)
		m.touch(own, tunables[name])
		m.bind(filepath.Join(m.root, own), "proc/sys/"+name, false)
	}
	m.mount("sysfs", "sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "")
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	for _, h := range groups {
		if h.mount == cgroupRoot {
			m.mount("cgroup2", "sys/fs/cgroup", "cgroup2", flags, "")
			return
		}
	}
	m.mount("tmpfs", "sys/fs/cgroup", "tmpfs", flags, "mode=755")
	for _, h := range groups {
		m.mkdir(h.mount[1:])
		m.mount(h.fstype, h.mount[1:], h.fstype, flags, h.options)
	}
}

// pivot makes root the root and lets go of the host's.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("change to disk: %w", err)
	}
	if err := os.Mkdir("old", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make place for the old root: %w", err)
	}
	if err := unix.PivotRoot(".", "old"); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("change to new root: %w", err)
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the old root: %w", err)
	}
	if err := os.Remove("/old"); err != nil {
		return fmt.Errorf("remove place of the old root: %w", err)
	}
	return nil
}
