// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// etcdOptions is what etcd's command line says, as far as it means something here.
type etcdOptions struct {
	help, version bool
	configFile    string

	name, dataDir                     string
	listenClient, listenHTTP          string
	advertiseClient, advertisePeer    string
	listenMetrics, initialCluster     string
	clusterToken                      string
	quota                             int64
	maxRequestBytes, maxTxnOps        uint
	maxConcurrentStreams              uint64
	heartbeat, election               uint
	progressInterval, slow            time.Duration
	keepAliveMin, keepAliveEvery      time.Duration
	keepAliveTimeout                  time.Duration
	compactionMode, compactionRetain  string
	certFile, keyFile, caFile, crl    string
	allowedHostnames, ciphers         string
	tlsMin, tlsMax                    string
	certAuth, autoTLS                 bool
	certYears                         uint
	logLevel, logFormat, logOutputs   string
	metrics                           string
	pprof, gateway, unsafeNoFsync     bool
	dropAuth                          bool
	hostWhitelist, cors, featureGates string

	hosts []string
}

const (
	defaultClientURL = "http://localhost:2379"
	defaultPeerURL   = "http://localhost:2380"
	defaultEtcdName  = "default"
)

// flags declares the flags that mean something, and remembers those that do not.
func (o *etcdOptions) flags() *flag.FlagSet {
	f := flag.NewFlagSet(etcdName, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.version, "version", false, "Print the version and exit.")
	f.StringVar(&o.configFile, "config-file", "", "A YAML file with these settings; the command line and the environment are ignored then.")
	f.StringVar(&o.name, "name", defaultEtcdName, "Name of this member.")
	f.StringVar(&o.dataDir, "data-dir", "", "Data directory; "+repositoryDir+" in it is the repository. Default: ${name}.etcd")
	f.StringVar(&o.listenClient, "listen-client-urls", defaultClientURL, "Where clients are served: http, https, unix or unixs URLs.")
	f.StringVar(&o.listenHTTP, "listen-client-http-urls", "", "Where HTTP is served, if not beside gRPC.")
	f.StringVar(&o.advertiseClient, "advertise-client-urls", "", "What clients are told. Default: the listen-client-urls.")
	f.StringVar(&o.advertisePeer, "initial-advertise-peer-urls", defaultPeerURL, "What the member list says; nobody listens there.")
	f.StringVar(&o.initialCluster, "initial-cluster", "", "The members: one.")
	f.StringVar(&o.clusterToken, "initial-cluster-token", "etcd-cluster", "What the cluster's id is made of.")
	f.StringVar(&o.listenMetrics, "listen-metrics-urls", "", "More URLs that answer /metrics and /health.")
	f.Int64Var(&o.quota, "quota-backend-bytes", 0, "Bytes that the store may take before the NOSPACE alarm; 0 is no limit.")
	f.UintVar(&o.maxRequestBytes, "max-request-bytes", 0, "Bytes that a request may have. Default: 1.5 MiB")
	f.UintVar(&o.maxTxnOps, "max-txn-ops", 0, "Operations that a transaction may have. Default: 128")
	f.Uint64Var(&o.maxConcurrentStreams, "max-concurrent-streams", 0, "Calls that a connection may have at once. Default: any number")
	f.UintVar(&o.heartbeat, "heartbeat-interval", 100, "Milliseconds; with election-timeout it bounds how short a lease can be.")
	f.UintVar(&o.election, "election-timeout", 1000, "Milliseconds.")
	f.DurationVar(&o.progressInterval, "watch-progress-notify-interval", 0, "Time between the progress notifications of a quiet watch. Default: 10m")
	f.DurationVar(&o.slow, "warning-unary-request-duration", 300*time.Millisecond, "From when on a call is warned of.")
	f.DurationVar(&o.keepAliveMin, "grpc-keepalive-min-time", 0, "How often clients may ping. Default: 5s")
	f.DurationVar(&o.keepAliveEvery, "grpc-keepalive-interval", 0, "How often the server pings. Default: 2h")
	f.DurationVar(&o.keepAliveTimeout, "grpc-keepalive-timeout", 0, "How long it waits for the answer. Default: 20s")
	f.StringVar(&o.compactionMode, "auto-compaction-mode", "periodic", "periodic or revision.")
	f.StringVar(&o.compactionRetain, "auto-compaction-retention", "0", "How much history auto-compaction keeps; 0 is no auto-compaction.")
	f.StringVar(&o.certFile, "cert-file", "", "Certificate of the server.")
	f.StringVar(&o.keyFile, "key-file", "", "Its key.")
	f.StringVar(&o.caFile, "trusted-ca-file", "", "Authorities of clients' certificates, which are demanded then.")
	f.BoolVar(&o.certAuth, "client-cert-auth", false, "Demand clients' certificates.")
	f.StringVar(&o.crl, "client-crl-file", "", "Revoked certificates of clients.")
	f.StringVar(&o.allowedHostnames, "client-cert-allowed-hostname", "", "Host names, one of which a client's certificate must be for.")
	f.BoolVar(&o.autoTLS, "auto-tls", false, "Make a certificate for the server.")
	f.UintVar(&o.certYears, "self-signed-cert-validity", 1, "Years that it is valid for.")
	f.StringVar(&o.ciphers, "cipher-suites", "", "TLS 1.2 cipher suites, by Go's names.")
	f.StringVar(&o.tlsMin, "tls-min-version", "TLS1.2", "TLS1.2 or TLS1.3.")
	f.StringVar(&o.tlsMax, "tls-max-version", "", "TLS1.2 or TLS1.3.")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn, error, panic or fatal.")
	f.StringVar(&o.logFormat, "log-format", "json", "json or console.")
	f.StringVar(&o.logOutputs, "log-outputs", "default", "stderr, stdout or files.")
	f.StringVar(&o.metrics, "metrics", "basic", "basic or extensive.")
	f.BoolVar(&o.pprof, "enable-pprof", false, "Serve profiles at /debug/pprof/.")
	f.BoolVar(&o.gateway, "enable-grpc-gateway", true, "Serve the JSON API at /v3/.")
	f.BoolVar(&o.unsafeNoFsync, "unsafe-no-fsync", false, "Leave durability to the operating system: acknowledged writes can be lost.")
	f.StringVar(&o.hostWhitelist, "host-whitelist", "*", "Host names that HTTP requests without TLS may be for.")
	f.StringVar(&o.cors, "cors", "*", "Origins whose web pages are served.")
	f.BoolVar(&o.dropAuth, "drop-auth", false, "Not of etcd's: take over the data of an etcd that has users and roles without these.")
	f.StringVar(&o.featureGates, "feature-gates", "", "Known features: none.")
	return f
}

