//go:build tools

// Package coredns pins the DNS server that the sandbox and its clusters run.
package coredns

import _ "github.com/coredns/coredns"
