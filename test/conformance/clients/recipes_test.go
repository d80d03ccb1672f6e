// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
)

// TestQueue: what several put in, several take out, each thing once.
func TestQueue(t *testing.T) {
	t.Parallel()
	s := start(t)
	const workers, things = 4, 10
	var group sync.WaitGroup
	var seen sync.Map
	for w := range workers {
		in, out := recipe.NewQueue(s.connect(t), "/queue"), recipe.NewQueue(s.connect(t), "/queue")
		group.Go(func() {
			for n := range things {
				if err := in.Enqueue(fmt.Sprint(w, "/", n)); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range things {
				thing, err := out.Dequeue()
				if err != nil {
					t.Error(err)
				}
				if _, twice := seen.LoadOrStore(thing, true); twice {
					t.Errorf("%s was taken twice", thing)
				}
			}
		})
	}
	group.Wait()
}

// TestPriorityQueue: the lowest number comes first, the older of two equals before the other.
func TestPriorityQueue(t *testing.T) {
	t.Parallel()
	q := recipe.NewPriorityQueue(start(t).connect(t), "/priority")
	for n, priority := range []uint16{5, 1, 3, 1} {
		must(t, q.Enqueue(fmt.Sprint(n), priority))
	}
	for _, want := range []string{"1", "3", "2", "0"} {
		got, err := q.Dequeue()
		must(t, err)
		if got != want {
			t.Fatalf("%s comes out, not %s", got, want)
		}
	}
}

// TestBarriers: nobody passes a barrier that is held, and all who wait pass when it is released; a double one holds
// until all are there.
func TestBarriers(t *testing.T) {
	t.Parallel()
	s := start(t)
	held := recipe.NewBarrier(s.connect(t), "/barrier")
	must(t, held.Hold())
	var released atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		b := recipe.NewBarrier(s.connect(t), "/barrier")
		group.Go(func() {
			if err := b.Wait(); err != nil {
				t.Error(err)
			}
			if !released.Load() {
				t.Error("one passed the barrier")
			}
		})
	}
	released.Store(true)
	must(t, held.Release())
	group.Wait()

	var entered, left atomic.Int32
	for range 4 {
		d := recipe.NewDoubleBarrier(session(t, s.connect(t)), "/double", 4)
		group.Go(func() {
			entered.Add(1)
			if err := d.Enter(); err != nil {
				t.Error(err)
			}
			if n := entered.Load(); n != 4 {
				t.Errorf("one entered when %d were there", n)
			}
			left.Add(1)
			if err := d.Leave(); err != nil {
				t.Error(err)
			}
			if n := left.Load(); n != 4 {
				t.Errorf("one left when %d wanted to", n)
			}
		})
	}
	group.Wait()
}

// TestRWMutex: readers are together, a writer is alone.
func TestRWMutex(t *testing.T) {
	t.Parallel()
	s := start(t)
	var readers, writers atomic.Int32
	var group sync.WaitGroup
	for n := range 6 {
		m := recipe.NewRWMutex(session(t, s.connect(t)), "/rw")
		group.Go(func() {
			for range 5 {
				if n < 4 {
					if err := m.RLock(); err != nil {
						t.Error(err)
						return
					}
					readers.Add(1)
					if writers.Load() != 0 {
						t.Error("one reads while another writes")
					}
					readers.Add(-1)
					_ = m.RUnlock()
					continue
				}
				if err := m.Lock(); err != nil {
					t.Error(err)
					return
				}
				if writers.Add(1) != 1 || readers.Load() != 0 {
					t.Error("one writes and is not alone")
				}
				writers.Add(-1)
				_ = m.Unlock()
			}
		})
	}
	group.Wait()
}
