// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mergecheck

import (
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// patience is how long a new kind may take to be served on a machine that is busy.
const patience = 2 * time.Minute

// server is a kube-apiserver on an etcd.
type server struct {
	objects dynamic.Interface
	client  *kubernetes.Clientset
}

func startServer(t *testing.T) *server {
	t.Helper()
	store, peer := testbin.URL(t), testbin.URL(t)
	testbin.Start(t, "etcd", "--data-dir="+t.TempDir(), "--unsafe-no-fsync", "--log-level=error",
		"--listen-client-urls="+store, "--advertise-client-urls="+store, "--listen-peer-urls="+peer)
	api := testbin.StartAPIServer(t, store, "--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112", "--allow-privileged")
	config := &rest.Config{Host: api.URL, BearerToken: api.Token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	var err error
	s := &server{}
	if s.objects, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return s
}
