// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
)

// tired is the clock of a machine that is so busy that time passes between two looks at it.
type tired struct {
	clock.RealClock
}

func (c tired) Now() time.Time {
	time.Sleep(5 * time.Millisecond)
	return c.RealClock.Now()
}

// TestAlarmIsNotMissed pushes all that is written (law X3), though the moment from which on it may
// be pushed goes by within a step: after the step looked, and before it says when to wake it.
func TestAlarmIsNotMissed(t *testing.T) {
	h := startHub(t)
	h.halt()
	h.o.Heartbeat = time.Hour // else that would wake it
	h.start()
	v := newHeaven(t, h, "heavens/apiserver", "front")
	v.tune = func(o *exchange.Options) { o.Clock, o.PushEvery = tired{}, 40*time.Millisecond }
	v.start(true)
	for i := range 40 {
		for j := range 2 { // the second one has to wait
			v.put("/registry/a", fmt.Sprintf(`{"n":"%d.%d"}`, i, j))
			time.Sleep(time.Duration(20+i%20) * time.Millisecond)
		}
		began := time.Now()
		eventually(t, "all is pushed", func() bool {
			head, err := v.store.Flush(t.Context())
			s := v.exchange.Status()
			return err == nil && (s.Pushed == head.String() || s.Main == head.String())
		})
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("it took %s, until something else woke it", took)
		}
	}
	if err := v.halt(); err != nil {
		t.Error(err)
	}
}
