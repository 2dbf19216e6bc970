package main

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the API types of the manifests.
var kinds = map[string]func() any{
	"v1 ConfigMap":                             func() any { return &corev1.ConfigMap{} },
	"v1 PersistentVolumeClaim":                 func() any { return &corev1.PersistentVolumeClaim{} },
	"v1 ServiceAccount":                        func() any { return &corev1.ServiceAccount{} },
	"batch/v1 CronJob":                         func() any { return &batchv1.CronJob{} },
	"batch/v1 Job":                             func() any { return &batchv1.Job{} },
	"rbac.authorization.k8s.io/v1 Role":        func() any { return &rbacv1.Role{} },
	"rbac.authorization.k8s.io/v1 RoleBinding": func() any { return &rbacv1.RoleBinding{} },
}

// decoded returns the objects of a manifest; a field that is unknown or occurs twice fails
// the test.
func decoded(t *testing.T, name string) (objects []any) {
	t.Helper()
	files, err := (&release{source: "../.."}).readManifests()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(files, func(f file) bool { return f.name == name })
	for _, text := range bytes.Split(files[at].body, []byte("\n---\n")) {
		var is struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(text, &is); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		made, known := kinds[is.APIVersion+" "+is.Kind]
		if !known {
			t.Fatalf("%s: unknown %+v", name, is)
		}
		object := made()
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Errorf("%s, %s: %v", name, is.Kind, err)
		}
		objects = append(objects, object)
	}
	return objects
}

// object returns the only object of a type in a manifest.
func object[T any](t *testing.T, name string) (found *T) {
	t.Helper()
	for _, o := range decoded(t, name) {
		if is, ok := o.(*T); ok {
			if found != nil {
				t.Fatalf("%s has two of %T", name, found)
			}
			found = is
		}
	}
	if found == nil {
		t.Fatalf("%s has no %T", name, found)
	}
	return found
}

// TestPodsAreIsolated checks that all pods run without privileges, write only to mounted
// volumes, and mount only declared ones.
func TestPodsAreIsolated(t *testing.T) {
	check := object[batchv1.CronJob](t, "check.yaml")
	for name, pod := range map[string]corev1.PodSpec{
		"check":  check.Spec.JobTemplate.Spec.Template.Spec,
		"window": object[batchv1.Job](t, "window.yaml").Spec.Template.Spec,
		"hash":   object[batchv1.Job](t, hashJob).Spec.Template.Spec,
	} {
		if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 1000 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: %+v", name, s)
		}
		if *pod.EnableServiceLinks { // a Service named regfsck would set REGFSCK_PORT, which isn't a flag
			t.Errorf("%s: Services set variables", name)
		}
		volumes := map[string]bool{}
		for _, v := range pod.Volumes {
			volumes[v.Name] = true
		}
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
				t.Errorf("%s, %s: %+v", name, c.Name, s)
			}
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s, %s: no volume %s", name, c.Name, m.Name)
				}
			}
		}
	}
	pod := check.Spec.JobTemplate.Spec.Template.Spec
	if mount := pod.Containers[0].VolumeMounts[0]; mount.Name != "registry" || !mount.ReadOnly {
		t.Errorf("the check may write: %+v", mount)
	}
	if *pod.AutomountServiceAccountToken || check.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent || *check.Spec.JobTemplate.Spec.BackoffLimit != 0 {
		t.Errorf("%+v", check.Spec)
	}
	if claim := object[corev1.PersistentVolumeClaim](t, "check.yaml"); pod.Volumes[1].PersistentVolumeClaim.ClaimName != claim.Name {
		t.Errorf("the claim is %s", claim.Name)
	}
}

// TestWindow checks the order of the window, in which no registry accepts pushes while its
// storage is changed: each step is an init container, so that after a failure no later one
// runs, and only after all of them read-only is switched off.
func TestWindow(t *testing.T) {
	job := object[batchv1.Job](t, "window.yaml")
	pod := job.Spec.Template.Spec
	if *job.Spec.BackoffLimit != 0 || pod.RestartPolicy != corev1.RestartPolicyNever || len(pod.Containers) != 1 {
		t.Errorf("a step that failed is tried again: %+v", job.Spec)
	}
	var steps []string
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if c.RestartPolicy != nil || c.Lifecycle != nil || len(c.RestartPolicyRules) > 0 {
			t.Errorf("%s doesn't end before the next step begins", c.Name)
		}
		steps = append(steps, c.Name+": "+strings.Join(slices.Concat(c.Command, c.Args), " "))
	}
	want := []string{
		"check: regfsck check /etc/regfsck/config.yml --no-progress",
		`one-at-once: kubectl patch deployment/registry --type=json --patch=[{"op":"test","path":"/spec/strategy/type","value":"Recreate"}]`,
		`read-only: kubectl set env deployment/registry REGISTRY_STORAGE_MAINTENANCE_READONLY={"enabled":true}`,
		"started: kubectl rollout status deployment/registry --timeout=10m",
		"wait: regfsck wait-readonly registry:5000 --timeout=5m",
		"fix: regfsck fix /etc/regfsck/config.yml --apply --yes --no-progress",
		"purge: regfsck purge /etc/regfsck/config.yml --older-than=7d --yes",
		"writable: kubectl set env deployment/registry REGISTRY_STORAGE_MAINTENANCE_READONLY-",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("the steps are\n%s", strings.Join(steps, "\n"))
	}
	config := object[corev1.ConfigMap](t, "window.yaml")
	if pod.Volumes[0].ConfigMap.Name != config.Name || !strings.Contains(config.Data["config.yml"], "\n  addr: registry:5000") {
		t.Errorf("fix doesn't ask the registry: %+v", config)
	}
}

