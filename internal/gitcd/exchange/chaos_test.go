// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

const shared = "/registry/configmaps/default/shared"

// sharedObject is an object that all heavens write, each its own field.
type sharedObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Data       map[string]string `json:"data"`
}

// writer writes in a heaven, and remembers what was acknowledged.
type writer struct {
	v      *heaven
	random *rand.Rand
	pause  time.Duration

	mu    sync.Mutex        // held by who starts, stops or uses the heaven
	acked map[string]string // key -> value, "" if deleted
	field string            // the last value of the own field of the shared object
	n     int
}

// write makes one random write, and returns after it was acknowledged.
func (w *writer) write() error {
	w.n++
	if w.n%5 == 0 {
		return w.writeShared()
	}
	key := fmt.Sprintf("/registry/things/%s/%d", w.v.name, w.random.IntN(30))
	op, value := mvcc.Op{}, fmt.Sprintf(`{"n":%d}`, w.n)
	if w.random.IntN(6) == 0 {
		value, op.Delete = "", &mvcc.Delete{Key: key}
	} else {
		op.Put = &mvcc.Put{Key: key, Value: []byte(value)}
	}
	if _, err := w.v.store.Txn(context.Background(), mvcc.Txn{Then: []mvcc.Op{op}}); err != nil {
		return err
	}
	w.acked[key] = value
	return nil
}

// writeShared sets the own field of the shared object, as a client of the API does.
func (w *writer) writeShared() error {
	for {
		value, mod, err := w.v.store.KeyState(shared)
		if err != nil || mod == 0 {
			return err // it has not arrived yet
		}
		var o sharedObject
		if err := json.Unmarshal(value, &o); err != nil {
			return err
		}
		field := fmt.Sprint(w.n)
		o.Data[w.v.name] = field
		if value, err = json.Marshal(o); err != nil {
			return err
		}
		r, err := w.v.store.Txn(context.Background(), mvcc.Txn{
			If:   []mvcc.Compare{{Key: shared, Target: mvcc.CompareMod, Relation: mvcc.Equal, Number: mod}},
			Then: []mvcc.Op{{Put: &mvcc.Put{Key: shared, Value: value}}},
		})
		if err != nil {
			return err
		}
		if r.Succeeded {
			w.field = field
			return nil
		}
	}
}

// TestChaos lets heavens write while links are cut, heavens and the hub lose
// power, and checks that all come to rest with equal trees that hold every
// acknowledged write.
func TestChaos(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { testChaos(t, seed) })
	}
}

func testChaos(t *testing.T, seed uint64) {
	t.Helper()
	h := startHub(t)
	door := newHeaven(t, h, "heavens/apiserver", "front").start(true)
	door.put(shared, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shared","namespace":"default","uid":"7"},"data":{}}`)
	writers := []*writer{{v: door}}
	for _, name := range []string{"heavens/kube-scheduler", "nodes/one", "nodes/two"} {
		writers = append(writers, &writer{v: newHeaven(t, h, name, "holder of "+name).start(false)})
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for i, w := range writers {
		w.random, w.acked = rand.New(rand.NewPCG(seed, uint64(i))), map[string]string{}
		w.pause = time.Duration(1+i*3) * time.Millisecond
		writing.Go(func() {
			for range 400 { // a slow machine has no more to do than a fast one
				select {
				case <-stop:
					return
				case <-time.After(w.pause):
				}
				w.mu.Lock()
				if err := w.write(); err != nil {
					t.Errorf("%s: %v", w.v.name, err)
				}
				w.mu.Unlock()
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for range 20 {
		trouble(t, h, writers[random.IntN(len(writers))], random)
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
	}
	close(stop)
	writing.Wait()
	heavens := make([]*heaven, len(writers))
	for i, w := range writers {
		w.v.link.mend()
		heavens[i] = w.v
	}
	settled(t, h, heavens...)
	var o sharedObject
	if err := json.Unmarshal([]byte(door.get(shared)), &o); err != nil {
		t.Fatal(err)
	}
	for _, w := range writers {
		for key, want := range w.acked {
			for _, v := range heavens {
				if got := v.get(key); got != want {
					t.Errorf("%s: %s is %q, but %s was told that it is %q", v.name, key, got, w.v.name, want)
				}
			}
		}
		if o.Data[w.v.name] != w.field {
			t.Errorf("the shared object has %q of %s, which was told that it has %q", o.Data[w.v.name], w.v.name, w.field)
		}
		t.Logf("%s: %d writes, %+v", w.v.name, w.n, w.v.exchange.Status())
	}
	t.Logf("hub: %d passes, %d merges, %d conflicts", h.status().Passes, h.status().Merges, h.status().Conflicts)
	for _, v := range heavens {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// trouble makes one thing go wrong.
func trouble(t *testing.T, h *theHub, w *writer, random *rand.Rand) {
	t.Helper()
	switch random.IntN(8) {
	case 0, 1: // the link is cut for a while
		w.v.link.sever()
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		w.v.link.mend()
	case 2: // what is under way breaks off
		w.v.link.sever()
		w.v.link.mend()
	case 3, 4: // the heaven loses power
		w.mu.Lock()
		defer w.mu.Unlock()
		w.v.kill()
		w.v.start(false)
	case 5: // the heaven is restarted
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := w.v.halt(); err != nil {
			t.Error(err)
		}
		w.v.start(false)
	case 6: // the hub loses power
		h.kill()
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
		h.start()
	default: // quiet
		time.Sleep(50 * time.Millisecond)
	}
}