// idleValues and idleSwitches are etcd's flags that have no meaning for one member without raft and without a backend file.
var (
	idleValues = []string{
		"wal-dir", "listen-peer-urls", "max-snapshots", "max-wals", "snapshot-count", "backend-bbolt-freelist-type",
		"backend-batch-interval", "backend-batch-limit", "raft-read-timeout", "raft-write-timeout", "discovery", "discovery-endpoints",
		"discovery-token", "discovery-dial-timeout", "discovery-request-timeout", "discovery-keepalive-time", "discovery-keepalive-timeout",
		"discovery-cert", "discovery-key", "discovery-cacert", "discovery-user", "discovery-password", "discovery-srv", "discovery-srv-name",
		"discovery-fallback", "initial-cluster-state", "client-cert-file", "client-key-file", "peer-cert-file", "peer-key-file",
		"peer-client-cert-file", "peer-client-key-file", "peer-trusted-ca-file", "peer-crl-file", "peer-cert-allowed-cn",
		"peer-cert-allowed-hostname", "logger", "log-rotation-config-json", "distributed-tracing-address", "distributed-tracing-service-name",
		"distributed-tracing-instance-id", "distributed-tracing-sampling-rate", "auth-token", "bcrypt-cost", "auth-token-ttl",
		"corrupt-check-time", "compact-hash-check-time", "compaction-batch-limit", "compaction-sleep-interval", "downgrade-check-time",
		"warning-apply-duration", "bootstrap-defrag-threshold-megabytes", "max-learners",
		"snapshot-catchup-entries", "v2-deprecation",
	}
	idleSwitches = []string{
		"initial-election-tick-advance", "socket-reuse-port", "socket-reuse-address", "discovery-insecure-transport",
		"discovery-insecure-skip-tls-verify", "strict-reconfig-check", "pre-vote", "peer-client-cert-auth", "peer-auto-tls",
		"peer-skip-client-san-verification", "enable-log-rotation", "enable-distributed-tracing", "memory-mlock", "force-new-cluster",
		"initial-corrupt-check", "compact-hash-check-enabled",
	}
	// silent ones are in every manifest: a warning would only teach not to read warnings.
	silent = []string{
		"listen-peer-urls", "snapshot-count", "initial-cluster-state", "peer-cert-file", "peer-key-file", "peer-trusted-ca-file",
		"peer-client-cert-auth", "logger", "strict-reconfig-check", "pre-vote",
	}
)

