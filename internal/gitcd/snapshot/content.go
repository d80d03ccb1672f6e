// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// The buckets, and what is in meta.
var (
	bucketKey     = []byte("key")
	bucketMeta    = []byte("meta")
	bucketLease   = []byte("lease")
	bucketAlarm   = []byte("alarm")
	bucketCluster = []byte("cluster")
	bucketMembers = []byte("members")
	bucketAuth    = []byte("auth")

	buckets = [][]byte{
		bucketAlarm, bucketAuth, bucketRoles, bucketUsers, bucketCluster, bucketKey, bucketLease,
		bucketMembers, []byte("members_removed"), bucketMeta,
	}

	metaIndex     = []byte("consistent_index")
	metaTerm      = []byte("term")
	metaVoters    = []byte("confState")
	metaVersion   = []byte("storageVersion")
	metaScheduled = []byte("scheduledCompactRev")
	metaFinished  = []byte("finishedCompactRev")
)

// Member is the one member of a cluster that has a snapshot.
type Member struct {
	ID                   uint64
	Name                 string
	PeerURLs, ClientURLs []string
}

// State is what a snapshot says beside the changes.
type State struct {
	// Revision is the last one. Compacted is 0 if there was no compaction.
	Revision, Compacted int64
	Leases              []Lease
	Alarms              []Alarm
	Member              Member
	// Auth is what was read; what is written has none.
	Auth Auth
	// Index and Term are Raft's.
	Index, Term uint64
	// ClusterVersion and StorageVersion are as etcd writes them, such as 3.6.0.
	ClusterVersion, StorageVersion string
}

// Changes yields changes in the order of their revisions. What is yielded is not changed, nor kept by who gets it.
type Changes func(ctx context.Context, yield func(*Change) error) error

// entry is one line of a bucket.
type entry struct{ key, value []byte }

// entries returns the lines of a bucket, in order, but for those of the bucket key.
func (s *State) entries(bucket string) ([]entry, error) {
	var out []entry
	add := func(key, value []byte) { out = append(out, entry{key: key, value: value}) }
	switch bucket {
	case string(bucketMeta):
		if s.Index > 0 {
			add(metaIndex, binary.BigEndian.AppendUint64(nil, s.Index))
			add(metaTerm, binary.BigEndian.AppendUint64(nil, max(s.Term, 1)))
		}
		voters, err := json.Marshal(struct {
			Voters    []uint64 `json:"voters"`
			AutoLeave bool     `json:"auto_leave"`
		}{Voters: []uint64{s.Member.ID}})
		if err != nil {
			return nil, fmt.Errorf("write confState: %w", err)
		}
		add(metaVoters, voters)
		add(metaVersion, []byte(s.StorageVersion))
		if s.Compacted > 0 {
			add(metaScheduled, appendRevision(nil, s.Compacted, 0, false))
			add(metaFinished, appendRevision(nil, s.Compacted, 0, false))
		}
	case string(bucketLease):
		for _, l := range s.Leases {
			add(binary.BigEndian.AppendUint64(nil, uint64(l.ID)), appendLease(nil, l)) //nolint:gosec // ids are positive
		}
	case string(bucketAlarm):
		for _, a := range s.Alarms {
			add(appendAlarm(nil, a), nil)
		}
	case string(bucketCluster):
		add([]byte("clusterVersion"), []byte(s.ClusterVersion))
	case string(bucketAuth):
		add([]byte("authRevision"), binary.BigEndian.AppendUint64(nil, 1))
	case string(bucketMembers):
		member, err := json.Marshal(struct {
			ID         uint64   `json:"id"`
			PeerURLs   []string `json:"peerURLs"`
			Name       string   `json:"name,omitempty"`
			ClientURLs []string `json:"clientURLs,omitempty"`
		}{s.Member.ID, s.Member.PeerURLs, s.Member.Name, s.Member.ClientURLs})
		if err != nil {
			return nil, fmt.Errorf("write member: %w", err)
		}
		add(fmt.Appendf(nil, "%x", s.Member.ID), member)
	}
	slices.SortFunc(out, func(a, b entry) int { return slices.Compare(a.key, b.key) })
	return out, nil
}

// Hash computes etcd's hash of a whole database: of all its buckets, but for
// what differs between members of a cluster that have the same.
func Hash(ctx context.Context, s *State, changes Changes) (uint32, error) {
	sum := crc32.New(castagnoli)
	var buf []byte
	for _, name := range buckets {
		sum.Write(name)
		if string(name) == string(bucketKey) {
			err := changes(ctx, func(c *Change) error {
				buf = appendRevision(buf[:0], c.Revision, c.Sub, c.Deleted)
				buf = appendKeyValue(buf, c)
				sum.Write(buf)
				return nil
			})
			if err != nil {
				return 0, fmt.Errorf("hash keys: %w", err)
			}
			continue
		}
		lines, err := s.entries(string(name))
		if err != nil {
			return 0, err
		}
		for _, e := range lines {
			if string(name) == string(bucketMeta) && differs(e.key) {
				continue
			}
			sum.Write(e.key)
			sum.Write(e.value)
		}
	}
	return sum.Sum32(), nil
}

func differs(key []byte) bool {
	return slices.ContainsFunc([][]byte{metaTerm, metaIndex, metaVersion}, func(k []byte) bool { return string(k) == string(key) })
}

// compactedIn returns a revision that meta has, 0 if it has none.
func compactedIn(value []byte) (int64, error) {
	if value == nil {
		return 0, nil
	}
	revision, _, _, err := parseRevision(value)
	return min(revision, math.MaxInt64-1), err
}
