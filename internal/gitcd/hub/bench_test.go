// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// BenchmarkPushes lets 50 branches push a commit each, over and over, on a
// real disk, and counts how many a second are received and merged.
func BenchmarkPushes(b *testing.B) {
	j, err := journal.Open(b.Context(), vfs.OS{}, b.TempDir(), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := serve(b, j, hub.Options{})
	r.run()
	const heavens = 50
	first := r.author("heavens/a0")
	seed := map[string]string{}
	for i := range 1000 {
		seed[fmt.Sprintf("/registry/pods/default/p%04d", i)] = fmt.Sprintf(`{"kind":"Pod","n":%d}`, i)
	}
	first.commit(seed)
	first.mustPush()
	base := r.main("heavens/a0")
	authors, names := []*author{first}, []string{"heavens/a0"}
	for i := 1; i < heavens; i++ {
		v := r.author(fmt.Sprintf("nodes/n%d", i))
		v.take(base)
		authors, names = append(authors, v), append(names, v.name)
	}
	tips := make([][]gitobj.ID, heavens)
	for i, v := range authors {
		for n := range max(1, b.N/heavens) {
			tips[i] = append(tips[i], v.commit(map[string]string{fmt.Sprintf("/registry/things/%d-%d", i, n%10): fmt.Sprint(n)}))
		}
	}
	b.ResetTimer()
	var pushing sync.WaitGroup
	for i, v := range authors {
		pushing.Go(func() {
			for _, tip := range tips[i] {
				if err := v.pushTo("refs/heads/"+v.name, v.pushed, tip); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	pushing.Wait()
	r.main(names...)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
	s := r.hub.Status()
	b.Logf("%d pushes, %d passes, %d merges", b.N, s.Passes, s.Merges)
}
