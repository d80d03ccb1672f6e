// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// etcdTime is how etcd writes the time of a log line.
const etcdTime = "2006-01-02T15:04:05.000000Z0700"

// etcdLogger logs in etcd's shape, so that what reads etcd's log reads this one.
func etcdLogger(o *etcdOptions) (log *slog.Logger, closeLog func(), err error) {
	level := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn,
		"error": slog.LevelError, "panic": slog.LevelError + 1, "fatal": slog.LevelError + 1,
	}
	least, ok := level[o.logLevel]
	if !ok {
		return nil, nil, fmt.Errorf("--log-level %q: write debug, info, warn, error, panic or fatal", o.logLevel)
	}
	var outputs []io.Writer
	var files []*os.File
	for _, name := range split(o.logOutputs) {
		switch name {
		case "default", "stderr", "systemd/journal":
			outputs = append(outputs, os.Stderr)
		case "stdout":
			outputs = append(outputs, os.Stdout)
		default:
			f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return nil, nil, fmt.Errorf("--log-outputs: %w", err)
			}
			files, outputs = append(files, f), append(outputs, f)
		}
	}
	handlerOptions := &slog.HandlerOptions{Level: least, AddSource: true, ReplaceAttr: etcdAttr}
	closeLog = func() {
		for _, f := range files {
			_ = f.Close() // nobody is left to be told
		}
	}
	w := io.MultiWriter(outputs...)
	switch o.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(w, handlerOptions)), closeLog, nil
	case "console":
		return slog.New(slog.NewTextHandler(w, handlerOptions)), closeLog, nil
	default:
		closeLog()
		return nil, nil, fmt.Errorf("--log-format %q: write json or console", o.logFormat)
	}
}

// etcdAttr gives the standard fields etcd's names and forms.
func etcdAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("ts", a.Value.Time().Format(etcdTime))
	case slog.LevelKey:
		return slog.String("level", strings.ToLower(a.Value.String()))
	case slog.SourceKey:
		if s, ok := a.Value.Any().(*slog.Source); ok {
			return slog.String("caller", filepath.Join(filepath.Base(filepath.Dir(s.File)), filepath.Base(s.File))+":"+strconv.Itoa(s.Line))
		}
	case "err":
		a.Key = "error"
	}
	if err, ok := a.Value.Any().(error); ok {
		return slog.String(a.Key, err.Error())
	}
	return a
}
