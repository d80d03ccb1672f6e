// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/trishanku-org/cluster-api-provider-headless"

// storage says for each room of the storage wing which other rooms of ours it
// may import. A room that is missing here may import nothing and be imported
// by nobody: add it here, and to docs/architecture.md, first.
var storage = map[string][]string{
	"internal/gitcd/vfs":       {},
	"internal/gitcd/gitobj":    {},
	"internal/gitcd/layout":    {},
	"internal/gitcd/keymap":    {},
	"internal/gitcd/schema":    {},
	"internal/gitcd/pack":      {"gitobj"},
	"internal/gitcd/treeedit":  {"gitobj", "layout"},
	"internal/gitcd/merge":     {"gitobj", "layout", "schema", "treeedit"},
	"internal/gitcd/conflict":  {"gitobj", "treeedit"},
	"internal/gitcd/gate":      {"gitobj", "layout", "treeedit"},
	"internal/gitcd/repack":    {"gitobj", "pack"},
	"internal/gitcd/journal":   {"gitobj", "pack", "repack", "vfs"},
	"internal/gitcd/transport": {"gitobj", "pack"},
	"internal/gitcd/mvcc":      {"gitobj", "layout", "treeedit"},
	"internal/gitcd/branch":    {"gitobj", "journal", "layout", "mvcc", "vfs"},
	"internal/gitcd/snapshot":  {},
	"internal/gitcd/etcdapi":   {"mvcc", "snapshot"},
	"internal/gitcd/beat":      {},
	"internal/gitcd/exchange":  {"beat", "gitobj", "journal", "merge", "mvcc", "transport", "treeedit", "layout"},
	"internal/gitcd/pull":      {"exchange", "gitobj", "journal", "layout", "merge", "mvcc", "transport", "treeedit"},
	"internal/gitcd/hub":       {"beat", "gate", "conflict", "gitobj", "journal", "merge", "transport", "treeedit", "layout"},
	"internal/gitcd/hint":      {},
	"internal/gitcd/mirror":    {"gitobj", "journal", "merge", "transport", "treeedit"},
}

// foreign lists import prefixes that never enter a room of the storage wing,
// with the reason that is printed.
var foreign = map[string]string{
	"k8s.io/client-go":                    "gitcd serves an apiserver; it is not its client",
	"sigs.k8s.io/controller-runtime":      "controllers and storage never meet",
	module + "/api":                       "only cmd/gitcd reads the configuration file",
	module + "/controllers":               "controllers and storage never meet",
	"google.golang.org/grpc":              "gRPC stops at internal/gitcd/etcdapi",
	"go.etcd.io/etcd":                     "etcd's protobufs stop at internal/gitcd/etcdapi",
	"sigs.k8s.io/cluster-api/":            "gitcd knows keys and bytes, not Cluster API",
	"github.com/prometheus/client_golang": "only etcdapi answers what etcd measures; the rest is wired by cmd/gitcd",
}

// exempt names the room that a foreign import is for.
var exempt = map[string]string{
	"google.golang.org/grpc":              "internal/gitcd/etcdapi",
	"go.etcd.io/etcd":                     "internal/gitcd/etcdapi",
	"github.com/prometheus/client_golang": "internal/gitcd/etcdapi",
}

type pkg struct {
	ImportPath string
	Doc        string
	Name       string
	GoFiles    []string
	Imports    []string
}

func (p pkg) room() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func load(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Name,GoFiles,Imports", module+"/...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			pkgs = append(pkgs, p)
		}
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStorageWingImports(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		room := p.room()
		if !strings.HasPrefix(room, "internal/gitcd/") {
			continue
		}
		may, known := storage[room]
		if !known {
			// A sub-room (a test suite, say) obeys its parent.
			may, known = storage[filepath.Dir(room)]
			may = append(slices.Clone(may), filepath.Base(filepath.Dir(room)))
		}
		if !known {
			t.Errorf("room %s is unknown: add it to test/arch and docs/architecture.md", room)
			continue
		}
		for _, imp := range p.Imports {
			if why := banned(room, imp); why != "" {
				t.Errorf("%s imports %s: %s", room, imp, why)
			}
			ours, ok := strings.CutPrefix(imp, module+"/internal/gitcd/")
			if ok && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s: it may import only %v", room, ours, may)
			}
			if !ok && strings.HasPrefix(imp, module+"/") {
				t.Errorf("%s imports %s: the wings never meet", room, imp)
			}
		}
	}
}

func banned(room, imp string) string {
	for prefix, why := range foreign {
		if strings.HasPrefix(imp, prefix) && !strings.HasPrefix(room, exempt[prefix]+"/") && exempt[prefix] != room {
			return why
		}
	}
	return ""
}

func TestProviderWingImports(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		room := p.room()
		if strings.HasPrefix(room, "internal/gitcd/") || strings.HasPrefix(room, "cmd/gitcd") || strings.HasPrefix(room, "test/") {
			continue
		}
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module+"/")
			switch {
			case !ok:
			case strings.HasPrefix(ours, "internal/gitcd/"):
				t.Errorf("%s imports %s: the wings meet only in api/gitcd", room, ours)
			case strings.HasPrefix(ours, "cmd/"):
				// The commands of one program share its folder.
				if !strings.HasPrefix(room, "cmd/") {
					t.Errorf("%s imports %s: nothing imports cmd", room, ours)
				}
			case strings.HasPrefix(ours, "controllers/"):
				if !strings.HasPrefix(room, "cmd/") && !strings.HasPrefix(room, "exp/") && !strings.HasPrefix(room, "controllers/") {
					t.Errorf("%s imports %s: controllers are wired by cmd only", room, ours)
				}
			case strings.HasPrefix(ours, "internal/") && strings.HasPrefix(room, "api/"):
				t.Errorf("%s imports %s: api is a leaf", room, ours)
			case strings.HasPrefix(ours, "exp/") && room != "cmd/manager" && !strings.HasPrefix(room, "exp/"):
				t.Errorf("%s imports %s: only cmd/manager opens exp", room, ours)
			}
		}
	}
}

// TestForTestsOnly keeps what runs programs and host clusters for tests out of all that is built.
func TestForTestsOnly(t *testing.T) {
	t.Parallel()
	rooms := []string{"internal/testbin", "internal/hosttest"}
	for _, p := range load(t) {
		if slices.Contains(rooms, p.room()) {
			continue
		}
		for _, room := range rooms {
			if slices.Contains(p.Imports, module+"/"+room) {
				t.Errorf("%s imports %s: it is for tests only", p.room(), room)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.room())
		}
	}
}

// TestArchitectureDocument compares the room table of the architecture
// document with the law above, so that the document can not rot.
func TestArchitectureDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(root(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		room := strings.Trim(strings.TrimSpace(cells[1]), "`")
		if !strings.HasPrefix(room, "internal/gitcd/") {
			continue
		}
		var may []string
		for name := range strings.FieldsSeq(strings.ReplaceAll(cells[3], ",", " ")) {
			if name = strings.Trim(name, "`"); name != "" && name != "-" {
				may = append(may, name)
			}
		}
		documented[room] = may
	}
	for room, may := range storage {
		want, got := slices.Sorted(slices.Values(may)), slices.Sorted(slices.Values(documented[room]))
		if !slices.Equal(want, got) {
			t.Errorf("docs/architecture.md says %s may import %v; the law says %v", room, got, want)
		}
	}
	for room := range documented {
		if _, ok := storage[room]; !ok {
			t.Errorf("docs/architecture.md names %s, which the law does not", room)
		}
	}
}
