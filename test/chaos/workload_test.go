// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

const namespace = "default"

// told is what the front door answered about one object.
type told struct {
	Kind, Name string
	UID        types.UID
	Created    time.Time
	Deleting   time.Time // when its deletion was asked for
	Deleted    bool      // and acknowledged
	Replicas   int32     // of a Job: its completions
	Fields     map[string]*field
	Answers    []string // for a person to read
	Wrong      []string // what the front door should not have answered
}

// field is what people were told of one field of an object.
type field struct {
	Value   string   // acknowledged last
	Perhaps []string // asked for since, without an answer: each may have been kept
}

func (f *field) may(value string) bool { return value == f.Value || slices.Contains(f.Perhaps, value) }

// The fields that people change.
const (
	replicasField = "replicas"
	roundField    = "round" // of a Deployment's template
	numberField   = "number"
)

// workload is what people do at the front door.
type workload struct {
	client *kubernetes.Clientset
	seed   uint64

	mu    sync.Mutex
	told  []*told
	acked int
	lost  int // requests without an answer
}

// person never rests, and touches only what is its own.
type person struct {
	*workload
	id   int
	rng  *rand.Rand
	mine []*told
	next int
}

const (
	people = 3
	most   = 2 // objects of a kind that a person keeps
)

func newWorkload(client *kubernetes.Clientset, seed uint64) *workload {
	return &workload{client: client, seed: seed}
}

// run works until the context ends.
func (w *workload) run(ctx context.Context) {
	var group sync.WaitGroup
	for id := range people {
		p := &person{workload: w, id: id, rng: rand.New(rand.NewPCG(w.seed, uint64(2+id)))}
		group.Go(func() {
			for ctx.Err() == nil {
				p.step(ctx)
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(200+p.rng.IntN(1200)) * time.Millisecond):
				}
			}
		})
	}
	group.Wait()
}

// live returns an object of a kind that is not deleted, nil if there is none.
func (w *person) live(kind string) (one *told, n int) {
	var all []*told
	for _, o := range w.mine {
		if o.Kind == kind && o.Deleting.IsZero() {
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		return nil, 0
	}
	return all[w.rng.IntN(len(all))], len(all)
}

func (w *person) step(ctx context.Context) {
	kinds := []string{"Deployment", "Deployment", "Deployment", "Job", "Pod", "Service", "ConfigMap"}
	kind := kinds[w.rng.IntN(len(kinds))]
	one, n := w.live(kind)
	choice := w.rng.IntN(10)
	switch {
	case one == nil || choice < 3 && n < most:
		w.create(ctx, kind)
	case choice < 5 || n > most:
		w.remove(ctx, one)
	case kind == "Deployment" && choice < 7:
		w.scale(ctx, one)
	case kind == "Deployment":
		w.roll(ctx, one)
	case kind == "ConfigMap":
		w.touch(ctx, one)
	}
}

// request is the context of one. It is not the workload's: what was begun is finished, so
// that its answer is known.
func request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
}

func (w *person) create(ctx context.Context, kind string) {
	w.next++
	o := &told{Kind: kind, Name: fmt.Sprintf("%c%d-%d", kind[0]|0x20, w.id, w.next), Replicas: int32(1 + w.rng.IntN(4))}
	ctx, cancel := request(ctx)
	defer cancel()
	meta := metav1.ObjectMeta{Name: o.Name, Labels: map[string]string{"app": o.Name}}
	var uid types.UID
	var err error
	switch kind {
	case "Deployment":
		var d *appsv1.Deployment
		d, err = w.client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Replicas: new(o.Replicas), Selector: &metav1.LabelSelector{MatchLabels: meta.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels}, Spec: podSpec(corev1.RestartPolicyAlways)},
		}}, metav1.CreateOptions{})
		uid = uidOf(d, err)
		o.Fields = map[string]*field{replicasField: {Value: fmt.Sprint(o.Replicas)}, roundField: {Value: "0"}}
	case "Job":
		var j *batchv1.Job
		j, err = w.client.BatchV1().Jobs(namespace).Create(ctx, &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
			Completions: new(o.Replicas), Parallelism: new(int32(2)), BackoffLimit: new(int32(20)),
			Template: corev1.PodTemplateSpec{Spec: podSpec(corev1.RestartPolicyNever)},
		}}, metav1.CreateOptions{})
		uid = uidOf(j, err)
	case "Pod":
		var p *corev1.Pod
		p, err = w.client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{ObjectMeta: meta, Spec: podSpec(corev1.RestartPolicyAlways)}, metav1.CreateOptions{})
		uid = uidOf(p, err)
	case "Service":
		app := o.Name
		if d, _ := w.live("Deployment"); d != nil {
			app = d.Name
		}
		var s *corev1.Service
		s, err = w.client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": app}, Ports: []corev1.ServicePort{{Port: 80}},
		}}, metav1.CreateOptions{})
		uid = uidOf(s, err)
	case "ConfigMap":
		var m *corev1.ConfigMap
		m, err = w.client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"n": "0"}}, metav1.CreateOptions{})
		uid = uidOf(m, err)
		o.Fields = map[string]*field{numberField: {Value: "0"}}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.lost++ // it has no uid: nothing is claimed of it, and its name is not used again
		return
	}
	w.acked++
	o.UID, o.Created = uid, time.Now()
	w.told, w.mine = append(w.told, o), append(w.mine, o)
}

