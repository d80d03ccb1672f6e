// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
)

type fact = func(*scope)

// The rows are those of the tables in judge.go and health.go.
func TestVerdicts(t *testing.T) {
	const (
		yes     = metav1.ConditionTrue
		no      = metav1.ConditionFalse
		unknown = metav1.ConditionUnknown
	)
	broken := errors.New("broken")
	dying := func(s *scope) {
		now := metav1.Now()
		s.hcp.DeletionTimestamp = &now
	}
	gathered := func(s *scope) { s.gathered = true }
	wanted := func(s *scope) {
		want, err := heaven.Set(s.cluster, s.hcp)
		if err != nil {
			t.Fatal(err)
		}
		s.want, s.steps = &want, heaven.Plan(want, s.have)
	}
	is := func(component, kind string, status metav1.ConditionStatus) fact {
		return func(s *scope) {
			name := heaven.Name("blue", component)
			h := s.have.Heavens[name]
			if h == nil {
				h = &heavenv1.TrishankuHeaven{ObjectMeta: metav1.ObjectMeta{Name: name}}
				h.Spec.Version = "v1.36.3"
				s.have.Heavens[name] = h
			}
			conditions.Set(h, metav1.Condition{Type: kind, Status: status, Reason: "TheHeavens"})
		}
	}
	hub := func(status metav1.ConditionStatus) fact {
		return func(s *scope) {
			s.have.Merge = &heavenv1.AutomatedMerge{}
			conditions.Set(s.have.Merge, metav1.Condition{Type: heavenv1.MergeAvailable, Status: status, Reason: "TheHubs"})
		}
	}
	answers := func(err error) fact { return func(s *scope) { s.probed, s.probeFailure = true, err } }
	all := func(status metav1.ConditionStatus) fact {
		return func(s *scope) {
			for _, c := range []string{heavenv1.FrontDoor, controllerManager, scheduler} {
				is(c, heavenv1.HeavenAvailable, status)(s)
				is(c, heavenv1.HeavenSynced, status)(s)
				is(c, heavenv1.HeavenProgressing, no)(s)
			}
			hub(status)(s)
		}
	}
	disabled := func(s *scope) { s.hcp.Spec.Components.Scheduler.Disabled = new(true) }
	operator := func(s *scope) {
		s.hcp.Spec.Components.Additional = []controlplanev1.AdditionalComponent{{Name: "operator"}}
	}
	failure := func(s *scope) { s.failure = broken }
	waiting := func(s *scope) { s.waiting = true }
	spec := func(s *scope) { s.specFailure = broken }
	keys := func(s *scope) { s.keysFailure = broken }

	for condition, rows := range map[string][]struct {
		facts  []fact
		status metav1.ConditionStatus
		reason string
	}{
		controlplanev1.ConditionAvailable: {
			{[]fact{dying, gathered, all(yes), wanted}, no, "Deleting"},
			{[]fact{failure}, unknown, "NotObserved"},
			{[]fact{gathered, all(yes), wanted, answers(nil)}, yes, "Available"},
			{[]fact{gathered, all(yes), wanted, answers(nil), keys, failure}, yes, "Available"},
			{[]fact{gathered, waiting}, no, "WaitingForInfrastructure"},
			{[]fact{gathered, spec}, no, "SpecInvalid"},
			{[]fact{gathered, keys}, no, "KeysInvalid"},
			{[]fact{gathered, all(yes), wanted, answers(broken)}, no, "NotAnswering"},
			{[]fact{gathered, all(yes), hub(no), wanted, answers(nil)}, no, "TheHubs"},
			{[]fact{gathered, all(yes), is(scheduler, heavenv1.HeavenAvailable, unknown), wanted, answers(nil)}, unknown, "TheHeavens"},
		},
		controlplanev1.ConditionCertificatesAvailable: {
			{[]fact{keys}, no, "KeysInvalid"},
			{nil, unknown, "NotObserved"},
			{[]fact{func(s *scope) { s.keys = true }}, yes, "KeysExist"},
		},
		controlplanev1.ConditionHubAvailable: {
			{nil, unknown, "NotObserved"},
			{[]fact{gathered}, no, "Waiting"},
			{[]fact{gathered, hub(yes)}, yes, "TheHubs"},
			{[]fact{gathered, hub(no)}, no, "TheHubs"},
			{[]fact{gathered, func(s *scope) { s.have.Merge = &heavenv1.AutomatedMerge{} }}, unknown, "NotObserved"},
		},
		controlplanev1.ConditionAPIServerHealthy: {
			{[]fact{gathered, all(no), wanted, answers(nil)}, yes, "Answering"},
			{[]fact{gathered, all(yes), wanted, answers(broken)}, no, "NotAnswering"},
			{[]fact{gathered, wanted}, no, "Waiting"},
			{[]fact{gathered, all(no), wanted}, no, "TheHeavens"},
		},
		controlplanev1.ConditionSchedulerHealthy: {
			{[]fact{wanted}, unknown, "NotObserved"},
			{[]fact{gathered}, unknown, "NotObserved"},
			{[]fact{gathered, disabled, wanted}, yes, "Disabled"},
			{[]fact{gathered, wanted}, no, "Waiting"},
			{[]fact{gathered, all(yes), wanted}, yes, "TheHeavens"},
			{[]fact{gathered, all(no)}, no, "TheHeavens"},
		},
		controlplanev1.ConditionComponentsHealthy: {
			{[]fact{gathered, wanted}, yes, "NoComponents"},
			{[]fact{gathered, operator, wanted}, no, "Waiting"},
			{[]fact{gathered, operator, is("operator", heavenv1.HeavenAvailable, yes), wanted}, yes, "Available"},
			{[]fact{gathered, operator, is("operator", heavenv1.HeavenAvailable, unknown), wanted}, unknown, "TheHeavens"},
		},
		controlplanev1.ConditionSynced: {
			{[]fact{gathered}, unknown, "NotObserved"},
			{[]fact{gathered, all(yes)}, yes, "Synced"},
			{[]fact{gathered, all(yes), is(scheduler, heavenv1.HeavenSynced, unknown)}, unknown, "NotObserved"},
			{[]fact{gathered, all(yes), is(scheduler, heavenv1.HeavenSynced, no), is(heavenv1.FrontDoor, heavenv1.HeavenSynced, unknown)}, no, "NotSynced"},
		},
		controlplanev1.ConditionRollingOut: {
			{[]fact{waiting}, no, "WaitingForInfrastructure"},
			{[]fact{spec, failure}, no, "SpecInvalid"},
			{[]fact{gathered, failure}, unknown, "ReconcileFailed"},
			{[]fact{gathered, wanted}, yes, "RollingOut"},
			{[]fact{gathered, all(yes), is(scheduler, heavenv1.HeavenProgressing, yes), wanted}, yes, "RollingOut"},
			{[]fact{gathered, all(yes), wanted}, no, "Settled"},
		},
		controlplanev1.ConditionDeleting: {
			{nil, no, "NotDeleting"},
			{[]fact{dying, wanted}, yes, "Deleting"},
			{[]fact{dying}, yes, "Deleting"},
		},
	} {
		for i, row := range rows {
			s := &scope{
				cluster: &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}},
				hcp:     &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}},
				have:    heaven.Have{Heavens: map[string]*heavenv1.TrishankuHeaven{}},
			}
			s.hcp.Spec.Version = "v1.36.3"
			for _, fact := range row.facts {
				fact(s)
			}
			judge(s)
			got := conditions.Get(s.hcp, condition)
			g := NewWithT(t)
			g.Expect(got.Status).To(Equal(row.status), "%s row %d", condition, i)
			g.Expect(got.Reason).To(Equal(row.reason), "%s row %d", condition, i)
		}
	}
}

// A real TLS server that answers like an API server.
func TestHTTPProber(t *testing.T) {
	g := NewWithT(t)
	status, body := http.StatusOK, "ok"
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	config, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: server.URL, InsecureSkipTLSVerify: true}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c"}},
		CurrentContext: "c",
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(HTTPProber{}.Ready(t.Context(), config)).To(Succeed())

	status, body = http.StatusInternalServerError, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed"
	g.Expect(HTTPProber{}.Ready(t.Context(), config)).To(MatchError(ContainSubstring("500 Internal Server Error: etcd failed: reason withheld")))
	server.Close()
	g.Expect(HTTPProber{}.Ready(t.Context(), config)).To(MatchError(ContainSubstring("connection refused")))
}
