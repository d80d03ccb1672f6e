// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// cpuModel names the processor and how many of it there are.
func cpuModel() string {
	model := runtime.GOARCH
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d x %s", runtime.NumCPU(), model)
}

// record is a run as it is kept.
type record struct {
	Environment []string                    `json:"environment"`
	Cells       map[string]map[string]*cell `json:"cells"` // row -> server -> samples
	Disk        *diskTimes                  `json:"disk"`
}

// publish writes the record and the table, and returns what is printed.
func (b *bench) publish(ctx context.Context, env []string, f flags) (string, error) {
	before, err := previous(filepath.Dir(b.out))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, line := range env {
		out.WriteString("- " + line + "\n")
	}
	out.WriteString("\n" + b.table.markdown())
	if d := b.disk.markdown(); len(b.disk.Shapes[0].P50) > 0 {
		out.WriteString("\n" + d)
	}
	for _, a := range b.analysis {
		out.WriteString("\n" + a + "\n")
	}
	if before != nil {
		out.WriteString("\n" + compare(b.table, before))
	}
	if vs := b.table.judge(); len(vs) > 0 {
		fmt.Fprintf(&out, "\n%d bars missed.\n", missed(vs))
	}
	if f.profile {
		for _, id := range slices.Sorted(maps.Keys(b.profiles)) {
			text, err := top(ctx, b.profiles[id], "-flat")
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "\n%s\n\n```\n%s```\n", strings.TrimSuffix(id, "."), text)
		}
	}
	data, err := json.MarshalIndent(record{Environment: env, Cells: b.table.cells, Disk: b.disk}, "", " ")
	if err != nil {
		return "", fmt.Errorf("keep the results: %w", err)
	}
	if err := os.WriteFile(b.out+".json", append(data, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("keep the results: %w", err)
	}
	if err := os.WriteFile(b.out+".md", []byte(out.String()), 0o600); err != nil {
		return "", fmt.Errorf("keep the results: %w", err)
	}
	return out.String(), nil
}

// show prints the table of a run that was made in pieces: of works, or of rounds.
func show(files []string) (string, error) {
	t, disk := newTable(specs()), newDiskTimes()
	var out strings.Builder
	for _, file := range files {
		r, err := read(file)
		if err != nil {
			return "", err
		}
		for id, cells := range r.Cells {
			for server, c := range cells {
				all := t.cell(id, server)
				all.Samples = append(all.Samples, c.Samples...)
				all.Error = cmp.Or(all.Error, c.Error)
			}
		}
		disk.add(r.Disk)
		out.WriteString("- " + strings.Join(r.Environment, "; ") + "\n")
	}
	out.WriteString("\n" + t.markdown())
	if len(disk.Shapes[0].P50) > 0 {
		out.WriteString("\n" + disk.markdown())
	}
	fmt.Fprintf(&out, "\n%d bars missed.\n", missed(t.judge()))
	return out.String(), nil
}

// previous returns the last record of a directory, nil if there is none.
func previous(dir string) (*record, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("find the previous run: %w", err)
	}
	if len(names) == 0 {
		return nil, nil //nolint:nilnil // a first run has none before it
	}
	return read(slices.Max(names))
}

// read reads a record.
func read(file string) (*record, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read a run: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read the run %s: %w; remove it", file, err)
	}
	return r, nil
}

// moved is by how much a ratio must differ from the previous run's to be printed.
const moved = 0.1

// compare prints the rows whose ratio differs from the previous run's.
func compare(now *table, before *record) string {
	old := &table{specs: now.specs, cells: before.Cells}
	was := map[string]verdict{}
	for _, v := range old.judge() {
		was[v.id] = v
	}
	var out strings.Builder
	for _, v := range now.judge() {
		o, ok := was[v.id]
		if !ok || math.IsNaN(v.ratio) || math.IsNaN(o.ratio) || math.Abs(v.ratio/o.ratio-1) < moved {
			continue
		}
		fmt.Fprintf(&out, "| %s | %.2f | %.2f | %s | %s |\n", v.title, o.ratio, v.ratio, o.number(gitcd), v.number(gitcd))
	}
	head := "Since the previous run (" + strings.Join(before.Environment[:min(1, len(before.Environment))], "") + "), "
	if out.Len() == 0 {
		return head + fmt.Sprintf("no ratio moved by %.0f %%.\n", moved*100)
	}
	return head + fmt.Sprintf("these ratios moved by %.0f %% and more:\n\n| work | gitcd/etcd before | now | gitcd before | now |\n| --- | ---: | ---: | ---: | ---: |\n", moved*100) + out.String()
}
