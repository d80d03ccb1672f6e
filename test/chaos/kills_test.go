// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	ownPrefix = "/registry/configmaps/default/"
	ownKeys   = 8                      // of each writer
	killEvery = 250 * time.Millisecond // somewhere
)

// TestKills kills gitcds that have no API servers above them, and so many more
// times: the hub, and heavens that write as fast as they are answered. It holds
// them to what etcd promises a client across any crash, and a heaven across any merge:
//
//	K1. What was acknowledged is read at once, after each crash, and in the end, everywhere.
//	K2. A revision of a key never shows two values.
//	K3. A watch that is resumed where it broke sees each change once, in order.
//	K4. No heaven sees an older value of a key after a newer one, or what was never asked for.
//	K5. All branches end with the tree of main; no writer is fenced; git fsck finds nothing.
func TestKills(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d, %s", seed, *durationFlag)
	c := newCluster(t, tuning{})
	var all []*keeper
	for i, branch := range []string{"heavens/apiserver", "heavens/one", "heavens/two", "heavens/three"} {
		all = append(all, c.keeper(t, branch, i, seed))
	}
	hub := target{name: "the hub", process: []*process{c.hub}}
	targets := []target{hub}
	m := &misfortune{t: t, targets: map[string]target{}}
	for _, k := range all {
		targets[0].over = append(targets[0].over, k.link)
		targets = append(targets, target{name: k.name, process: []*process{k.gitcd}, over: []*link{k.link}})
	}
	for _, one := range targets {
		m.targets[one.name] = one
	}
	ctx, cancel := context.WithTimeout(t.Context(), *durationFlag)
	defer cancel()
	var writing, watching sync.WaitGroup
	watches, stop := context.WithCancel(t.Context())
	defer stop()
	for _, k := range all {
		k.list(t)
		writing.Go(func() { k.write(ctx) })
		watching.Go(func() { k.watch(watches) })
	}
	faults := kills(rand.New(rand.NewPCG(seed, 1)), targets, *durationFlag, killEvery)
	m.run(ctx, faults)
	writing.Wait()
	for _, k := range all {
		eventually(t, patience, k.name+" has what all wrote", func(ctx context.Context) error { return k.hasAll(ctx, all) })
	}
	stop()
	watching.Wait()
	acked, lost := 0, 0
	for _, k := range all {
		k.check(t)
		acked, lost = acked+k.acked, lost+k.lost
	}
	t.Logf("%d kills, %d requests acknowledged, %d without an answer", len(faults), acked, lost)
	eventually(t, patience, "all have one tree", func(ctx context.Context) error { return c.oneTree(ctx, all) })
	for _, dir := range append([]string{c.path("hub.git")}, c.path("apiserver", "repository.git")) {
		if _, err := git(t.Context(), dir, "fsck", "--strict"); err != nil {
			t.Error(err)
		}
	}
}

// oneTree complains about branches that differ from main.
func (c *cluster) oneTree(ctx context.Context, all []*keeper) error {
	main, err := tree(ctx, c.path("hub.git"), "main")
	if err != nil {
		return err
	}
	for _, k := range all {
		own, err := tree(ctx, k.path("repository.git"), k.branch)
		if err != nil {
			return err
		}
		if own != main {
			return fmt.Errorf("%s has the tree %s, main %s", k.branch, own, main)
		}
	}
	return nil
}

// keeper is a heaven without an API server, and a client that writes its own
// keys there, remembers all, and forgives nothing.
type keeper struct {
	*member
	etcd *clientv3.Client
	rng  *rand.Rand
	keys map[string]*field // its own; the value is a number that grows, empty if there is none
	next int

	mu        sync.Mutex
	revisions map[string]map[int64]string // of all keys, as anybody saw them here
	newest    map[string]int              // of all keys, as the watch saw them
	watched   map[string]string           // key -> value, from the watch alone
	wrong     []string

	acked, lost int
	listed      int64
}

func (c *cluster) keeper(t *testing.T, branch string, index int, seed uint64) *keeper {
	t.Helper()
	more := ""
	if index == 0 {
		ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(ready.Close)
		more = fmt.Sprintf("genesis: {readyURL: %q}\n", ready.URL)
	}
	k := &keeper{
		member: c.enter(t, branch, more), rng: rand.New(rand.NewPCG(seed, uint64(index+2))), keys: map[string]*field{},
		revisions: map[string]map[int64]string{}, newest: map[string]int{}, watched: map[string]string{},
	}
	var err error
	k.etcd, err = clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + k.path("g.sock")}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.etcd.Close() })
	for i := range ownKeys {
		k.keys[fmt.Sprintf("%s%s-%d", ownPrefix, k.name, i)] = &field{}
	}
	if index == 0 { // others begin with what it has
		if _, err := k.etcd.Put(t.Context(), ownPrefix+"first", valueOf(1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, "main", func(ctx context.Context) error {
			_, err := tree(ctx, c.path("hub.git"), "main")
			return err
		})
	}
	return k
}

func valueOf(n int) string {
	return fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","uid":"u","creationTimestamp":null},"data":{"n":"%d"}}`, n)
}

// numberOf reads the number back: empty if it is none of ours.
func numberOf(value []byte) string {
	_, rest, _ := strings.Cut(string(value), `"n":"`)
	number, _, _ := strings.Cut(rest, `"`)
	return number
}

// write changes one key after another, as an API server does: it reads, and then
// writes if nobody did meanwhile.
func (k *keeper) write(ctx context.Context) {
	for ctx.Err() == nil {
		key := fmt.Sprintf("%s%s-%d", ownPrefix, k.name, k.rng.IntN(ownKeys))
		k.change(key)
		time.Sleep(time.Duration(k.rng.IntN(10)) * time.Millisecond)
	}
}