// retired says what etcd says of flags that it gives up itself.
var retired = map[string]string{
	"max-snapshots":  "is deprecated in 3.6 and will be decommissioned in 3.8",
	"v2-deprecation": "is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input",
}

// choices are the values that flags without a meaning can have: what etcd refuses is a mistake here, too.
var choices = map[string][]string{
	"v2-deprecation":        {"write-only", "write-only-drop-data", "gone"},
	"initial-cluster-state": {"new", "existing"},
	"discovery-fallback":    {"exit", "proxy"},
}

// parseEtcd reads a command line, with - or --, and then the environment for what it does not set.
func parseEtcd(args, environ []string) (o *etcdOptions, warnings []string, err error) {
	o = &etcdOptions{}
	f := o.flags()
	p := &etcdParser{flags: f, set: map[string]bool{}}
	if err := p.commandLine(args); err != nil {
		return nil, nil, err
	}
	o.help = p.help
	if o.configFile == "" {
		o.configFile = environment(environ)["config-file"]
	}
	if o.configFile != "" {
		file := o.configFile
		*o = etcdOptions{help: p.help}
		p = &etcdParser{flags: o.flags(), set: map[string]bool{}}
		if err := p.file(file); err != nil {
			return nil, nil, err
		}
		o.configFile = file
	} else if err := p.environment(environ); err != nil {
		return nil, nil, err
	}
	if o.dataDir == "" {
		o.dataDir = o.name + ".etcd"
	}
	if o.advertiseClient == "" {
		o.advertiseClient = o.listenClient
	}
	o.hosts = split(o.hostWhitelist)
	return o, p.warnings, nil
}

// etcdParser sets flags and collects what is to be warned of.
type etcdParser struct {
	flags    *flag.FlagSet
	set      map[string]bool
	warnings []string
	help     bool
}

func (p *etcdParser) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func (p *etcdParser) commandLine(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") || arg == "-" || arg == "--" {
			return fmt.Errorf("%q is no flag; etcd takes flags only", arg)
		}
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name == "h" || name == "help" {
			p.help = true
			continue
		}
		next := len(args) > 0 && (!strings.HasPrefix(args[0], "-") || args[0] == "-")
		switch {
		case given:
		case p.isSwitch(name):
			value = "true"
		case next:
			value, args = args[0], args[1:]
		case p.known(name):
			return fmt.Errorf("flag --%s needs a value", name)
		}
		if err := p.apply("--"+name, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *etcdParser) known(name string) bool {
	return p.flags.Lookup(name) != nil || slices.Contains(idleValues, name) || slices.Contains(idleSwitches, name)
}

func (p *etcdParser) isSwitch(name string) bool {
	if f := p.flags.Lookup(name); f != nil {
		b, ok := f.Value.(interface{ IsBoolFlag() bool })
		return ok && b.IsBoolFlag()
	}
	return slices.Contains(idleSwitches, name)
}

