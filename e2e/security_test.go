package e2e

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"logsluice/doctor"
	"logsluice/indexer/deadletter"
	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// grant maps the worker's user to a role.
func (s *sink) grant(role string) {
	s.t.Helper()
	s.ask(http.MethodPut, "/_plugins/_security/api/roles/logsluice", roleForPrefix(role, s.prefix))
	s.ask(http.MethodPut, "/_plugins/_security/api/rolesmapping/logsluice", `{"users":["logsluice"]}`)
}

func (s *sink) setPassword(password string) {
	s.t.Helper()
	s.ask(http.MethodPut, "/_plugins/_security/api/internalusers/logsluice", `{"password":"`+password+`"}`)
	s.eventually("the password has changed", func() bool {
		// A request of the worker can have put the old password into the cache again.
		s.ask(http.MethodDelete, "/_plugins/_security/api/cache", "")
		return s.authenticates(password) && (s.password == "" || !s.authenticates(s.password))
	})
	s.password = password
}

// authenticates reports whether the node accepts the user logsluice with a password.
func (s *sink) authenticates(password string) bool {
	s.t.Helper()
	access := s.access()
	access.Username, access.Password = "logsluice", password
	client, err := opensearch.NewClient(access)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	return inspect.Ask(s.t.Context(), client, http.MethodGet, "/_plugins/_security/authinfo", "", nil) == nil
}

