// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

// WatchOptions narrow what Watch does. The zero value watches all namespaces in silence.
type WatchOptions struct {
	// Namespace to watch. Empty: all.
	Namespace string
	// Log gets a line for each machine made or deleted, and for each failure.
	Log io.Writer
	// Resync is how often everything is looked at without a change. Default 10 s.
	Resync time.Duration
}

// Scheme knows the kinds that Watch reads.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, clusterv1.AddToScheme, infrav1.AddToScheme, heavenv1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	return s, nil
}

// Watch brings a machine for each GitBackedMachine that is external and has its
// user data, and deletes the machines whose GitBackedMachine is gone. Machines
// that it did not make are left alone. It returns when the context ends.
func (f *Fleet) Watch(ctx context.Context, host client.WithWatch, o WatchOptions) error {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Resync == 0 {
		o.Resync = 10 * time.Second
	}
	w := &watcher{fleet: f, host: host, o: o}
	for ctx.Err() == nil {
		if err := w.follow(ctx); err != nil && ctx.Err() == nil {
			w.say("watch machines: %v", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

// machines is what a watcher needs of a Fleet.
type machines interface {
	// Get returns one machine, or ErrNotFound.
	Get(name string) (Machine, error)
	List() ([]Machine, error)
	// Create makes and starts a machine, or starts the one that exists.
	Create(ctx context.Context, s Spec) (Machine, error)
	// Delete removes a machine; absence is success.
	Delete(ctx context.Context, name string) error
}

type watcher struct {
	fleet machines
	host  client.WithWatch
	o     WatchOptions
}

func (w *watcher) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w.o.Log, format+"\n", args...) // nobody to tell that nobody listens
}

// follow looks at everything at each change, until the watch breaks.
func (w *watcher) follow(ctx context.Context) error {
	machines, err := w.host.Watch(ctx, &infrav1.GitBackedMachineList{}, client.InNamespace(w.o.Namespace))
	if err != nil {
		return fmt.Errorf("watch GitBackedMachines: %w", err)
	}
	defer machines.Stop()
	secrets, err := w.host.Watch(ctx, &corev1.SecretList{}, client.InNamespace(w.o.Namespace), client.HasLabels{clusterv1.ClusterNameLabel})
	if err != nil {
		return fmt.Errorf("watch bootstrap Secrets: %w", err)
	}
	defer secrets.Stop()
	resync := time.NewTicker(w.o.Resync)
	defer resync.Stop()
	for {
		var event watch.Event
		open := true
		select {
		case <-ctx.Done():
			return nil
		case event, open = <-machines.ResultChan():
		case event, open = <-secrets.ResultChan():
		case <-resync.C:
		}
		if !open || event.Type == watch.Error {
			return nil // watches end now and then
		}
		if err := w.sync(ctx); err != nil {
			w.say("%v", err)
		}
	}
}

// sync brings machines and GitBackedMachines together.
func (w *watcher) sync(ctx context.Context) error {
	list := &infrav1.GitBackedMachineList{}
	if err := w.host.List(ctx, list, client.InNamespace(w.o.Namespace)); err != nil {
		return fmt.Errorf("list GitBackedMachines: %w", err)
	}
	owners := map[string]bool{}
	var errs []error
	for i := range list.Items {
		m := &list.Items[i]
		owners[owner(m)] = true
		if m.Spec.External != nil && m.DeletionTimestamp.IsZero() {
			errs = append(errs, w.bring(ctx, m))
		}
	}
	have, err := w.fleet.List()
	if err != nil {
		return err
	}
	for _, m := range have {
		if m.Owner == "" || owners[m.Owner] || !w.mine(m.Owner) {
			continue
		}
		w.say("machine %s: its GitBackedMachine %s is gone, deleting it", m.Name, m.Owner)
		errs = append(errs, w.fleet.Delete(ctx, m.Name))
	}
	return errors.Join(errs...)
}

func owner(m *infrav1.GitBackedMachine) string { return m.Namespace + "/" + m.Name }

// mine says whether the owner is in a namespace that is watched.
func (w *watcher) mine(owner string) bool {
	if w.o.Namespace == "" {
		return true
	}
	namespace, _, _ := strings.Cut(owner, "/")
	return namespace == w.o.Namespace
}

// bring makes the machine that a GitBackedMachine waits for, as soon as there is user data to run.
func (w *watcher) bring(ctx context.Context, gbm *infrav1.GitBackedMachine) error {
	name := ""
	for _, ref := range gbm.OwnerReferences {
		if ref.Kind == "Machine" {
			name = ref.Name
		}
	}
	if name == "" {
		return nil
	}
	if m, err := w.fleet.Get(name); err == nil {
		if m.Owner != owner(gbm) {
			return fmt.Errorf("machine %s of GitBackedMachine %s: one of that name exists for %q: delete it, or use another fleet", name, owner(gbm), m.Owner)
		}
		if m.Running() {
			return nil
		}
	}
	machine := &clusterv1.Machine{}
	if err := w.host.Get(ctx, client.ObjectKey{Namespace: gbm.Namespace, Name: name}, machine); err != nil {
		return client.IgnoreNotFound(err)
	}
	if machine.Spec.Bootstrap.DataSecretName == nil {
		return nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: gbm.Namespace, Name: *machine.Spec.Bootstrap.DataSecretName}
	if err := w.host.Get(ctx, key, secret); err != nil {
		return fmt.Errorf("read user data of machine %s: %w", name, err)
	}
	hub, err := w.hub(ctx, gbm.Namespace, machine.Spec.ClusterName)
	if err != nil {
		return fmt.Errorf("find hub for machine %s: %w", name, err)
	}
	m, err := w.fleet.Create(ctx, Spec{Name: name, Owner: owner(gbm), UserData: secret.Data["value"], Reach: hub})
	if err != nil {
		return err
	}
	w.say("machine %s: runs the user data of Secret %s at %s, reaching %v only", m.Name, key, m.Address, hub)
	return nil
}

// hub returns the addresses of a cluster's hub.
func (w *watcher) hub(ctx context.Context, namespace, cluster string) ([]netip.AddrPort, error) {
	merge := &heavenv1.AutomatedMerge{}
	err := w.host.Get(ctx, client.ObjectKey{Namespace: namespace, Name: cluster}, merge)
	if apierrors.IsNotFound(err) || err == nil && merge.Status.Endpoint.External.Host == "" {
		return nil, fmt.Errorf("AutomatedMerge %s/%s has no external endpoint yet", namespace, cluster)
	}
	if err != nil {
		return nil, fmt.Errorf("read AutomatedMerge: %w", err)
	}
	e := merge.Status.Endpoint.External
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", e.Host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", e.Host, err)
	}
	var all []netip.AddrPort
	for _, a := range addresses {
		all = append(all, netip.AddrPortFrom(a.Unmap(), uint16(e.Port))) //nolint:gosec // a port by its schema
	}
	return all, nil
}

// pause waits unless the context ends first.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
