// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLazy(t *testing.T) {
	node, heaven := Lazy{}, Lazy{BeatInterval: Duration{time.Second}}
	node.setDefaults("nodes/a")
	heaven.setDefaults("heavens/kube-controller-manager")
	if node.Hear != HearNone || heaven.Hear != HearAll || heaven.BeatInterval.Duration != time.Second || heaven.RenewalInterval.Duration != 10*time.Minute {
		t.Errorf("defaults: %+v, %+v", node, heaven)
	}
	p := &problems{}
	node.validate(p, "lazy")
	if len(p.errs) > 0 {
		t.Errorf("the defaults are wrong: %v", p.errs)
	}
	wrong := heaven
	wrong.Beats, wrong.Hear, wrong.PushWait.Duration, wrong.RenewalInterval.Duration = "Yes", "Some", -1, time.Second
	wrong.validate(p, "lazy")
	for _, field := range []string{"lazy.beats", "lazy.hear", "lazy.pushWait", "lazy.renewalInterval"} {
		if !strings.Contains(fmt.Sprint(p.errs), field) {
			t.Errorf("nothing is said of %s: %v", field, p.errs)
		}
	}
}