// apply sets a flag. spelled is how the operator wrote it.
func (p *etcdParser) apply(spelled, name, value string) error {
	switch {
	case p.flags.Lookup(name) != nil:
		if err := p.flags.Set(name, value); err != nil {
			return fmt.Errorf("invalid value %q for flag -%s: %w (%s)", value, name, err, spelled)
		}
		p.set[name] = true
	case choices[name] != nil && !slices.Contains(choices[name], value):
		return fmt.Errorf("invalid value %q for flag -%s: invalid value %q; write one of %s", value, name, value, strings.Join(choices[name], ", "))
	case !p.known(name):
		p.warn("%s is unknown to gitcd, and ignored", spelled)
	case retired[name] != "":
		p.warn("--%s %s; it has no meaning for gitcd", name, retired[name])
	case !slices.Contains(silent, name):
		p.warn("%s has no meaning for gitcd, and is ignored", spelled)
	}
	return nil
}

// environment returns what etcd's variables say, by flag.
func environment(environ []string) map[string]string {
	out := map[string]string{}
	for _, e := range environ {
		key, value, _ := strings.Cut(e, "=")
		name, ok := strings.CutPrefix(key, "ETCD_")
		if ok && name != "UNSUPPORTED_ARCH" && name != "VERIFY" {
			out[strings.ToLower(strings.ReplaceAll(name, "_", "-"))] = value
		}
	}
	return out
}

func (p *etcdParser) environment(environ []string) error {
	vars := environment(environ)
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if p.set[name] || vars[name] == "" {
			continue
		}
		spelled := "ETCD_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if err := p.apply(spelled, name, vars[name]); err != nil {
			return err
		}
	}
	return nil
}

// file reads etcd's configuration file. Times in it are numbers of nanoseconds.
func (p *etcdParser) file(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var settings map[string]any
	if err := yaml.Unmarshal(data, &settings); err != nil {
		return fmt.Errorf("read configuration %s: %w", name, err)
	}
	flat := map[string]string{}
	for key, value := range settings {
		section, ok := value.(map[string]any)
		switch {
		case !ok:
			flat[key] = text(value)
		case key == "client-transport-security":
			for k, v := range section {
				flat[k] = text(v)
			}
		default: // peers are nobody's business here
		}
	}
	names := make([]string, 0, len(flat))
	for key := range flat {
		names = append(names, key)
	}
	slices.Sort(names)
	for _, key := range names {
		value := flat[key]
		if value == "" {
			continue
		}
		if f := p.flags.Lookup(key); f != nil {
			if _, duration := f.Value.(flag.Getter).Get().(time.Duration); duration && !strings.ContainsAny(value, "hmsu") { //nolint:forcetypeassert // all flags of package flag are Getters
				value += "ns"
			}
		}
		if err := p.apply(key, key, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// text returns a YAML value as a flag has it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return fmt.Sprintf("%.0f", v)
	case []any:
		parts := make([]string, 0, len(v))
		for _, part := range v {
			parts = append(parts, text(part))
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(v)
	}
}

// split returns the parts of a list with commas.
func split(list string) []string {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// check refuses what cannot be served.
func (o *etcdOptions) check() error {
	if n := len(split(o.initialCluster)); n > 1 {
		return fmt.Errorf("--initial-cluster names %d members: gitcd is one member, and heavens are joined by merging their branches; name this one only", n)
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return errors.New("--cert-file and --key-file go together")
	}
	if o.election < 5*o.heartbeat {
		return fmt.Errorf("--election-timeout[%dms] should be at least as 5 times as --heartbeat-interval[%dms]", o.election, o.heartbeat)
	}
	return nil
}

// etcdUsage is what --help prints.
func etcdUsage() string {
	var b strings.Builder
	b.WriteString(`Usage:

  etcd [flags]
    Start gitcd in place of etcd: an etcd server whose keys are in a Git repository.

  etcd --version
    Show the version of etcd whose API this is.

Flags:
`)
	(&etcdOptions{}).flags().VisitAll(func(f *flag.Flag) {
		fmt.Fprintf(&b, "  --%s '%s'\n    %s\n", f.Name, f.DefValue, f.Usage)
	})
	b.WriteString("\nAccepted, and without a meaning:\n")
	for _, name := range slices.Sorted(slices.Values(slices.Concat(idleValues, idleSwitches))) {
		fmt.Fprintf(&b, "  --%s\n", name)
	}
	return b.String()
}
