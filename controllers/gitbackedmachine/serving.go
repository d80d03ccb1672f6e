// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/secret"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

const (
	// A kubelet asks for a serving certificate soon after it joined, and again when the certificate grows old; then it
	// waits a quarter of an hour.
	soon, later = 3 * time.Second, 5 * time.Minute

	// settled is how long after joining the first request is expected.
	settled = 10 * time.Minute

	// clusterTimeout bounds a call to a headless cluster: it may be out of reach.
	clusterTimeout = 10 * time.Second
)

// Dial makes a client of the headless cluster that a kubeconfig leads to.
type Dial func(kubeconfig []byte) (kubernetes.Interface, error)

// DialCluster is the Dial that leads to real clusters.
func DialCluster(kubeconfig []byte) (kubernetes.Interface, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.Timeout = clusterTimeout
	return kubernetes.NewForConfig(config)
}

// gatherNode looks at the Node: its addresses become the machine's, and its kubelet gets the serving certificate
// that it asks for. A cluster that is out of reach is no failure of the machine; it is asked again.
func (r *Reconciler) gatherNode(ctx context.Context, s *scope) error {
	if !s.machine.Status.NodeRef.IsDefined() {
		return nil
	}
	s.again = soon
	kubeconfig := &corev1.Secret{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.machine.Namespace, Name: secret.Name(s.machine.Spec.ClusterName, secret.Kubeconfig)}, kubeconfig)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read kubeconfig of Cluster %s: %w", s.machine.Spec.ClusterName, err)
	}
	headless, err := r.Dial(kubeconfig.Data[secret.KubeconfigDataName])
	if err != nil {
		return fmt.Errorf("connect to Cluster %s: %w", s.machine.Spec.ClusterName, err)
	}
	node, err := headless.CoreV1().Nodes().Get(ctx, s.machine.Status.NodeRef.Name, metav1.GetOptions{})
	if err != nil {
		ctrl.LoggerFrom(ctx).V(2).Info("The headless cluster does not show the Node; it is asked again", "reason", err.Error())
		return nil
	}
	s.infra.Status.Addresses = addressesOf(node)
	if err := r.approve(ctx, s, headless, node); err != nil {
		ctrl.LoggerFrom(ctx).Info("The kubelet's serving certificate could not be approved; it is tried again", "reason", err.Error())
		return nil
	}
	if ready := conditions.Get(s.infra, infrav1.MachineReady); ready != nil && ready.Status == yes && r.Clock.Since(ready.LastTransitionTime.Time) > settled {
		s.again = later
	}
	return nil
}

// addressesOf are the addresses that a Node says it has; the names of the types are the same in both worlds.
func addressesOf(node *corev1.Node) clusterv1.MachineAddresses {
	var all clusterv1.MachineAddresses
	for _, a := range node.Status.Addresses {
		all = append(all, clusterv1.MachineAddress{Type: clusterv1.MachineAddressType(a.Type), Address: a.Address})
	}
	return all
}

// approve approves what the kubelet of this Node asks for, and nothing else.
func (r *Reconciler) approve(ctx context.Context, s *scope, headless kubernetes.Interface, node *corev1.Node) error {
	requests := headless.CertificatesV1().CertificateSigningRequests()
	list, err := requests.List(ctx, metav1.ListOptions{FieldSelector: "spec.signerName=" + certificatesv1.KubeletServingSignerName})
	if err != nil {
		return fmt.Errorf("list certificate requests: %w", err)
	}
	for i := range list.Items {
		request := &list.Items[i]
		if request.Spec.Username != "system:node:"+node.Name || len(request.Status.Conditions) > 0 {
			continue
		}
		if why := refusal(request, node); why != "" {
			r.recorder.Eventf(s.infra, nil, corev1.EventTypeWarning, "CertificateNotApproved", "Approve",
				"CertificateSigningRequest %s of Node %s is not approved: %s", request.Name, node.Name, why)
			continue
		}
		request.Status.Conditions = append(request.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AddressesOfNode",
			Message: "The kubelet asks for its own name and addresses",
		})
		if _, err := requests.UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("approve certificate request %s: %w", request.Name, err)
		}
	}
	return nil
}

// refusal says why a request for a serving certificate is not what the kubelet of this Node may ask for; it is empty
// when it is.
func refusal(request *certificatesv1.CertificateSigningRequest, node *corev1.Node) string {
	block, _ := pem.Decode(request.Spec.Request)
	if block == nil {
		return "the request is not PEM"
	}
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return fmt.Sprintf("the request is unreadable: %v", err)
	}
	names, ips := []string{node.Name}, []string{}
	for _, a := range node.Status.Addresses {
		switch a.Type {
		case corev1.NodeInternalIP, corev1.NodeExternalIP:
			ips = append(ips, a.Address)
		default:
			names = append(names, a.Address)
		}
	}
	may := []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageServerAuth}
	for _, rule := range []struct {
		broken bool
		why    string
	}{
		{request.Spec.SignerName != certificatesv1.KubeletServingSignerName, "it is for another signer"},
		{!slices.Contains(request.Spec.Groups, "system:nodes"), "it does not come from a node"},
		{asked.Subject.CommonName != request.Spec.Username, fmt.Sprintf("it is for %q", asked.Subject.CommonName)},
		{!slices.Equal(asked.Subject.Organization, []string{"system:nodes"}), fmt.Sprintf("its organizations are %q", asked.Subject.Organization)},
		{!slices.Contains(request.Spec.Usages, certificatesv1.UsageServerAuth) || !within(request.Spec.Usages, may), fmt.Sprintf("its usages are %q", request.Spec.Usages)},
		{len(asked.EmailAddresses)+len(asked.URIs) > 0, "it has names that are no host's"},
		{len(asked.DNSNames)+len(asked.IPAddresses) == 0, "it names no address"},
		{!within(asked.DNSNames, names), fmt.Sprintf("its names are %q, the Node's are %q", asked.DNSNames, names)},
		{!within(texts(asked), ips), fmt.Sprintf("its addresses are %q, the Node's are %q", texts(asked), ips)},
	} {
		if rule.broken {
			return rule.why
		}
	}
	return ""
}

func texts(asked *x509.CertificateRequest) []string {
	all := make([]string, 0, len(asked.IPAddresses))
	for _, ip := range asked.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// within says whether all of some are in all.
func within[T comparable](some, all []T) bool {
	return !slices.ContainsFunc(some, func(one T) bool { return !slices.Contains(all, one) })
}
