// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// Fleet is the machines below one state directory.
type Fleet struct{ o Options }

// Machine is what is seen of a machine.
type Machine struct {
	Name    string
	Address netip.Addr
	// PID of the machine's first process, as the host counts; 0 when it does not run.
	PID int
	// Dir is the machine's directory.
	Dir string
	// Owner is the GitBackedMachine, as namespace/name, that it was brought for, if any.
	Owner string
}

// Running says whether the machine's first process lives.
func (m Machine) Running() bool { return m.PID != 0 }

// Default returns the options of the machines of a sandbox host: they are wired
// to its network namespace and take the upper half of its node network.
func Default(c sandbox.Config) (Options, error) {
	nets, err := c.Networks()
	if err != nil {
		return Options{}, err
	}
	a := nets.Nodes.Addr().As4()
	a[3] = 128
	return Options{
		StateDir:  c.Path("machines"),
		NetNS:     c.NetNS(),
		Uplink:    sandbox.NodeBridge,
		Gateway:   nets.Node,
		Network:   netip.PrefixFrom(netip.AddrFrom4(a), 26),
		BinDir:    c.BinDir,
		Binaries:  Binaries(),
		ImagesDir: c.Archives(),
	}, nil
}

// New returns the fleet that the options describe.
func New(o Options) (*Fleet, error) {
	if o.StateDir == "" || !filepath.IsAbs(o.StateDir) {
		return nil, fmt.Errorf("state directory of machines %q: give an absolute path", o.StateDir)
	}
	if !o.Network.IsValid() || !o.Network.Addr().Is4() || !o.Gateway.Is4() {
		return nil, fmt.Errorf("network %v with gateway %v of machines: give an IPv4 prefix and an IPv4 address", o.Network, o.Gateway)
	}
	if len(o.Init) == 0 {
		o.Init = []string{"/proc/self/exe", initCommand}
	}
	return &Fleet{o: o}, nil
}

// List returns the machines, by name.
func (f *Fleet) List() ([]Machine, error) {
	entries, err := os.ReadDir(f.o.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	var all []Machine
	for _, e := range entries {
		if !e.IsDir() {
			continue // the lock
		}
		m, err := f.Get(e.Name())
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Get returns one machine, or ErrNotFound.
func (f *Fleet) Get(name string) (Machine, error) {
	dir := f.dir(name)
	s, err := loadSpec(dir)
	if err != nil {
		return Machine{}, err
	}
	return Machine{Name: s.Name, Address: s.Address, PID: pidOf(dir), Dir: dir, Owner: s.Owner}, nil
}

func (f *Fleet) dir(name string) string { return filepath.Join(f.o.StateDir, name) }

// Create makes a machine and starts it. A machine that exists is left as it is,
// and started when it does not run.
func (f *Fleet) Create(ctx context.Context, s Spec) (Machine, error) {
	if err := s.validate(); err != nil {
		return Machine{}, err
	}
	unlock, err := f.lock()
	if err != nil {
		return Machine{}, err
	}
	defer unlock()
	dir := f.dir(s.Name)
	have, err := loadSpec(dir)
	switch {
	case err == nil:
		s = have
	case errors.Is(err, ErrNotFound):
		if s, err = f.place(s); err != nil {
			return Machine{}, err
		}
		if err = s.save(dir); err != nil {
			return Machine{}, err
		}
	default:
		return Machine{}, err
	}
	if pidOf(dir) == 0 {
		if err := f.boot(ctx, dir, s); err != nil {
			return Machine{}, fmt.Errorf("boot machine %s: %w", s.Name, err)
		}
	}
	return f.Get(s.Name)
}

func (f *Fleet) boot(ctx context.Context, dir string, s Spec) error {
	if err := makeRoot(dir, s, f.o); err != nil {
		return err
	}
	if err := f.connect(ctx, s); err != nil {
		return err
	}
	// Power on begins without groups: what an earlier run left there would look like its containers.
	if err := removeGroups(ctx, s.cgroup()); err != nil {
		return err
	}
	if err := createGroups(s.cgroup()); err != nil {
		return err
	}
	return start(dir, s, f.o.Init)
}

// Delete ends a machine and removes everything of it. Absence is success.
func (f *Fleet) Delete(ctx context.Context, name string) error {
	s := Spec{Name: name}
	if err := s.validate(); err != nil {
		return err
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	dir := f.dir(name)
	if have, err := loadSpec(dir); err == nil {
		s = have
	}
	// What holds on to something else goes first: processes, then the network they use, then their groups and files.
	for _, step := range []func() error{
		func() error { return stop(ctx, dir) },
		func() error { return f.disconnect(ctx, s) },
		func() error { return removeGroups(ctx, s.cgroup()) },
		func() error { return removeRoot(dir) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("delete machine %s: %w", name, err)
		}
	}
	return nil
}

// DeleteAll deletes every machine of the fleet.
func (f *Fleet) DeleteAll(ctx context.Context) error {
	all, err := f.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range all {
		errs = append(errs, f.Delete(ctx, m.Name))
	}
	return errors.Join(errs...)
}

// place gives a new machine an address that no other has.
func (f *Fleet) place(s Spec) (Spec, error) {
	all, err := f.List()
	if err != nil {
		return s, err
	}
	taken := func(a netip.Addr) bool {
		return a == f.o.Gateway || slices.ContainsFunc(all, func(m Machine) bool { return m.Address == a })
	}
	if s.Address.IsValid() {
		if taken(s.Address) {
			return s, fmt.Errorf("address %s of machine %s is taken: choose another, or none", s.Address, s.Name)
		}
		return s, nil
	}
	for a := f.o.Network.Masked().Addr().Next(); f.o.Network.Contains(a.Next()); a = a.Next() {
		if !taken(a) {
			s.Address = a
			return s, nil
		}
	}
	return s, fmt.Errorf("%w in %s for machine %s: delete a machine", ErrFull, f.o.Network, s.Name)
}

// lock lets one process at a time change the fleet.
func (f *Fleet) lock() (func(), error) {
	if err := os.MkdirAll(f.o.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("create directory of machines: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(f.o.StateDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of machines: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock machines: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil // closing unlocks; there is nothing to lose
}
