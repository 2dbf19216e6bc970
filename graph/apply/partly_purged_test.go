package apply

import (
	"context"
	"strings"
	"testing"

	"regfsck/backend/s3"
	"regfsck/fixtures/bucket"
	"regfsck/graph"
)

// A purge that the server denies for some keys gives up the others alone: the rest
// can be undone, which names what was given up, or purged again.
func TestAPurgeThatIsDeniedLeavesTheRest(t *testing.T) {
	server := bucket.Start(t, bucket.Options{Versioning: true})
	for n, again := range []bool{false, true} {
		place := inBucket(t, server, n, garbage())
		_ = place.Close()
		proxy := bucket.Front(t, server, bucket.Settings{})
		s, err := s3.OpenStore(t.Context(), s3.Options{
			Bucket: []string{"registry-0", "registry-1"}[n], Root: "root", Endpoint: proxy.Endpoint, Region: server.Region,
			AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		state, was := t.TempDir(), files(dump(s))
		run := mustFix(t, s, state, graph.Policy{}).Run
		var denied string
		proxy.Inject(bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: bucket.DeleteErrors(func(key string) string {
			if denied == "" && strings.HasSuffix(key, "/data") {
				denied = key
			}
			if key == denied {
				return "AccessDenied"
			}
			return ""
		})})
		if _, err := Purge(context.Background(), s, state, run); err == nil || !strings.Contains(err.Error(), "made by a test") {
			t.Errorf("the server's words aren't told: %v", err)
		}
		proxy.Heal()
		runs, err := Runs(state)
		if err != nil || runs[0].Status != PartlyPurged || !runs[0].CanUndo() {
			t.Errorf("%v, %+v", err, runs)
		}
		if again {
			if _, err := Purge(context.Background(), s, state, run); err != nil {
				t.Error(err)
			}
			if runs, err := Runs(state); err != nil || runs[0].Status != Purged || runs[0].CanUndo() {
				t.Errorf("%v, %+v", err, runs)
			}
			continue
		}
		out, err := Undo(context.Background(), s, state, run)
		if err != nil || out.Total().Failed > 0 {
			t.Fatalf("%v, %+v", err, out)
		}
		back := files(dump(s))
		if key := strings.TrimPrefix(denied, "root/"); back[key] != was[key] || back[key] == "" {
			t.Errorf("%s didn't come back", key)
		}
		for _, l := range out.NotDone {
			if l.Reason != "was given up for good by a purge" {
				t.Errorf("%+v", l)
			}
		}
	}
}

// What a run could not remove is none of its own: what somebody else removes under
// that key since is left to them by a purge of the run.
func TestAPurgeLeavesWhatTheRunCouldNotRemove(t *testing.T) {
	server := bucket.Start(t, bucket.Options{Versioning: true})
	place := server.Make(t, "registry-0")
	place.SetVersioning(t, bucket.Enabled)
	place.Fill(t, bucket.From(garbage().Into, "root/"))
	proxy := bucket.Front(t, server, bucket.Settings{})
	s, err := s3.OpenStore(t.Context(), s3.Options{
		Bucket: "registry-0", Root: "root", Endpoint: proxy.Endpoint, Region: server.Region,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	denied := ""
	proxy.Inject(bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: bucket.DeleteErrors(func(key string) string {
		if denied == "" && strings.HasSuffix(key, "/data") {
			denied = key
		}
		if key == denied {
			return "AccessDenied"
		}
		return ""
	})})
	state := t.TempDir()
	out, err := fix(s, state, graph.Policy{})
	if err != nil || len(out.NotDone) == 0 || denied == "" {
		t.Fatalf("%v, %+v", err, out)
	}
	proxy.Heal()
	place.Delete(t, denied, "")
	if _, err := Purge(context.Background(), s, state, out.Run); err != nil {
		t.Fatal(err)
	}
	for _, v := range place.Versions(t, denied) {
		if !v.Marker {
			return
		}
	}
	t.Errorf("%s was given up, which somebody else had removed", denied)
}