// change reads and writes one key.
func (k *keeper) change(key string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	have, err := k.read(ctx, key)
	if err != nil {
		k.lost++
		return
	}
	f := k.keys[key]
	k.next++
	number, op := strconv.Itoa(k.next), clientv3.OpPut(key, valueOf(k.next))
	if have != nil && k.rng.IntN(8) == 0 {
		number, op = "", clientv3.OpDelete(key)
	}
	var revision int64
	if have != nil {
		revision = have.ModRevision
	}
	f.Perhaps = append(f.Perhaps, number)
	answer, err := k.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(op).Commit()
	switch {
	case err != nil:
		k.lost++
	case !answer.Succeeded: // a request without an answer was kept after all
	default:
		k.acked++
		f.Value, f.Perhaps = number, nil
		if number != "" {
			k.saw(key, answer.Header.Revision, number)
		}
	}
}

// read reads one key, which has what was acknowledged last, or asked for since.
func (k *keeper) read(ctx context.Context, key string) (*mvccpb.KeyValue, error) {
	answer, err := k.etcd.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	number, have := "", (*mvccpb.KeyValue)(nil)
	if len(answer.Kvs) > 0 {
		have = answer.Kvs[0]
		number = numberOf(have.Value)
		k.saw(key, have.ModRevision, number)
	}
	if f := k.keys[key]; !f.may(number) {
		k.fail("K1: %s is %q at revision %d; it was set to %q, and since, without an answer, to %q", key, number, answer.Header.Revision, f.Value, f.Perhaps)
	}
	return have, nil
}

func (k *keeper) fail(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrong = append(k.wrong, time.Now().Format("15:04:05.000 ")+k.name+": "+fmt.Sprintf(format, args...))
}

// saw notes which value a revision of a key has.
func (k *keeper) saw(key string, revision int64, number string) {
	k.mu.Lock()
	if k.revisions[key] == nil {
		k.revisions[key] = map[int64]string{}
	}
	before, ok := k.revisions[key][revision]
	k.revisions[key][revision] = number
	k.mu.Unlock()
	if ok && before != number {
		k.fail("K2: revision %d of %s had %q and has %q", revision, key, before, number)
	}
}

// list reads all keys, for a watch to go on from there.
func (k *keeper) list(t *testing.T) {
	t.Helper()
	answer, err := k.etcd.Get(t.Context(), ownPrefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range answer.Kvs {
		n, err := strconv.Atoi(numberOf(kv.Value))
		if err != nil {
			t.Fatal(err)
		}
		k.newest[string(kv.Key)], k.watched[string(kv.Key)] = n, numberOf(kv.Value)
	}
	k.listed = answer.Header.Revision
}

// watch follows all keys, and goes on behind the last revision that it saw whenever it breaks.
func (k *keeper) watch(ctx context.Context) {
	last := k.listed
	for ctx.Err() == nil {
		one, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		for answer := range k.etcd.Watch(one, ownPrefix, clientv3.WithPrefix(), clientv3.WithRev(last+1)) {
			if err := answer.Err(); err != nil {
				if answer.CompactRevision != 0 {
					k.fail("K3: the watch from %d on: %v", last+1, err)
				}
				break
			}
			for _, e := range answer.Events {
				k.event(e, last)
				last = max(last, e.Kv.ModRevision)
			}
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (k *keeper) event(e *clientv3.Event, last int64) {
	key := string(e.Kv.Key)
	if e.Kv.ModRevision <= last {
		k.fail("K3: the event about %s has revision %d, after %d", key, e.Kv.ModRevision, last)
	}
	if e.Type == clientv3.EventTypeDelete {
		k.mu.Lock()
		_, ok := k.watched[key]
		delete(k.watched, key)
		k.mu.Unlock()
		if !ok {
			k.fail("K3: %s is deleted at %d, and was not there", key, e.Kv.ModRevision)
		}
		return
	}
	number := numberOf(e.Kv.Value)
	k.saw(key, e.Kv.ModRevision, number)
	n, err := strconv.Atoi(number)
	if err != nil || n <= k.newest[key] {
		k.fail("K4: %s is %q at %d, after %d", key, number, e.Kv.ModRevision, k.newest[key])
	}
	k.newest[key] = n
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched[key] = number
}

// hasAll complains about keys that do not have what their writers were told.
func (k *keeper) hasAll(ctx context.Context, all []*keeper) error {
	answer, err := k.etcd.Get(ctx, ownPrefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, kv := range answer.Kvs {
		have[string(kv.Key)] = numberOf(kv.Value)
	}
	var differ []error
	for _, writer := range all {
		for key, f := range writer.keys {
			if !f.may(have[key]) {
				differ = append(differ, fmt.Errorf("%s is %q; it was set to %q, and since, without an answer, to %q", key, have[key], f.Value, f.Perhaps))
			}
		}
	}
	if k.watchedAll(have) {
		return errors.Join(differ...)
	}
	return errors.Join(append(differ, errors.New("the watch has not seen all"))...)
}

// watchedAll says whether the watch leads to what can be read.
func (k *keeper) watchedAll(have map[string]string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, number := range have {
		if k.watched[key] != number {
			return false
		}
	}
	return len(k.watched) == len(have)
}

// check reports all that is wrong.
func (k *keeper) check(t *testing.T) {
	t.Helper()
	for i, what := range k.wrong {
		if i == 20 {
			t.Errorf("and %d more", len(k.wrong)-i)
			break
		}
		t.Error(what)
	}
	if k.gitcd.fenced {
		t.Errorf("gitcd of %s was fenced, though its branch had no other writer", k.branch)
	}
}
