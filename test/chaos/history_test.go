// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// watched are the directories whose objects the oracle follows through history.
var watched = []string{
	"registry/pods/" + namespace, "registry/deployments/" + namespace, "registry/replicasets/" + namespace, "registry/jobs/" + namespace,
	"registry/services/specs/" + namespace, "registry/configmaps/" + namespace, "registry/minions",
}

// path is where an object lies in a tree.
func (o told) path() string {
	dir := map[string]string{"Deployment": "deployments", "Job": "jobs", "Pod": "pods", "Service": "services/specs", "ConfigMap": "configmaps"}[o.Kind]
	return "registry/" + dir + "/" + namespace + "/" + o.Name
}

// fieldPath is how a conflict names a field.
func (o told) fieldPath(name string) string {
	return map[string]string{replicasField: ".spec.replicas", roundField: `.spec.template.spec.containers[name="c"].env[name="ROUND"].value`, numberField: ".data.n"}[name]
}

// object is as much of a Kubernetes object as the oracle wants to know.
type object struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		NodeName string         `json:"nodeName"`
		Replicas *int32         `json:"replicas"`
		Taints   []corev1.Taint `json:"taints"`
		Template struct {
			Spec struct {
				Containers []corev1.Container `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Data   map[string]string `json:"data"`
	Status struct {
		Phase      corev1.PodPhase `json:"phase"`
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"conditions"`
	} `json:"status"`
}

// field returns one that people change.
func (o *object) field(name string) string {
	switch c := o.Spec.Template.Spec.Containers; {
	case name == numberField:
		return o.Data["n"]
	case name == replicasField && o.Spec.Replicas != nil:
		return fmt.Sprint(*o.Spec.Replicas)
	case name == roundField && len(c) > 0 && len(c[0].Env) > 0:
		return c[0].Env[0].Value
	default:
		return "none"
	}
}

// commit is one of the history, and which uids its tree has.
type commit struct {
	id      string
	parents []*commit
	tree    string
	author  string
	has     bits
	ever    bits // it or a commit before it had
}

// history is all that all heavens ever committed.
type history struct {
	dir     string
	in      io.WriteCloser
	out     *bufio.Reader
	commits []*commit // parents first
	byID    map[string]*commit

	trees   map[string][]entry
	objects map[string]*object
	numbers map[types.UID]int
	uids    []types.UID
	paths   []string // by the number of a uid
}

type entry struct {
	name, id string
	tree     bool
}

// bits is a set of small numbers.
type bits []uint64

func (b bits) get(i int) bool { return i/64 < len(b) && b[i/64]>>(i%64)&1 == 1 }

func (b *bits) set(i int) {
	for i/64 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b *bits) add(more bits) {
	for i, word := range more {
		if i == len(*b) {
			*b = append(*b, 0)
		}
		(*b)[i] |= word
	}
}

// readHistory gathers the branches of all repositories in one and reads it.
func (w *world) readHistory(t *testing.T) *history {
	t.Helper()
	dir := w.path("oracle.git")
	must := func(in string, args ...string) {
		if _, err := git(t.Context(), in, args...); err != nil {
			t.Fatal(err)
		}
	}
	must(w.dir, "init", "-q", "--bare", dir)
	must(dir, "fetch", "-q", w.path("hub.git"), "+refs/heads/*:refs/heads/*")
	for _, m := range w.members() {
		must(dir, "fetch", "-q", m.path("repository.git"), "+refs/heads/"+m.branch+":refs/local/"+m.branch)
	}
	return openHistory(t, dir)
}

// openHistory reads a repository with stock Git.
func openHistory(t *testing.T, dir string) *history {
	t.Helper()
	ctx := t.Context()
	h := &history{dir: dir, byID: map[string]*commit{}, trees: map[string][]entry{}, objects: map[string]*object{}, numbers: map[types.UID]int{}}
	cmd := exec.CommandContext(ctx, "git", "-C", h.dir, "cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.in, h.out = in, bufio.NewReaderSize(out, 1<<16)
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	const sep = "\x1f"
	log, err := git(ctx, h.dir, "log", "--topo-order", "--reverse", "--format=%H"+sep+"%P"+sep+"%T"+sep+"%an", "--glob=refs/heads/heavens", "--glob=refs/heads/nodes", "--glob=refs/local", "main")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(log) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), sep)
		c := &commit{id: f[0], tree: f[2], author: f[3]}
		for p := range strings.FieldsSeq(f[1]) {
			c.parents = append(c.parents, h.byID[p])
			c.ever.add(h.byID[p].ever)
		}
		if err := h.each(c, func(name string, o *object) { c.has.set(h.number(o.UID, name)) }); err != nil {
			t.Fatalf("read commit %s: %v", c.id, err)
		}
		c.ever.add(c.has)
		h.commits = append(h.commits, c)
		h.byID[c.id] = c
	}
	return h
}

