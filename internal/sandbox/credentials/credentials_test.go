// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

func config(t *testing.T) sandbox.Config {
	t.Helper()
	c, err := sandbox.Config{StateDir: t.TempDir(), BinDir: "/bin"}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contents are all files of the state directory.
func contents(t *testing.T, c sandbox.Config) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.Walk(c.StateDir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is readable by others: %v", path, info.Mode())
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEnsureKeepsWhatIsGood(t *testing.T) {
	c := config(t)
	clk := clocktesting.NewFakeClock(time.Now())
	if err := Ensure(c, clk); err != nil {
		t.Fatal(err)
	}
	before := contents(t, c)
	clk.Step(300 * 24 * time.Hour)
	if err := Ensure(c, clk); err != nil {
		t.Fatal(err)
	}
	for path, b := range contents(t, c) {
		if !bytes.Equal(before[path], b) {
			t.Errorf("%s changed", path)
		}
	}
}

func TestEnsureRenewsWhatEnds(t *testing.T) {
	c := config(t)
	clk := clocktesting.NewFakeClock(time.Now())
	if err := Ensure(c, clk); err != nil {
		t.Fatal(err)
	}
	before := contents(t, c)
	clk.Step(validity - renewal + time.Hour)
	if err := Ensure(c, clk); err != nil {
		t.Fatal(err)
	}
	after := contents(t, c)
	if path := File(c, "ca.crt"); !bytes.Equal(before[path], after[path]) {
		t.Error("the authority changed: every client would be cut off")
	}
	for _, path := range []string{File(c, "apiserver.crt"), c.Kubeconfig(), Kubeconfig(c, "kubelet")} {
		if bytes.Equal(before[path], after[path]) {
			t.Errorf("%s was not renewed", path)
		}
	}
}

func TestTheAPIServersCertificateFits(t *testing.T) {
	c := config(t)
	clk := clocktesting.NewFakeClock(time.Now())
	if err := Ensure(c, clk); err != nil {
		t.Fatal(err)
	}
	nets, err := c.Networks()
	if err != nil {
		t.Fatal(err)
	}
	serving, err := tls.LoadX509KeyPair(File(c, "apiserver.crt"), File(c, "apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(File(c, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, name := range []string{nets.Node.String(), nets.API.String(), "kubernetes.default.svc", "127.0.0.1"} {
		if _, err := serving.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: clk.Now()}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	kubeconfig, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if got := kubeconfig.Clusters[c.Name].Server; got != Server(nets) {
		t.Errorf("the kubeconfig leads to %s, want %s", got, Server(nets))
	}
}

func TestADamagedPairIsNotReplacedSilently(t *testing.T) {
	c := config(t)
	clk := clocktesting.NewFakeClock(time.Now())
	if err := Ensure(c, clk); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(File(c, "ca.crt"), []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Ensure(c, clk); err == nil {
		t.Error("a damaged authority is accepted")
	}
}
