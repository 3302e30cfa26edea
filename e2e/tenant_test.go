package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"

	"logsluice/opensearch"
)

// useTenant creates a tenant and its roles according to docs/permissions-opensearch.md, and sends
// the requests that Dashboards sends for setup and for readers. Each role allows its own requests
// and denies the others.
func useTenant(s *sink) {
	s.t.Helper()
	const security = "/_plugins/_security/api/"
	writers, readers := tenantRoles(s.t)
	s.ask(http.MethodPut, security+"tenants/observability", `{"description":"logs"}`)
	clients := map[string]opensearch.Client{}
	for user, role := range map[string]string{"writer": writers, "reader": readers} {
		password := rand.Text()
		s.ask(http.MethodPut, security+"roles/"+user, roleForPrefix(role, s.prefix))
		s.ask(http.MethodPut, security+"internalusers/"+user, `{"password":"`+password+`","backend_roles":["arn:aws:iam::123456789012:role/`+user+`"]}`)
		s.ask(http.MethodPut, security+"rolesmapping/"+user, `{"backend_roles":["arn:aws:iam::123456789012:role/`+user+`"]}`)
		access := s.access()
		access.Username, access.Password = user, password
		client, err := opensearch.NewClient(access)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = client.Close() })
		clients[user] = client
	}
	s.ask(http.MethodPut, "/"+s.prefix+"-2026-01-15/_doc/1?refresh=true", `{"message":"found"}`)

	f := func(user, tenant, path, body, want string) {
		s.t.Helper()
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("securitytenant", tenant)
		resp, err := clients[user].Stream(req)
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		if text := fmt.Sprint(resp.StatusCode, " ", string(answer)); !strings.Contains(text, want) {
			s.t.Errorf("%s in %q: %s answers %s, want %s", user, tenant, path, text, want)
		}
	}
	const (
		write  = `{"index":{"_index":".kibana","_id":"dashboard:operations"}}` + "\n" + `{"type":"dashboard"}` + "\n"
		get    = `{"docs":[{"_index":".kibana","_id":"dashboard:operations"}]}`
		denied = "no permissions for"
	)
	f("writer", "observability", "/_bulk?refresh=true", write, `"status":201`)
	f("writer", "observability", "/_mget", get, `"found":true`)
	f("writer", "observability", "/.kibana/_search", "{}", "dashboard:operations")
	f("writer", "other", "/_bulk", write, denied)
	f("reader", "observability", "/_mget", get, `"found":true`)
	f("reader", "observability", "/.kibana/_search", "{}", "dashboard:operations")
	f("reader", "observability", "/_bulk", write, denied)
	f("reader", "observability", "/.kibana/_doc/x", "{}", denied)
	f("reader", "other", "/.kibana/_search", "{}", denied)
	f("reader", "observability", "/"+s.prefix+"-*/_search", "{}", "found")
	f("reader", "observability", "/_msearch", `{"index":"`+s.prefix+`-*"}`+"\n{}\n", "found")
	f("reader", "observability", "/"+s.prefix+"-*/_field_caps?fields=*", "", `"message"`)
	f("reader", "observability", "/"+s.prefix+"-2026-01-15/_doc/2", "{}", denied)
}
