// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

func configMap(name string, data map[string]string) object {
	return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": data}
}

// watched follows the config maps of a namespace, name -> how often it was seen, and the data it has.
type watched struct {
	mu    sync.Mutex
	data  map[string]string // name -> n; gone when deleted
	last  int64
	order error
}

func (k *kubeAPIServer) watch(ctx context.Context, path, from string, w *watched) {
	for ctx.Err() == nil {
		resp, err := k.request(ctx, http.MethodGet, path+"?watch=1&allowWatchBookmarks=true&resourceVersion="+from, nil)
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			var ev struct {
				Type   string
				Object object
			}
			if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
				break
			}
			rv := ev.Object.text("metadata", "resourceVersion")
			n, _ := strconv.ParseInt(rv, 10, 64)
			w.mu.Lock()
			name := ev.Object.text("metadata", "name")
			switch ev.Type {
			case "ADDED", "MODIFIED":
				w.data[name] = ev.Object.text("data", "n")
			case "DELETED":
				delete(w.data, name)
			case "ERROR":
				w.order = fmt.Errorf("watch: %s", lines.Bytes())
			}
			if n < w.last {
				w.order = fmt.Errorf("revision %d after %d", n, w.last)
			}
			w.last = max(w.last, n)
			w.mu.Unlock()
			from = rv
		}
		_ = resp.Body.Close()
	}
}

