// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const peerHeader = "X-Test-Peer"

func byHeader(r *http.Request) (string, error) {
	if name := r.Header.Get(peerHeader); name != "" {
		return name, nil
	}
	return "", errors.New("who are you?")
}

// theHub is a hub on a disk in memory. It can be killed and started again.
type theHub struct {
	t    testing.TB
	disk *vfs.Mem
	o    hub.Options
	url  string
	addr string

	hub     *hub.Hub
	journal *journal.Journal
	server  *httptest.Server
	stop    context.CancelFunc
	done    chan struct{}
}

func startHub(tb testing.TB) *theHub {
	tb.Helper()
	h := &theHub{t: tb, disk: &vfs.Mem{}, o: hub.Options{Identify: byHeader, Heartbeat: time.Second, LazyWait: time.Second}}
	h.start()
	tb.Cleanup(h.halt)
	return h
}

func (h *theHub) start() {
	h.t.Helper()
	var err error
	if h.journal, err = journal.Open(context.Background(), h.disk, "hub", journal.Options{}); err != nil {
		h.t.Fatal(err)
	}
	h.hub = hub.New(h.journal, h.o)
	if h.addr == "" {
		h.addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", h.addr) // where it was before
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = listener.Addr().String()
	h.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: h.hub.Handler(), ReadHeaderTimeout: time.Second}}
	h.server.Start()
	h.url = h.server.URL
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	h.done = make(chan struct{})
	go func() {
		defer close(h.done)
		if err := h.hub.Run(ctx); err != nil {
			h.t.Errorf("hub: %v", err)
		}
	}()
}

// halt stops the hub in order.
func (h *theHub) halt() {
	if h.server == nil {
		return
	}
	h.stop()
	<-h.done
	h.server.CloseClientConnections()
	h.server.Close()
	h.server = nil
	if err := h.journal.Close(context.Background()); err != nil {
		h.t.Errorf("close hub's journal: %v", err)
	}
}

// kill takes the power away: what was not synced is gone.
func (h *theHub) kill() {
	if err := h.server.Listener.Close(); err != nil {
		h.t.Error(err)
	}
	h.server.CloseClientConnections() // from here on nobody hears an answer
	disk := h.disk.CrashClone(vfs.Tear, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)))
	h.halt()
	h.disk = disk
}

func (h *theHub) status() hub.Status { return h.hub.Status() }

// link is a heaven's network: it can be cut.
type link struct {
	name string
	cut  atomic.Bool
	// asked counts the requests for refs and packs.
	asked atomic.Int64
	http.RoundTripper

	mu      sync.Mutex
	cancels map[*context.CancelFunc]struct{}
}

func newLink(name string) *link {
	return &link{name: name, RoundTripper: &http.Transport{MaxIdleConnsPerHost: 8}, cancels: map[*context.CancelFunc]struct{}{}}
}

var errCut = errors.New("the cable is cut")

func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.cut.Load() {
		return nil, errCut
	}
	ctx, cancel := context.WithCancel(r.Context())
	l.mu.Lock()
	l.cancels[&cancel] = struct{}{}
	l.mu.Unlock()
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		delete(l.cancels, &cancel)
		l.mu.Unlock()
	})
	r = r.Clone(ctx)
	r.Header.Set(peerHeader, l.name)
	if strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
		l.asked.Add(1)
	}
	return l.RoundTripper.RoundTrip(r)
}

// sever cuts the link, also what is on its way.
func (l *link) sever() {
	l.cut.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for cancel := range l.cancels {
		(*cancel)()
	}
}

func (l *link) mend() { l.cut.Store(false) }

func (l *link) client() *http.Client { return &http.Client{Transport: l} }

// heaven is a store with its exchange, on a disk in memory.
type heaven struct {
	t      testing.TB
	name   string
	holder string
	hub    *theHub
	link   *link
	disk   *vfs.Mem
	tune   func(*exchange.Options)
	// upstream is what to use in place of the hub.
	upstream *exchange.Remote
	// wrap puts something in front of the upstream.
	wrap func(exchange.Upstream) exchange.Upstream
	// clock and grains, if not the defaults.
	clock  clock.Clock
	grains layout.Grains
	batch  time.Duration
	// beats says whether renewals of leases travel beside Git.
	beats bool

	taken    exchange.Taken
	journal  *journal.Journal
	store    *mvcc.Store
	exchange *exchange.Exchange
	stop     context.CancelFunc
	ended    chan error
}

func newHeaven(tb testing.TB, h *theHub, name, holder string) *heaven {
	tb.Helper()
	return &heaven{t: tb, name: name, holder: holder, hub: h, link: newLink(name), disk: &vfs.Mem{}}
}

func (v *heaven) remote() *exchange.Remote {
	if v.upstream != nil {
		return v.upstream
	}
	return exchange.NewHubRemote(v.hub.url, v.link.client())
}

func (v *heaven) storeOptions(epoch int64) mvcc.Options {
	return mvcc.Options{
		Branch: "refs/heads/" + v.name, Epoch: epoch, Holder: v.holder,
		Author: mvcc.Identity{Name: v.name, Email: v.name + "@example.org"},
		Clock:  v.clock, Grains: v.grains, BatchInterval: v.batch,
	}
}