// A worker whose user has exactly the role of docs/permissions-opensearch.md can index. While its
// password or role is wrong, it is alive but not ready and loses nothing. It continues when they
// are right.
func TestRunSecured(t *testing.T) {
	t.Parallel()
	n := startNodeWith(t, local.Options{Heap: "256m", Secured: true})
	role := roleOf(t, "run")
	const permission = "indices:data/write/index"
	reduced := without(t, role, permission)

	address, file := localtest.FreeAddress(t), filepath.Join(t.TempDir(), "password")
	settings := []string{
		"METRICS_ADDRESS=" + address, "OPENSEARCH_CA_FILE=" + n.CAFile, "OPENSEARCH_USERNAME=logsluice", "OPENSEARCH_PASSWORD_FILE=" + file,
	}
	write := func(password string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := func(s *sink) {
		password := rand.Text()
		s.setPassword(password)
		s.grant(role)
		write(password)
		// An index of another application, whose mapping grows with the documents.
		s.ask(http.MethodPut, "/"+s.prefix+"-2026-01-15", "")
		// Today's index, created before the template.
		s.ask(http.MethodPut, "/"+s.prefix+"-"+time.Now().UTC().Format(time.DateOnly), "")
	}
	failed := func(counter string) func(*sink) {
		return func(s *sink) {
			if s.w.total(counter) == 0 {
				s.t.Errorf("%s is 0", counter)
			}
			if !strings.Contains(s.w.lines(), "fields of the schema added to an index") {
				s.t.Error("the fields of the schema were not added to the index of today")
			}
			if strings.Contains(s.w.lines(), string(doctor.NotChecked)) {
				s.t.Error("the role does not allow checking names and templates")
			}
		}
	}
	next := rand.Text()
	sinkFault{name: "password changed", with: settings, before: before,
		begin: func(s *sink) {
			s.setPassword(next)
			probed{s.cluster, address}.unready("OpenSearch", "401")
			probed{s.cluster, address}.unready("indexer", "OpenSearch answers 401: ")
		},
		end: func(s *sink) {
			write(next)
			probed{s.cluster, address}.ready()
		}, proof: failed("bulk_requests_failed")}.run(t, n)
	sinkFault{name: "role reduced", with: settings, before: before,
		begin: func(s *sink) {
			s.grant(reduced)
			probed{s.cluster, address}.unready("indexer", "OpenSearch answers 403: security_exception: no permissions for ["+permission+"]")
		},
		end: func(s *sink) {
			s.grant(role)
			probed{s.cluster, address}.ready()
		}, proof: failed("documents_retried")}.run(t, n)

	// wrong starts a worker with wrong settings, and waits until a reason is reported and logged.
	wrong := func(s *sink, reason string, settings ...string) probed {
		t.Helper()
		s.work(settings...)
		p := probed{s.cluster, address}
		p.listening()
		p.unready("OpenSearch", reason)
		s.eventually("an error line with "+reason, func() bool {
			for line := range strings.Lines(s.w.lines()) {
				if strings.Contains(line, `"level":"error"`) && strings.Contains(line, reason) {
					return true
				}
			}
			return false
		})
		return p
	}
	t.Run("unknown authority", func(t *testing.T) {
		s := newSink(t, n, 1)
		before(s)
		wrong(s, "unknown authority", append(settings, "OPENSEARCH_CA_FILE=")...)
		s.w.stop()
	})
	t.Run("wrong password", func(t *testing.T) {
		s := newSink(t, n, 1)
		before(s)
		right, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write("wrong")
		p := wrong(s, "401", settings...)
		write(strings.TrimSpace(string(right)))
		p.ready()
		s.put("k", []byte("not a record of CloudWatch"))
		s.produce(generator(1, 100), 100)
		s.indexed()
		s.eventually("the dead letter is found", func() bool { return s.count(deadletter.Index(s.prefix)) == 1 })
		s.w.stop()
		if found := s.found(); found != len(s.expected) {
			t.Errorf("%d events found of %d", found, len(s.expected))
		}
	})
	t.Run("dead-letter index", func(t *testing.T) {
		s := newSink(t, n, 1)
		before(s)
		index := deadletter.Index(s.prefix)
		s.grant(without(t, role, "indices:admin/create"))
		s.work(settings...)
		if text := s.w.errorLine(s.cluster, "the dead-letter index cannot be created"); !strings.Contains(text, "no permissions for [indices:admin/create]") || !strings.Contains(text, "allow it for "+s.prefix+"-*") {
			t.Error(text)
		}
		if s.exists(index) {
			t.Error("the dead-letter index exists")
		}
		s.grant(role)
		s.eventually("the dead-letter index exists", func() bool { return s.exists(index) })
		s.w.stop()
	})
	t.Run("tenant", func(t *testing.T) {
		useTenant(newSink(t, n, 1))
	})
	t.Run("setup", func(t *testing.T) {
		setUpSecured(newSink(t, n, 1), roleOf(t, "setup"))
	})
}

// setUpSecured checks that setup works for a user with its role, and fails without a permission
// of that role.
func setUpSecured(s *sink, role string) {
	s.t.Helper()
	password := rand.Text()
	s.setPassword(password)
	f := func(code int, role, password, want string, args ...string) {
		s.t.Helper()
		s.grant(role)
		var out, errOut strings.Builder
		got := program(s.t.Context(), s.t, append([]string{
			"setup", "--skip=policy", "--opensearch-url=" + s.URL, "--opensearch-ca-file=" + s.CAFile,
			"--opensearch-username=logsluice", "--opensearch-password=" + password, "--index-prefix=" + s.prefix,
		}, args...), nil, &out, &errOut)
		if got != code || !strings.Contains(out.String()+errOut.String(), want) || code == exitOK && strings.Contains(out.String(), "warning") {
			s.t.Errorf("exit %d, no %s in %s%s", got, want, out.String(), errOut.String())
		}
	}
	const permission = "indices:admin/index_template/put"
	f(exitFailure, role, "wrong", "OpenSearch: failed: read the version: OpenSearch answers 401 Unauthorized")
	f(exitFailure, without(s.t, role, permission), password, "no permissions for ["+permission+"]")
	f(exitOK, role, password, "template "+s.prefix+": installed\n")
	f(exitOK, role, password, "template "+s.prefix+": in place\n")

	streams := strings.Replace(role, `"indices:admin/index_template/put"`, `"indices:admin/index_template/put","indices:admin/index_template/simulate"`, 1)
	f(exitOK, streams, password, "template "+s.prefix+": changed\n", "--data-stream")
	s.ask(http.MethodPut, "/_data_stream/"+s.prefix, "")
	defer s.ask(http.MethodDelete, "/_data_stream/"+s.prefix, "")
	f(exitOK, streams, password, "template "+s.prefix+": in place\n", "--data-stream")
	f(exitSettings, streams, password, "DATA_STREAM (--data-stream) is false, but "+s.prefix+" is a data stream")
}
