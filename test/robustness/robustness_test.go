// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/identity"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

func TestKubernetes(t *testing.T) { survives(t, traffic.Kubernetes) }

func TestEtcdPut(t *testing.T) { survives(t, traffic.EtcdPut) }

func TestEtcdDelete(t *testing.T) { survives(t, traffic.EtcdDelete) }

func TestEtcdLease(t *testing.T) { survives(t, traffic.EtcdPutDeleteLease) }

// Finding an order of many requests of which nobody knows whether they happened
// can take for ever. So there are several short rounds rather than a long one,
// and one for which no verdict is found in time is repeated.
const (
	attempts   = 3
	validation = time.Minute
)

// survives runs traffic, in each round on a new server that is killed and paused, and judges it.
func survives(t *testing.T, tf traffic.Traffic) {
	t.Helper()
	for n := range rounds(t) {
		t.Run(strconv.Itoa(n+1), func(t *testing.T) {
			for range attempts {
				result := round(t, tf)
				switch result.Linearization.Status {
				case validate.Timeout, validate.DeadlineExceeded:
					t.Log("no verdict in time: once more")
				default:
					if err := result.Error(); err != nil {
						t.Fatal(err)
					}
					return
				}
			}
			t.Fatalf("no verdict in %d attempts", attempts)
		})
	}
}

func round(t *testing.T, tf traffic.Traffic) validate.RobustnessResult {
	t.Helper()
	s := startServer(t)
	reports := drive(t, s, tf, duration, s.faults)
	return judge(t, tf, reports, s.stop(t))
}

// TestOracle is law T3: it takes a kept write away that a client was told of.
func TestOracle(t *testing.T) {
	s := startServer(t)
	reports := drive(t, s, traffic.EtcdPut, 2*time.Second, nil)
	kept := s.stop(t)
	if err := judge(t, traffic.EtcdPut, reports, kept).Error(); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(kept[len(kept)/2:], func(r model.EtcdRequest) bool { return r.Type == model.Txn }) + len(kept)/2
	kept = slices.Delete(kept, i, i+1)
	if judge(t, traffic.EtcdPut, reports, kept).Error() == nil {
		t.Fatal("the validators do not miss a lost write")
	}
}

// duration is how long the traffic of a round lasts: enough for four faults or five.
const duration = 10 * time.Second

// rounds is how many rounds there are.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ROBUSTNESS_ROUNDS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// artifacts is a directory that outlives a failed test.
func artifacts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ROBUSTNESS_OUT")
	if dir == "" {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, t.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// drive runs traffic for a time, disturbed by faults, and returns what all clients saw.
func drive(t *testing.T, s *server, tf traffic.Traffic, d time.Duration, faults func(ctx context.Context) error) []report.ClientReport {
	t.Helper()
	var (
		ctx       = t.Context()
		lg        = zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
		base      = time.Now()
		ids       = identity.NewIDProvider()
		hosts     = []string{s.client}
		users     = client.NewSet(ids, base)
		observers = client.NewSet(ids, base)
		last      = make(chan int64, 1)
		group     errgroup.Group
	)
	defer users.Close()
	defer observers.Close()
	if err := traffic.CheckEmptyDatabaseAtStart(ctx, lg, hosts, users); err != nil {
		t.Fatal(err)
	}
	group.Go(func() error {
		defer close(last)
		if err := simulate(ctx, lg, tf, hosts, users, d, faults); err != nil {
			return err
		}
		last <- report.OperationsMaxRevision(users.Reports())
		return nil
	})
	group.Go(func() error {
		return client.CollectClusterWatchEvents(ctx, client.CollectClusterWatchEventsParam{
			Lg: lg, Endpoints: hosts, MaxRevisionChan: last, ClientSet: observers,
		})
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(users.Reports(), observers.Reports())
}

// simulate lets users read, write, compact and watch, and ends with a write that succeeds.
func simulate(ctx context.Context, lg *zap.Logger, tf traffic.Traffic, hosts []string, users *client.ClientSet, d time.Duration, faults func(context.Context) error) error {
	load := traffic.KeyValue{
		MinimalQPS: 50, MaximalQPS: 300, BurstableQPS: 1000, MemberClientCount: 6, ClusterClientCount: 2, MaxNonUniqueRequestConcurrency: 3,
	}
	watch := traffic.WatchDefault
	limiter := rate.NewLimiter(rate.Limit(load.MaximalQPS), load.BurstableQPS)
	storage, keys := traffic.NewKubernetesStorage(), traffic.NewKeyStore(10, "key")
	finish := make(chan struct{})
	var wg sync.WaitGroup
	if err := traffic.SimulateKeyValueTraffic(ctx, &wg, &load, hosts, users, tf, traffic.RunTrafficLoopParam{
		QPSLimiter: limiter, IDs: users.IdentityProvider(), LeaseIDStorage: identity.NewLeaseIDStorage(),
		NonUniqueRequestConcurrencyLimiter: traffic.NewConcurrencyLimiter(load.MaxNonUniqueRequestConcurrency),
		KeyStore:                           keys, Storage: storage, Finish: finish,
	}); err != nil {
		return err
	}
	if err := traffic.SimulateWatchTraffic(ctx, &wg, &watch, hosts, users, tf, traffic.RunWatchLoopParam{
		Config: watch, QPSLimiter: limiter, KeyStore: keys, Storage: storage, Finish: finish, Logger: lg,
	}); err != nil {
		return err
	}
	compaction := traffic.CompactionDefault
	if err := traffic.SimulateCompactionTraffic(ctx, &wg, &compaction, hosts, users, tf, traffic.RunCompactLoopParam{
		Period: compaction.Period, Finish: finish,
	}); err != nil {
		return err
	}
	err := disturb(ctx, d, faults)
	close(finish)
	wg.Wait()
	if err != nil {
		return err
	}
	c, err := users.NewClient(hosts)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // all it has done is recorded
	if _, err := c.Put(ctx, "tombstone", "true"); err != nil {
		return fmt.Errorf("write the last request: %w", err)
	}
	return nil
}

// disturb waits, with faults or without.
func disturb(ctx context.Context, d time.Duration, faults func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if faults == nil {
		<-ctx.Done()
		return nil
	}
	return faults(ctx)
}

func judge(t *testing.T, tf traffic.Traffic, reports []report.ClientReport, kept []model.EtcdRequest) validate.RobustnessResult {
	t.Helper()
	ok, failed, events := 0, 0, 0
	for _, r := range reports {
		for _, op := range r.KeyValue {
			if op.Output.(model.MaybeEtcdResponse).Error == "" {
				ok++
			} else {
				failed++
			}
		}
		for _, w := range r.Watch {
			for _, resp := range w.Responses {
				events += len(resp.Events)
			}
		}
	}
	began := time.Now()
	r := validate.ValidateAndReturnVisualize(zap.NewNop(), validate.Config{ExpectRevisionUnique: tf.ExpectUniqueRevision()}, reports, kept, validation)
	t.Logf("%d requests answered, %d not, %d events seen, %d requests kept; assumptions %s, linearization %s, watch %s, serializable %s, after %s",
		ok, failed, events, len(kept), r.Assumptions, r.Linearization.Result, r.Watch, r.Serializable, time.Since(began).Round(time.Millisecond))
	return r
}