func (v *heaven) takeOptions(genesis bool) exchange.TakeOptions {
	return exchange.TakeOptions{
		Branch: v.name, Holder: v.holder, Genesis: genesis, Patience: time.Second, Log: logger(v.t),
		Flush: func(ctx context.Context, epoch int64, holder string) (gitobj.ID, error) {
			o := v.storeOptions(epoch)
			o.Holder = holder
			s, err := branch.OpenStore(ctx, v.journal, o)
			if err != nil {
				return gitobj.Zero, err
			}
			head, err := s.Flush(ctx)
			return head, errors.Join(err, s.Close(ctx))
		},
	}
}

// start takes the branch and serves.
func (v *heaven) start(genesis bool) *heaven {
	v.t.Helper()
	if err := v.tryStart(genesis); err != nil {
		v.t.Fatal(err)
	}
	return v
}

func (v *heaven) tryStart(genesis bool) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if v.journal, err = journal.Open(ctx, v.disk, "repo", journal.Options{}); err != nil {
		return err
	}
	if v.taken, err = exchange.Take(ctx, v.journal, v.remote(), v.takeOptions(genesis)); err != nil {
		return err
	}
	return v.serve(ctx)
}

func (v *heaven) serve(ctx context.Context) (err error) {
	if v.store, err = branch.OpenStore(ctx, v.journal, v.storeOptions(v.taken.Epoch)); err != nil {
		return err
	}
	o := exchange.Options{
		Branch: v.name, Epoch: v.taken.Epoch, Holder: v.holder, MaxPause: time.Second, Log: logger(v.t), Leave: 5 * time.Second,
	}
	if v.tune != nil {
		v.tune(&o)
	}
	up := v.remote()
	if v.beats {
		o.Beside, up.Hears = v.store, !strings.HasPrefix(v.name, "nodes/")
	}
	var seen exchange.Upstream = up
	if v.wrap != nil {
		seen = v.wrap(up)
	}
	v.exchange = exchange.New(v.store, v.journal, seen, o)
	up.Settings = v.exchange.Use
	var run context.Context
	run, v.stop = context.WithCancel(context.Background())
	v.ended = make(chan error, 1)
	go func() { v.ended <- v.exchange.Run(run) }()
	return nil
}

// halt stops the heaven in order, and returns what its exchange ended with.
func (v *heaven) halt() error {
	v.t.Helper()
	v.stop()
	var err error
	select {
	case err = <-v.ended:
	case <-time.After(30 * time.Second):
		v.t.Fatalf("%s does not stop", v.name)
	}
	v.close()
	return err
}

func (v *heaven) close() {
	v.t.Helper()
	if err := errors.Join(v.store.Close(context.Background()), v.journal.Close(context.Background())); err != nil {
		v.t.Errorf("close %s: %v", v.name, err)
	}
}

// kill takes the power away.
func (v *heaven) kill() {
	v.t.Helper()
	v.link.sever() // from here on nobody hears a request
	disk := v.disk.CrashClone(vfs.Tear, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)))
	v.stop()
	if err := <-v.ended; err != nil {
		v.t.Errorf("%s: %v", v.name, err)
	}
	v.close()
	v.link = newLink(v.name)
	v.disk = disk
}

func (v *heaven) put(key, value string) {
	v.t.Helper()
	if err := v.tryPut(key, value); err != nil {
		v.t.Fatalf("%s: put %s: %v", v.name, key, err)
	}
}

func (v *heaven) tryPut(key, value string) error {
	_, err := v.store.Txn(context.Background(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: []byte(value)}}}})
	return err
}

func (v *heaven) tryDelete(key string) error {
	_, err := v.store.Txn(context.Background(), mvcc.Txn{Then: []mvcc.Op{{Delete: &mvcc.Delete{Key: key}}}})
	return err
}

func (v *heaven) get(key string) string {
	v.t.Helper()
	value, _, err := v.store.KeyState(key)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(value)
}

// tree returns the tree of the last commit, with all that was written in it.
func (v *heaven) tree() gitobj.ID {
	v.t.Helper()
	head, err := v.store.Flush(context.Background())
	if err != nil {
		v.t.Fatal(err)
	}
	_, data, err := v.journal.Get(head)
	if err != nil {
		v.t.Fatal(err)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		v.t.Fatal(err)
	}
	return c.Tree
}

// eventually waits for something to become true.
func eventually(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	deadline := time.Now().Add(time.Minute)
	for !f() {
		if time.Now().After(deadline) {
			tb.Fatalf("it never came about that %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// settled waits until all heavens and main have one tree.
func settled(tb testing.TB, h *theHub, heavens ...*heaven) {
	tb.Helper()
	same := func() bool {
		id, ok := h.journal.Ref(hub.Main)
		if !ok {
			return false
		}
		_, data, err := h.journal.Get(id)
		if err != nil {
			tb.Fatal(err)
		}
		main, err := gitobj.DecodeCommit(data)
		if err != nil {
			tb.Fatal(err)
		}
		for _, v := range heavens {
			if v.tree() != main.Tree {
				return false
			}
		}
		return true
	}
	deadline := time.Now().Add(2 * time.Minute)
	for !same() {
		if time.Now().After(deadline) {
			for _, v := range heavens {
				s, err := json.Marshal(v.exchange.Status())
				tb.Logf("%s: tree %s, %s %v", v.name, v.tree(), s, err)
			}
			s, err := json.MarshalIndent(h.status(), "", " ")
			tb.Fatalf("the heavens do not come to rest with equal trees; hub: %s %v", s, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(testWriter{tb}, nil))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	fmt.Printf("%s %s", w.t.Name(), p)
	return len(p), nil
}