func uidOf(o metav1.Object, err error) types.UID {
	if err != nil {
		return ""
	}
	return o.GetUID()
}

func podSpec(restart corev1.RestartPolicy) corev1.PodSpec {
	c := corev1.Container{Name: "c", Image: sandbox.ImagePause, Env: []corev1.EnvVar{{Name: "ROUND", Value: "0"}}}
	if restart == corev1.RestartPolicyNever {
		c.Image, c.Command = sandbox.ImageGitcd, []string{"/gitcd", "--help"} // it ends, and well
	}
	return corev1.PodSpec{RestartPolicy: restart, TerminationGracePeriodSeconds: new(int64(2)), Containers: []corev1.Container{c}}
}

func (w *person) remove(ctx context.Context, o *told) {
	ctx, cancel := request(ctx)
	defer cancel()
	policy := metav1.DeletePropagationBackground
	if w.rng.IntN(3) == 0 {
		policy = metav1.DeletePropagationForeground
	}
	options := metav1.DeleteOptions{PropagationPolicy: &policy, Preconditions: metav1.NewUIDPreconditions(string(o.UID))}
	w.mu.Lock()
	o.Deleting = time.Now()
	w.mu.Unlock()
	var err error
	switch o.Kind {
	case "Deployment":
		err = w.client.AppsV1().Deployments(namespace).Delete(ctx, o.Name, options)
	case "Job":
		err = w.client.BatchV1().Jobs(namespace).Delete(ctx, o.Name, options)
	case "Pod":
		err = w.client.CoreV1().Pods(namespace).Delete(ctx, o.Name, options)
	case "Service":
		err = w.client.CoreV1().Services(namespace).Delete(ctx, o.Name, options)
	case "ConfigMap":
		err = w.client.CoreV1().ConfigMaps(namespace).Delete(ctx, o.Name, options)
	}
	o.note("delete", err)
	w.answer(err, func() { o.Deleted = true })
}

// answer notes what came of a request about an object.
func (w *workload) answer(err error, ok func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil || apierrors.IsNotFound(err):
		w.acked++
		ok()
	default:
		w.lost++
	}
}

// note keeps what was asked and answered about an object.
func (o *told) note(what string, err error) {
	o.Answers = append(o.Answers, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), what, err))
}

func (w *person) scale(ctx context.Context, o *told) {
	w.update(ctx, o, replicasField, fmt.Sprint(w.rng.IntN(6)))
}

func (w *person) roll(ctx context.Context, o *told) {
	w.update(ctx, o, roundField, fmt.Sprint(w.rng.IntN(1000)))
}

func (w *person) touch(ctx context.Context, o *told) {
	w.update(ctx, o, numberField, fmt.Sprint(w.rng.IntN(1000)))
}

// update changes a field. A request without an answer may have been kept, and a
// conflict is no better: the first try may have been. It is over once a later
// request is answered, since each names the version that it changes. What is read
// before, and answered, has what was acknowledged until then.
func (w *person) update(ctx context.Context, o *told, name, value string) {
	ctx, cancel := request(ctx)
	defer cancel()
	f := o.Fields[name]
	w.mu.Lock()
	f.Perhaps = append(f.Perhaps, value)
	w.mu.Unlock()
	change := w.updateDeployment
	if o.Kind == "ConfigMap" {
		change = w.updateConfigMap
	}
	var fields map[string]string
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		fields, err = change(ctx, o, name, value)
		return err
	})
	o.note(fmt.Sprintf("set %s to %s", name, value), err)
	w.answer(err, func() {
		if fields == nil {
			return // it was not found
		}
		f.Value, f.Perhaps = value, nil
		o.compare("the answer", fields)
		for name, f := range o.Fields {
			f.Value, f.Perhaps = fields[name], nil
		}
	})
}

func (w *person) updateDeployment(ctx context.Context, o *told, name, value string) (map[string]string, error) {
	d, err := w.client.AppsV1().Deployments(namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	fieldsOf := func(d *appsv1.Deployment) map[string]string {
		return map[string]string{replicasField: fmt.Sprint(*d.Spec.Replicas), roundField: d.Spec.Template.Spec.Containers[0].Env[0].Value}
	}
	o.compare("what was read", fieldsOf(d))
	if name == roundField {
		d.Spec.Template.Spec.Containers[0].Env[0].Value = value
	} else {
		replicas, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return nil, err
		}
		d.Spec.Replicas = new(int32(replicas))
	}
	d, err = w.client.AppsV1().Deployments(namespace).Update(ctx, d, metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return fieldsOf(d), nil
}

func (w *person) updateConfigMap(ctx context.Context, o *told, _, value string) (map[string]string, error) {
	m, err := w.client.CoreV1().ConfigMaps(namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	o.compare("what was read", map[string]string{numberField: m.Data["n"]})
	m.Data["n"] = value
	m, err = w.client.CoreV1().ConfigMaps(namespace).Update(ctx, m, metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return map[string]string{numberField: m.Data["n"]}, nil
}

// compare notes where the front door says what it cannot have. Only the one person whose object it is calls it.
func (o *told) compare(what string, fields map[string]string) {
	for name, value := range fields {
		if f := o.Fields[name]; !f.may(value) {
			o.Wrong = append(o.Wrong, fmt.Sprintf("%s %s has %s %s, which was set to %s, and since, without an answer, to %v", time.Now().Format("15:04:05.000"), what, name, value, f.Value, f.Perhaps))
		}
	}
}
