// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// kubectl writes values through an API server. Without a kubeconfig it says what to type.
type kubectl struct {
	config string
	place  string // the flags that say where the conflicts are
}

// The mends that errors name.
var (
	errHidden  = errors.New("its values are not shown; write the one you want with kubectl, then resolve without --take-other")
	errGone    = errors.New("the object is not there any more; resolve without --take-other")
	errNoPlace = errors.New("the object has no such place any more; write what you want with kubectl, then resolve without --take-other")
)

// take puts the other side's value in place of the one that stands.
func (k *kubectl) take(ctx context.Context, out io.Writer, c hub.ListedConflict) error {
	other, stands := wholeOf(c, c.Record.Took != "ours"), wholeOf(c, c.Record.Took == "ours")
	if c.Record.Other().Hidden || c.Record.Winner().Hidden || other == nil && c.Record.Other().Blob != nil {
		return errHidden
	}
	identity, err := identityOf(other, stands)
	if err != nil {
		return err
	}
	if k.config == "" {
		return k.advise(out, c, other, identity)
	}
	switch {
	case other == nil: // the other side had deleted it
		_, err = k.run(ctx, identity, "delete", "-f", "-")
		return err
	case c.Record.Path == "":
		return k.replaceWhole(ctx, other, identity)
	default:
		return k.replaceField(ctx, c.Record.Path, other, identity)
	}
}

// identityOf is a manifest with just what names the object.
func identityOf(values ...json.RawMessage) ([]byte, error) {
	for _, v := range values {
		var o struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace,omitempty"`
			} `json:"metadata"`
		}
		if len(v) == 0 || json.Unmarshal(v, &o) != nil || o.Kind == "" || o.Metadata.Name == "" {
			continue
		}
		text, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("name the object: %w", err)
		}
		return text, nil
	}
	return nil, errHidden
}

// advise says what to type.
func (k *kubectl) advise(out io.Writer, c hub.ListedConflict, other json.RawMessage, identity []byte) error {
	text := fmt.Sprintf("gitcd conflicts show %s --side other %s | kubectl replace -f -\n", c.ID, k.place)
	switch {
	case other == nil:
		text = fmt.Sprintf("echo '%s' | kubectl delete -f -\n", identity)
	case c.Record.Path != "":
		value, there, err := fieldOf(other, c.Record.Path)
		if err != nil {
			return err
		}
		text = fmt.Sprintf("echo '%s' | kubectl edit -f -    # remove %s\n", identity, c.Record.Path)
		if there {
			text = fmt.Sprintf("echo '%s' | kubectl edit -f -    # set %s to %s\n", identity, c.Record.Path, value)
		}
	}
	_, err := io.WriteString(out, text)
	return err
}

// replaceWhole writes a whole object: over the one that is there, or anew.
func (k *kubectl) replaceWhole(ctx context.Context, other json.RawMessage, identity []byte) error {
	object, err := parseObject(other)
	if err != nil {
		return err
	}
	meta, ok := object["metadata"].(map[string]any)
	if !ok {
		return errHidden
	}
	// What the server gives an object is the server's to give again.
	for _, name := range serverGiven {
		delete(meta, name)
	}
	verb := "create"
	live, err := k.get(ctx, identity)
	if err != nil {
		return err
	}
	if live != nil {
		verb, meta["resourceVersion"] = "replace", dig(live, "metadata", "resourceVersion")
	}
	return k.send(ctx, object, verb)
}

// replaceField writes one field of the object as it is now. The server refuses it if the object changes in between.
func (k *kubectl) replaceField(ctx context.Context, path string, other json.RawMessage, identity []byte) error {
	object, err := k.get(ctx, identity)
	if err != nil {
		return err
	}
	if object == nil {
		return errGone
	}
	from, err := parseObject(other)
	if err != nil {
		return err
	}
	steps, err := parseField(path)
	if err != nil {
		return err
	}
	value, there := lookUp(from, steps)
	if !put(object, steps, value, there) {
		return errNoPlace
	}
	if path == ".status" || strings.HasPrefix(path, ".status.") || strings.HasPrefix(path, ".status[") {
		return k.send(ctx, object, "replace", "--subresource", "status")
	}
	return k.send(ctx, object, "replace")
}

// get returns the object as it is now, nil if it is not there.
func (k *kubectl) get(ctx context.Context, identity []byte) (map[string]any, error) {
	text, err := k.run(ctx, identity, "get", "--ignore-not-found", "-o", "json", "-f", "-")
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return nil, err
	}
	object, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	if object["kind"] != "List" {
		return object, nil
	}
	items, _ := object["items"].([]any) // kubectl makes a list of what comes by -f
	if len(items) == 0 {
		return nil, nil //nolint:nilnil // that it is not there is not an error
	}
	object, _ = items[0].(map[string]any)
	return object, nil
}

func (k *kubectl) send(ctx context.Context, object map[string]any, args ...string) error {
	text, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("write the object: %w", err)
	}
	_, err = k.run(ctx, text, append(args, "-f", "-")...)
	return err
}

func (k *kubectl) run(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", k.config}, args...)...) //nolint:gosec // the file is the caller's to name
	cmd.Stdin = bytes.NewReader(in)
	var out, why bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &why
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%w: install kubectl, or leave out --kubeconfig to be told what to type", err)
		}
		return nil, fmt.Errorf("kubectl %s: %w: %s", args[0], err, strings.TrimSpace(why.String()))
	}
	return out.Bytes(), nil
}
