// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// mostKept is how many entries a branch has in quarantine. What is more is refused
// all the same, and its values are in the branch's commits; only the record is missing.
const mostKept = 20_000

// quarantine begins the names of the branches that keep what gates refuse.
const quarantine = "quarantine/"

// State is what people made of a change in quarantine.
type State string

// The states.
const (
	// Waiting is for a person to approve or reject.
	Waiting State = "Waiting"
	// Rejected stays out of main however often it is tried, until it is approved or main has no use for it any more.
	Rejected State = "Rejected"
)

// Quarantined is a change of one key that is kept out of main. Once shared it is not changed.
type Quarantined struct {
	ID     string    `json:"id"`
	Branch string    `json:"branch"`
	Key    string    `json:"key"`
	Verb   gate.Verb `json:"verb"`
	Gate   string    `json:"gate"`
	Kind   gate.Kind `json:"kind"`
	Rate   string    `json:"rate,omitempty"`
	Reason string    `json:"reason"`
	State  State     `json:"state"`
	// By and Why are who rejected it, and what they said.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Since and Last are when it was tried first and last, by the commits' times.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Attempts is how often, as far as the hub remembers.
	Attempts int `json:"attempts"`
	// Commit is the branch's and Main main's when it was tried last.
	Commit gitobj.ID `json:"commit"`
	Main   gitobj.ID `json:"main"`
	// Old and New are the blobs of main's value and of the one that was refused; none if the key is not there.
	Old *gitobj.ID `json:"old,omitempty"`
	New *gitobj.ID `json:"new,omitempty"`
}

func (q *Quarantined) same(c gate.Change) bool { return idOf(q.New) == c.New }

func idOf(id *gitobj.ID) gitobj.ID {
	if id == nil {
		return gitobj.Zero
	}
	return *id
}

func blobOrNil(id gitobj.ID) *gitobj.ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

// overtaken says whether main, which has a blob for the key, has got what was
// refused in another way, or has no use for it.
func (q *Quarantined) overtaken(blob gitobj.ID) bool {
	switch q.Verb {
	case gate.Create:
		return !blob.IsZero()
	case gate.Delete:
		return blob.IsZero()
	default:
		return blob.IsZero() || blob == idOf(q.New)
	}
}

// keeper applies the gates and knows what is in quarantine. Run owns it; what
// Hub.mu guards is also read by others.
type keeper struct {
	judge *gate.Judge
	meter *gate.Meter
	heads map[string]gitobj.ID // branch -> head of its quarantine
	most  int                  // entries a branch

	// entries, by branch and key, total and refused are guarded by Hub.mu.
	entries map[string]map[string]*Quarantined
	totals  map[string]int64    // branch -> how many entries there ever were
	refused map[refusedBy]int64 // since the hub started
}

type refusedBy struct {
	branch, gate string
	kind         gate.Kind
}

func newKeeper(set gate.Set, r gate.Reader) keeper {
	meter := gate.NewMeter()
	return keeper{
		judge: gate.NewJudge(set, r, meter), meter: meter, heads: map[string]gitobj.ID{}, most: mostKept,
		entries: map[string]map[string]*Quarantined{}, totals: map[string]int64{}, refused: map[refusedBy]int64{},
	}
}

// Where a quarantine's tree keeps what belongs to a key.
const (
	recordsAt = "/records/" // the Quarantined
	oldAt     = "/old/"     // main's value
	newAt     = "/new/"     // the value that was refused
)

func place(at, key string) string { return at + strings.TrimPrefix(key, "/") }