func (w *watched) wait(t *testing.T, want map[string]string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		w.mu.Lock()
		err := w.order
		same := len(w.data) == len(want)
		for name, n := range want {
			same = same && w.data[name] == n
		}
		have := len(w.data)
		w.mu.Unlock()
		switch {
		case err != nil:
			t.Fatal(err)
		case same:
			return
		case time.Now().After(deadline):
			t.Fatalf("watch has %d objects, want %d, or they differ", have, len(want))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestKubeAPIServer lets a real kube-apiserver live on a store that is
// compacted all the time: nothing that it acknowledged may be lost or seen twice.
func TestKubeAPIServer(t *testing.T) {
	log := &mvcc.MemLog{}
	store := openStore(t, log)
	events := openStore(t, nil)
	socket := socketPath(t)
	stop := serveOn(t, socket, store)
	k := startKubeAPIServer(t, "unix://"+socket, "--etcd-compaction-interval=2s", "--etcd-servers-overrides=/events#"+serve(t, events))
	want := liveOn(t, k)
	if c := store.CompactRevision(); c == 0 {
		t.Error("kube-apiserver has not compacted")
	}
	t.Logf("%+v", store.Status())

	// The store ends and comes back under a running kube-apiserver, whose watches go on where they were.
	list := k.must(http.MethodGet, "/api/v1/namespaces/a/configmaps", nil, http.StatusOK)
	seen := &watched{data: map[string]string{}}
	for _, i := range list.items() {
		seen.data[i.text("metadata", "name")] = i.text("data", "n")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go k.watch(ctx, "/api/v1/namespaces/a/configmaps", list.text("metadata", "resourceVersion"), seen)
	for range 3 {
		stop()
		if err := store.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		store = openStore(t, log)
		stop = serveOn(t, socket, store)
		patiently(t, func() error { return count(k, "/api/v1/namespaces/a/configmaps/shared") })
		want["shared"] = strconv.FormatInt(toInt(want["shared"])+1, 10)
		seen.wait(t, want)
	}
	t.Cleanup(stop)
	k.must(http.MethodDelete, "/api/v1/namespaces/a/configmaps", nil, http.StatusOK)
	left := k.must(http.MethodGet, "/api/v1/namespaces/a/configmaps", nil, http.StatusOK)
	if n := len(left.items()); n != 0 {
		t.Fatalf("%d config maps are left", n)
	}
	seen.wait(t, map[string]string{})
}

func openStore(t *testing.T, log mvcc.Log) *mvcc.Store {
	t.Helper()
	store, err := mvcc.Open(t.Context(), log, mvcc.Options{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	return store
}

// patiently does something until it works: a server that comes back may refuse at first, as etcd does.
func patiently(t *testing.T, do func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func liveOn(t *testing.T, k *kubeAPIServer) map[string]string {
	t.Helper()
	k.must(http.MethodPost, "/api/v1/namespaces", object{"metadata": map[string]any{"name": "a"}}, http.StatusCreated)
	list := k.must(http.MethodGet, "/api/v1/namespaces/a/configmaps", nil, http.StatusOK)
	if n := len(list.items()); n != 0 {
		t.Fatalf("%d config maps in a new namespace", n)
	}
	seen := &watched{data: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go k.watch(ctx, "/api/v1/namespaces/a/configmaps", list.text("metadata", "resourceVersion"), seen)

	const writers, rounds = 8, 25
	want := concurrently(t, k, writers, rounds)
	seen.wait(t, want)
	paged(t, k, want)
	customResources(t, k)

	rv := k.must(http.MethodGet, "/api/v1/namespaces/a/configmaps", nil, http.StatusOK).text("metadata", "resourceVersion")
	cancel()
	k.stop()
	k.start()
	paged(t, k, want)
	after := k.must(http.MethodGet, "/api/v1/namespaces/a/configmaps", nil, http.StatusOK).text("metadata", "resourceVersion")
	if toInt(after) < toInt(rv) {
		t.Fatalf("resource version went back from %s to %s", rv, after)
	}
	return want
}

func toInt(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// concurrently creates, updates and deletes from several clients, which all
// also count in one shared object, and returns what must be there in the end.
func concurrently(t *testing.T, k *kubeAPIServer, writers, rounds int) map[string]string {
	t.Helper()
	const base = "/api/v1/namespaces/a/configmaps"
	k.must(http.MethodPost, base, configMap("shared", map[string]string{"n": "0"}), http.StatusCreated)
	var group sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		group.Go(func() {
			for r := range rounds {
				name := fmt.Sprintf("w%d-%d", w, r)
				if code, body := k.do(http.MethodPost, base, configMap(name, map[string]string{"n": "1"})); code != http.StatusCreated {
					errs <- fmt.Errorf("create %s: %d %s", name, code, body)
					return
				}
				if err := count(k, base+"/"+name); err != nil {
					errs <- err
					return
				}
				if err := count(k, base+"/shared"); err != nil {
					errs <- err
					return
				}
				if r%3 == 0 {
					if code, body := k.do(http.MethodDelete, base+"/"+name, nil); code != http.StatusOK {
						errs <- fmt.Errorf("delete %s: %d %s", name, code, body)
						return
					}
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		t.Fatalf("%v\n%s", err, k.tail())
	default:
	}
	want := map[string]string{"shared": strconv.Itoa(writers * rounds)}
	for w := range writers {
		for r := range rounds {
			if r%3 != 0 {
				want[fmt.Sprintf("w%d-%d", w, r)] = "2"
			}
		}
	}
	return want
}

// count adds one to an object's n, as often as it takes.
func count(k *kubeAPIServer, path string) error {
	for {
		code, data := k.do(http.MethodGet, path, nil)
		if code != http.StatusOK {
			return fmt.Errorf("get %s: %d %s", path, code, data)
		}
		var o object
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
		d, ok := o["data"].(map[string]any)
		if !ok {
			return errors.New("no data")
		}
		d["n"] = strconv.FormatInt(toInt(o.text("data", "n"))+1, 10)
		code, data = k.do(http.MethodPut, path, o)
		switch code {
		case http.StatusOK:
			return nil
		case http.StatusConflict:
			continue
		default:
			return fmt.Errorf("put %s: %d %s", path, code, data)
		}
	}
}

// paged lists in pages, from the cache and from the store, and compares.
func paged(t *testing.T, k *kubeAPIServer, want map[string]string) {
	t.Helper()
	for _, limit := range []string{"0", "7", "50"} {
		have := map[string]string{}
		next := ""
		for {
			list := k.must(http.MethodGet, "/api/v1/namespaces/a/configmaps?limit="+limit+"&continue="+url.QueryEscape(next), nil, http.StatusOK)
			for _, i := range list.items() {
				have[i.text("metadata", "name")] = i.text("data", "n")
			}
			if next = list.text("metadata", "continue"); next == "" {
				break
			}
		}
		for name, n := range want {
			if have[name] != n {
				t.Fatalf("limit %s: %s is %q, want %q", limit, name, have[name], n)
			}
		}
		if len(have) != len(want) {
			t.Fatalf("limit %s: %d objects, want %d", limit, len(have), len(want))
		}
	}
}

// customResources defines a kind, makes an object of it, and a Deployment.
func customResources(t *testing.T, k *kubeAPIServer) {
	t.Helper()
	crd := object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "foos.example.org"},
		"spec": map[string]any{
			"group": "example.org", "scope": "Namespaced",
			"names": map[string]any{"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			}}},
		},
	}
	k.must(http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd, http.StatusCreated)
	foo := object{"apiVersion": "example.org/v1", "kind": "Foo", "metadata": map[string]any{"name": "x"}, "spec": map[string]any{"text": "a<b>&c"}}
	deadline := time.Now().Add(20 * time.Second)
	for {
		code, body := k.do(http.MethodPost, "/apis/example.org/v1/namespaces/a/foos", foo)
		if code == http.StatusCreated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("create a Foo: %d %s", code, body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	got := k.must(http.MethodGet, "/apis/example.org/v1/namespaces/a/foos/x", nil, http.StatusOK)
	if s := got.text("spec", "text"); s != "a<b>&c" {
		t.Fatalf("text is %q", s)
	}
	labels := map[string]any{"app": "x"}
	k.must(http.MethodPost, "/apis/apps/v1/namespaces/a/deployments", object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "x"},
		"spec": map[string]any{"selector": map[string]any{"matchLabels": labels}, "template": map[string]any{
			"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "x", "image": "x"}}},
		}},
	}, http.StatusCreated)
}
