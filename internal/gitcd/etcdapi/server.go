// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"cmp"
	"hash/fnv"
	"math"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

const (
	// Version is the version of etcd whose API this is. kube-apiserver reads from it what it may use.
	Version = "3.7.3"
	// storageVersion is what etcd 3.7 reports for its own storage.
	storageVersion = "3.7.0"

	// maxRequestBytes and maxTxnOps are etcd's defaults; grpcOverhead is what a message may have beside its request.
	maxRequestBytes = 1536 << 10
	grpcOverhead    = 512 << 10
	maxTxnOps       = 128

	// keepAliveMinTime is how often clients may ping. Kubernetes does every 30 s, gRPC's own default allows 5 min.
	keepAliveMinTime = 5 * time.Second
	// keepAliveInterval and keepAliveTimeout are etcd's defaults for the server's own pings.
	keepAliveInterval = 2 * time.Hour
	keepAliveTimeout  = 20 * time.Second
	// window is the initial flow control window of streams and connections: the default makes lists slow.
	window = 1 << 20
	// streamWorkers are goroutines that serve one call after the other: a new one for each call spends a twentieth
	// of its time growing its stack. What exceeds them, as watches do, gets a new one. A thousand would save 4 % with
	// as many clients, and hold 8 MB of stacks in each gitcd.
	streamWorkers = 64
	// progressInterval is etcd's default time between the progress notifications of a quiet watch.
	progressInterval = 10 * time.Minute
)

// Options configures NewServer. The zero value is good.
type Options struct {
	// Name is the member's name. Default gitcd.
	Name string
	// ClientURLs are where clients reach this server, as MemberList says them.
	ClientURLs []string
	// PeerURLs are what MemberList says beside them. Default: the client URLs; nobody listens there for peers.
	PeerURLs []string
	// ClusterID and MemberID are in every header. Default: derived from Name.
	ClusterID, MemberID uint64
	// Epoch is the writer's fencing number. Raft's term is said to be one above it.
	Epoch int64
	// ProgressInterval is the time between progress notifications. Default 10 min, as etcd's.
	ProgressInterval time.Duration
	// DBSize returns how many bytes the repository takes. Default: 0 is said.
	DBSize func() int64
	// MaxRequestBytes and MaxTxnOps bound what a request may be. Default etcd's: 1.5 MiB and 128.
	MaxRequestBytes, MaxTxnOps int
	// KeepAliveMinTime is how often clients may ping, KeepAliveInterval when the server does, and KeepAliveTimeout how
	// long it waits for the answer. Default etcd's: 5 s, 2 h, 20 s.
	KeepAliveMinTime, KeepAliveInterval, KeepAliveTimeout time.Duration
	// Held says that the keys from key to end, as in a range, may not be written now. Default: never.
	Held func(key, end string) bool
	// Upkeep is what the Maintenance service needs. Default: it does without.
	Upkeep Upkeep
	// Clock is the time. Default the machine's.
	Clock clock.WithTicker
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "gitcd"
	}
	if o.PeerURLs == nil {
		o.PeerURLs = o.ClientURLs
	}
	if o.ClusterID == 0 {
		o.ClusterID = idOf("cluster " + o.Name)
	}
	if o.MemberID == 0 {
		o.MemberID = idOf("member " + o.Name)
	}
	if o.ProgressInterval == 0 {
		o.ProgressInterval = progressInterval
	}
	if o.DBSize == nil {
		o.DBSize = func() int64 { return 0 }
	}
	o.MaxRequestBytes = cmp.Or(o.MaxRequestBytes, maxRequestBytes)
	o.MaxTxnOps = cmp.Or(o.MaxTxnOps, maxTxnOps)
	o.KeepAliveMinTime = cmp.Or(o.KeepAliveMinTime, keepAliveMinTime)
	o.KeepAliveInterval = cmp.Or(o.KeepAliveInterval, keepAliveInterval)
	o.KeepAliveTimeout = cmp.Or(o.KeepAliveTimeout, keepAliveTimeout)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

func idOf(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64() | 1 // never 0
}

// Server is etcd's API in front of a store.
type Server struct {
	store *mvcc.Store
	o     Options

	hashes hashes
}

// NewServer returns the API of a store.
func NewServer(store *mvcc.Store, o Options) *Server {
	return &Server{store: store, o: o.withDefaults()}
}

// Register adds the services to a gRPC server, which was made with ServerOptions.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	pb.RegisterKVServer(g, &kvServer{Server: s})
	pb.RegisterWatchServer(g, &watchServer{Server: s})
	pb.RegisterLeaseServer(g, &leaseServer{Server: s})
	pb.RegisterMaintenanceServer(g, &maintenanceServer{Server: s})
	pb.RegisterClusterServer(g, &clusterServer{Server: s})
	pb.RegisterAuthServer(g, &authServer{Server: s})
}

// ServerOptions are what etcd's clients expect of the gRPC server itself.
func ServerOptions() []grpc.ServerOption {
	return (&Server{o: Options{}.withDefaults()}).serverOptions(0)
}

// serverOptions limits requests as configured, and calls on a connection to maxStreams; 0 is no limit.
func (s *Server) serverOptions(maxStreams uint32) []grpc.ServerOption {
	if maxStreams == 0 {
		maxStreams = math.MaxUint32
	}
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.o.MaxRequestBytes + grpcOverhead),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: s.o.KeepAliveMinTime, PermitWithoutStream: false}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: s.o.KeepAliveInterval, Timeout: s.o.KeepAliveTimeout}),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.NumStreamWorkers(streamWorkers),
	}
}

// header is what every response begins with.
func (s *Server) header(revision int64) *pb.ResponseHeader {
	return &pb.ResponseHeader{
		ClusterId: s.o.ClusterID,
		MemberId:  s.o.MemberID,
		Revision:  revision,
		RaftTerm:  s.term(),
	}
}

func (s *Server) term() uint64 { return uint64(max(s.o.Epoch, 0)) + 1 }