// load reads what is in quarantine, after a restart.
func (k *keeper) load(ctx context.Context, repo Repository, refs map[string]gitobj.ID) error {
	for ref, head := range refs {
		branch, ok := strings.CutPrefix(ref, heads+quarantine)
		if !ok {
			continue
		}
		c, err := commitOf(repo, head)
		if err != nil {
			return fmt.Errorf("read quarantine of %s: %w", branch, err)
		}
		k.heads[branch] = head
		text, _ := c.Trailer(totalTrailer)
		if k.totals[branch], err = strconv.ParseInt(text, 10, 64); err != nil {
			k.totals[branch] = 0 // somebody else's commit
		}
		err = treeedit.Walk(ctx, repo, c.Tree, func(key string, blob gitobj.ID) error {
			if !strings.HasPrefix(key, recordsAt) {
				return nil
			}
			_, data, err := repo.Get(blob)
			if err != nil {
				return err
			}
			q := &Quarantined{}
			if err := json.Unmarshal(data, q); err != nil {
				return fmt.Errorf("record at %q: %w", key, err)
			}
			k.put(q)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read quarantine of %s: %w", branch, err)
		}
	}
	return nil
}

func (k *keeper) put(q *Quarantined) {
	if k.entries[q.Branch] == nil {
		k.entries[q.Branch] = map[string]*Quarantined{}
	}
	k.entries[q.Branch][q.Key] = q
}

func (k *keeper) drop(q *Quarantined) {
	delete(k.entries[q.Branch], q.Key)
	if len(k.entries[q.Branch]) == 0 {
		delete(k.entries, q.Branch)
	}
}

// moved notes where the branches of quarantine are.
func (k *keeper) moved(moves []move) {
	for _, m := range moves {
		k.heads[strings.TrimPrefix(m.Name, heads+quarantine)] = m.New
	}
}

// waits says whether something that a rate holds waits for a person.
func (k *keeper) waits(branch, gateName, rate string) bool {
	for _, q := range k.entries[branch] {
		if q.State == Waiting && q.Kind == gate.Held && q.Gate == gateName && q.Rate == rate {
			return true
		}
	}
	return false
}

// rejected returns the entry by which a person has decided on a change of the same object already.
func (k *keeper) rejected(r gate.Reader, branch string, c gate.Change) *Quarantined {
	q := k.entries[branch][printable(c.Key)]
	if q == nil || q.State != Rejected || !q.same(c) {
		return nil
	}
	if old := idOf(q.Old); old != c.Old && uidOf(r, old) != uidOf(r, c.Old) {
		return nil
	}
	return q
}

// uidOf reads which object a blob is of, "" if it does not say.
func uidOf(r gate.Reader, blob gitobj.ID) string {
	var o struct{ Metadata struct{ UID string } }
	if err := json.Unmarshal(wholeBlob(r, &blob), &o); err != nil {
		return ""
	}
	return o.Metadata.UID
}

// enter turns what was refused in a pass into entries, and says which of them are news.
func (h *Hub) enter(f *fold) (news map[*Quarantined][]byte, err error) {
	news = map[*Quarantined][]byte{}
	for _, b := range f.withheld.branches {
		by, err := commitOf(f, b.by)
		if err != nil {
			return nil, err
		}
		when := by.Committer.When.UTC()
		room := h.keeper.most - len(h.keeper.entries[b.branch])
		for _, r := range b.refusals {
			q := &Quarantined{
				Branch: b.branch, Key: printable(r.Change.Key), Verb: r.Verb, Gate: r.Gate, Kind: r.Kind, Rate: r.Rate, Reason: r.Reason,
				State: Waiting, Since: when, Last: when, Attempts: 1, Commit: b.head, Main: b.main,
				Old: blobOrNil(r.Change.Old), New: blobOrNil(r.Change.New),
			}
			before := h.keeper.entries[b.branch][printable(r.Change.Key)]
			switch {
			case before == nil:
				if room--; room < 0 {
					f.withheld.unlisted = append(f.withheld.unlisted, q)
					continue
				}
			case before.same(r.Change):
				q.Since, q.Attempts = before.Since, before.Attempts+1
				q.State, q.By, q.Why = before.State, before.By, before.Why
			case before.State == Waiting:
				q.Since, q.Attempts = before.Since, before.Attempts+1
			default: // somebody has decided on another change of the key: this one is new
			}
			sum := gitobj.Hash(gitobj.KindBlob, []byte(q.Branch+"\x00"+q.Key+"\x00"+q.Since.Format(time.RFC3339)))
			q.ID = hex.EncodeToString(sum[:6])
			f.withheld.entries = append(f.withheld.entries, q)
			if before == nil || !before.same(r.Change) {
				news[q] = r.Change.Value
			}
		}
	}
	return news, nil
}

// printable keeps a key that is not text readable.
func printable(key string) string { return strings.ToValidUTF8(key, "\ufffd") }

// quarantined files what gates refused in a pass, and closes what main has
// overtaken. It returns how the branches of quarantine move.
func (h *Hub) quarantined(ctx context.Context, f *fold, was gitobj.ID) ([]move, error) {
	if len(f.withheld.branches) == 0 && (len(h.keeper.entries) == 0 || f.main == was) {
		return nil, nil
	}
	news, err := h.enter(f)
	if err != nil {
		return nil, err
	}
	if err := h.overtake(ctx, f, was); err != nil {
		return nil, fmt.Errorf("compare main with quarantine: %w", err)
	}
	files := map[string]*file{}
	for _, q := range f.withheld.entries {
		if value, fresh := news[q]; fresh && !slices.Contains(f.withheld.gone, q) {
			fileOf(files, q.Branch).set(q, value)
		}
	}
	for _, q := range f.withheld.unlisted {
		fileOf(files, q.Branch).unlisted = append(fileOf(files, q.Branch).unlisted, q)
	}
	for _, q := range f.withheld.gone {
		if h.keeper.entries[q.Branch][q.Key] != nil {
			fileOf(files, q.Branch).remove(q)
		}
	}
	return h.write(ctx, f, files, "")
}

// overtake finds the entries that main has overtaken, by what has changed in it.
func (h *Hub) overtake(ctx context.Context, f *fold, was gitobj.ID) error {
	if was.IsZero() || was == f.main {
		return nil
	}
	before, err := commitOf(f, was)
	if err != nil {
		return err
	}
	after, err := commitOf(f, f.main)
	if err != nil {
		return err
	}
	latest := map[string]map[string]*Quarantined{} // branch -> key
	for _, q := range f.withheld.entries {
		if latest[q.Branch] == nil {
			latest[q.Branch] = map[string]*Quarantined{}
		}
		latest[q.Branch][q.Key] = q
	}
	return treeedit.Diff(ctx, f, before.Tree, after.Tree, func(key string, _, blob gitobj.ID) error {
		for branch, entries := range h.keeper.entries {
			if q := entries[key]; q != nil && latest[branch][key] == nil && q.overtaken(blob) {
				f.withheld.gone = append(f.withheld.gone, q)
			}
		}
		for _, entries := range latest {
			if q := entries[key]; q != nil && q.overtaken(blob) {
				f.withheld.gone = append(f.withheld.gone, q)
			}
		}
		return nil
	})
}

// keptLocked takes over what a durable pass has withheld.
func (h *Hub) keptLocked(w *withheld) {
	h.keeper.meter.Count(w.counts)
	for _, q := range w.entries {
		h.keeper.put(q)
		h.keeper.refused[refusedBy{q.Branch, q.Gate, q.Kind}]++
	}
	for _, q := range w.unlisted {
		h.keeper.refused[refusedBy{q.Branch, q.Gate, q.Kind}]++
	}
	for _, q := range w.gone {
		h.keeper.drop(q)
	}
	maps.Copy(h.keeper.totals, w.totals)
}

// oldestFirst sorts entries by time, then by branch and key.
func oldestFirst(a, b *Quarantined) int {
	return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Branch, b.Branch), strings.Compare(a.Key, b.Key))
}