func (h *history) number(uid types.UID, name string) int {
	n, ok := h.numbers[uid]
	if !ok {
		n = len(h.uids)
		h.numbers[uid] = n
		h.uids, h.paths = append(h.uids, uid), append(h.paths, name)
	}
	return n
}

// each calls f for all watched objects of a commit.
func (h *history) each(c *commit, f func(path string, o *object)) error {
	for _, dir := range watched {
		id, err := h.find(c.tree, dir)
		if err != nil {
			return err
		}
		if id == "" {
			continue
		}
		entries, err := h.list(id)
		if err != nil {
			return err
		}
		for _, e := range entries {
			o, err := h.object(e.id)
			if err != nil {
				return fmt.Errorf("%s/%s: %w", dir, e.name, err)
			}
			f(path.Join(dir, e.name), o)
		}
	}
	return nil
}

func (h *history) find(tree, dir string) (string, error) {
	for name := range strings.SplitSeq(dir, "/") {
		entries, err := h.list(tree)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name && e.tree })
		if i < 0 {
			return "", nil
		}
		tree = entries[i].id
	}
	return tree, nil
}

func (h *history) list(id string) ([]entry, error) {
	if entries, ok := h.trees[id]; ok {
		return entries, nil
	}
	data, err := h.read(id)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for text := string(data); text != ""; {
		mode, rest, _ := strings.Cut(text, " ")
		name, rest, _ := strings.Cut(rest, "\x00")
		entries = append(entries, entry{name: name, id: hex.EncodeToString([]byte(rest[:20])), tree: mode == "40000"})
		text = rest[20:]
	}
	h.trees[id] = entries
	return entries, nil
}

func (h *history) object(id string) (*object, error) {
	if o, ok := h.objects[id]; ok {
		return o, nil
	}
	data, err := h.read(id)
	if err != nil {
		return nil, err
	}
	o := &object{}
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("decode %s: %w", id, err)
	}
	h.objects[id] = o
	return o, nil
}

func (h *history) read(id string) ([]byte, error) {
	if _, err := fmt.Fprintln(h.in, id); err != nil {
		return nil, err
	}
	head, err := h.out.ReadString('\n')
	if err != nil {
		return nil, err
	}
	f := strings.Fields(head)
	if len(f) != 3 {
		return nil, fmt.Errorf("git cat-file says %q", strings.TrimSpace(head))
	}
	size, err := strconv.Atoi(f[2])
	if err != nil {
		return nil, err
	}
	data := make([]byte, size+1)
	if _, err := io.ReadFull(h.out, data); err != nil {
		return nil, err
	}
	return data[:size], nil
}

// main is the head of main.
func (h *history) main(ctx context.Context) (*commit, error) {
	id, err := git(ctx, h.dir, "rev-parse", "main")
	if err != nil {
		return nil, err
	}
	return h.byID[strings.TrimSpace(id)], nil
}

// story tells where in history an object came, went, and came back.
func (h *history) story(uid types.UID) string {
	n, ok := h.numbers[uid]
	if !ok {
		return "  no commit has it"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s, uid %s; git repository %s\n", h.paths[n], uid, h.dir)
	lines := 0
	for _, c := range h.commits {
		with, without := 0, 0
		for _, p := range c.parents {
			if p.has.get(n) {
				with++
			} else {
				without++
			}
		}
		var what string
		switch has := c.has.get(n); {
		case has && with == 0:
			what = "appears"
		case has && without > 0:
			what = "comes from one side of a merge"
		case !has && with > 0 && without == 0:
			what = "goes"
		case !has && with > 0:
			what = "is not taken over in a merge"
		default:
			continue
		}
		if lines++; lines > 20 {
			fmt.Fprintf(&b, "  ...\n")
			break
		}
		fmt.Fprintf(&b, "  %s by %s with %d parents: %s\n", c.id[:12], c.author, len(c.parents), what)
	}
	return b.String()
}

// values tells which commits changed a field of an object against all their parents.
func (h *history) values(at, name string) string {
	of := func(c *commit) string {
		dir, err := h.find(c.tree, path.Dir(at))
		if err != nil || dir == "" {
			return "none"
		}
		entries, err := h.list(dir)
		if err != nil {
			return err.Error()
		}
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == path.Base(at) })
		if i < 0 {
			return "none"
		}
		o, err := h.object(entries[i].id)
		if err != nil {
			return "unknown"
		}
		return o.field(name)
	}
	var b strings.Builder
	for _, c := range h.commits {
		was := []string{}
		for _, p := range c.parents {
			was = append(was, of(p))
		}
		if now := of(c); !slices.Contains(was, now) && (now != "none" || len(was) > 0) || len(was) > 1 && was[0] != was[1] {
			fmt.Fprintf(&b, "  %s by %s: %s %v -> %s\n", c.id[:12], c.author, name, was, now)
		}
	}
	return b.String()
}