// TestRightsOfTheWindow checks that the window's account may do what its steps do with its
// Deployment, and nothing else.
func TestRightsOfTheWindow(t *testing.T) {
	pod := object[batchv1.Job](t, "window.yaml").Spec.Template.Spec
	account, role, binding := object[corev1.ServiceAccount](t, "window.yaml"), object[rbacv1.Role](t, "window.yaml"), object[rbacv1.RoleBinding](t, "window.yaml")
	if pod.ServiceAccountName != account.Name || binding.RoleRef != (rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: role.Name}) ||
		len(binding.Subjects) != 1 || binding.Subjects[0] != (rbacv1.Subject{Kind: "ServiceAccount", Name: account.Name}) {
		t.Errorf("%s, %+v", pod.ServiceAccountName, binding)
	}
	want := []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"registry"}, Verbs: []string{"get", "list", "watch", "patch"}}}
	if !reflect.DeepEqual(role.Rules, want) {
		t.Errorf("%+v", role.Rules)
	}
}

// TestHashJob reads the Job of the help topic on scale.
func TestHashJob(t *testing.T) {
	job := object[batchv1.Job](t, hashJob)
	if *job.Spec.CompletionMode != batchv1.IndexedCompletion || *job.Spec.BackoffLimitPerIndex != 3 || *job.Spec.Completions != *job.Spec.Parallelism {
		t.Errorf("%+v", job.Spec)
	}
	if args := job.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, fmt.Sprintf("--shard=%d", *job.Spec.Completions)) {
		t.Errorf("%d pods, each with %q", *job.Spec.Completions, args)
	}
	pod := job.Spec.Template.Spec
	if *pod.AutomountServiceAccountToken {
		t.Error("the pods are given an account's token")
	}
	readOnly := map[string]bool{}
	for _, m := range pod.Containers[0].VolumeMounts {
		readOnly[m.MountPath] = m.ReadOnly
	}
	for _, v := range pod.Volumes {
		if claim := v.PersistentVolumeClaim; claim.ReadOnly != (v.Name == "registry") {
			t.Errorf("%s: read-only is %v", claim.ClaimName, claim.ReadOnly)
		}
	}
	if want := map[string]bool{"/var/lib/registry": true, "/var/lib/regfsck": false}; !reflect.DeepEqual(readOnly, want) {
		t.Errorf("read-only are %v", readOnly)
	}
	if args := pod.Containers[0].Args; !slices.Contains(args, "--ledger=/var/lib/regfsck/part-$(JOB_COMPLETION_INDEX)") {
		t.Errorf("the parts go elsewhere: %q", args)
	}
}

// TestValuesOfTheChart checks that the chart's values have the types that its template
// needs, that the window finds what it needs in them, and that the Jobs use the chart's
// names.
func TestValuesOfTheChart(t *testing.T) {
	files, err := (&release{source: "../.."}).readManifests()
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		FullnameOverride string                    `json:"fullnameOverride"`
		UpdateStrategy   appsv1.DeploymentStrategy `json:"updateStrategy"`
		Affinity         corev1.Affinity           `json:"affinity"`
		Persistence      struct {
			Enabled bool   `json:"enabled"`
			Size    string `json:"size"`
		} `json:"persistence"`
		GarbageCollect struct {
			Enabled bool `json:"enabled"`
		} `json:"garbageCollect"`
	}
	at := slices.IndexFunc(files, func(f file) bool { return f.name == "values.yaml" })
	if err := yaml.UnmarshalStrict(files[at].body, &values); err != nil {
		t.Fatal(err)
	}
	if values.UpdateStrategy.Type != appsv1.RecreateDeploymentStrategyType || !values.Persistence.Enabled || values.GarbageCollect.Enabled {
		t.Errorf("%+v", values)
	}
	near := values.Affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm.LabelSelector.MatchLabels
	job := object[batchv1.Job](t, "window.yaml")
	if !reflect.DeepEqual(near, job.Spec.Template.Labels) {
		t.Errorf("the registry is scheduled to %v, the Job has %v", near, job.Spec.Template.Labels)
	}
	for name, pod := range map[string]corev1.PodSpec{
		"check":  object[batchv1.CronJob](t, "check.yaml").Spec.JobTemplate.Spec.Template.Spec,
		"window": job.Spec.Template.Spec,
	} {
		claimed := slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
			return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == values.FullnameOverride
		})
		labels := pod.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].LabelSelector.MatchLabels
		// The chart labels its pods with its own name and with the release's.
		if !claimed || !reflect.DeepEqual(labels, map[string]string{"app": "docker-registry", "release": values.FullnameOverride}) {
			t.Errorf("%s: %v, %v", name, claimed, labels)
		}
	}
}
