package doctor

import (
	"strings"
	"testing"
)

func TestDashboards(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), state State, found string, remedies ...string) {
		t.Helper()
		expect(t, name, checkLink(t, (*walk).dashboards, change).found, state, found, remedies...)
	}
	const (
		status  = "GET /api/status"
		objects = "POST /api/saved_objects/_bulk_get"
		version = "http://localhost:5601 is OpenSearch Dashboards 3.8.0"
		correct = "correct DASHBOARDS_URL (--dashboards-url)"
		runs    = "check that Dashboards runs; correct DASHBOARDS_URL (--dashboards-url)"
	)
	answer := func(asked, answer string) func(*chain) {
		return func(c *chain) { c.dashboards.answers[asked] = answer }
	}
	exposed := func(c *chain) {
		c.DashboardsAccess.URL, c.DashboardsAccess.HasPassword = "http://dashboards.example.com", true
	}
	const inClear = "; the password is sent unencrypted to http://dashboards.example.com"
	f("fine", nil, OK, version+"; 2 saved objects are in place")
	f("yellow", answer(status, strings.Replace(dashboardsAnswers[status], "green", "yellow", 1)), Warning, version+"; its status is yellow; 2 saved objects are in place", "check the log of Dashboards")
	f("password in the clear", exposed, Warning, "http://dashboards.example.com is …; 2 saved objects are in place"+inClear, "use https:// in DASHBOARDS_URL (--dashboards-url)")
	f("unauthorized, in the clear", all(exposed, answer(status, "401 no")), Broken, "read the status: OpenSearch Dashboards answers 401 Unauthorized: no"+inClear, giveUser, "use https:// in DASHBOARDS_URL")
	f("forbidden", answer(status, "403 no"), Broken, "read the status: OpenSearch Dashboards answers 403 Forbidden: no", giveRole)
	f("forbidden, Serverless", all(answer(status, "403 no"), func(c *chain) { c.DashboardsAccess.SigningService = "aoss" }), Broken, "…403 Forbidden: no", "give the ARN of these credentials a data access policy")
	f("starting", answer(status, "503 not ready yet"), Broken, "read the status: OpenSearch Dashboards answers 503 Service Unavailable: not ready yet", runs)
	f("not found", answer(status, "404 no"), Broken, "read the status: OpenSearch Dashboards answers 404 Not Found: no", runs)
	f("another server", answer(status, "200 <html>"), Broken, "the server at http://localhost:5601 is not OpenSearch Dashboards: invalid character '<' looking for beginning of value", correct)
	f("another server with JSON", answer(status, `200 {"status":{"overall":{"level":"available"}}}`), Broken, "the server at http://localhost:5601 is not OpenSearch Dashboards", correct)
	f("nothing there", answer(status, "refused"), Broken, "http://localhost:5601 cannot be connected to (TCP): dial tcp: connection refused", "check that it is running")
	f("hangs", answer(status, "hangs"), Broken, "http://localhost:5601 accepts connections but does not answer in time", "check its load")
	f("TLS hangs", answer(status, "TLS hangs"), Broken, "TLS: the handshake with http://localhost:5601 fails: no answer in time", "check that DASHBOARDS_URL")

	f("object missing", answer(objects, `200 {"saved_objects":[`+searchObject+`,{"type":"index-pattern","id":"app","error":{"statusCode":404}}]}`), Warning,
		version+"; 1 of 2 saved objects are missing or differ: index-pattern app", setUp)
	f("object changed", answer(objects, `200 {"saved_objects":[`+strings.Replace(searchObject, "lines", "other", 2)+`,`+patternObject+`]}`), Warning, version+"; 1 of 2 saved objects are missing or differ: search app-lines", setUp)
	f("objects unreadable", answer(objects, `200 {"saved_objects":[{"type":"search","id":"app-lines","error":{"statusCode":400}}]}`), Warning,
		version+"; 2 of 2 saved objects are missing or differ: search app-lines, index-pattern app", setUp)
	f("objects denied", answer(objects, forbidden), Warning, version+"; the saved objects cannot be read: OpenSearch answers 403: security_exception: no permissions for [x]", "allow reading the saved objects")
	f("objects hang", answer(objects, "hangs"), Warning, version+"; the saved objects cannot be read: no answer in time", isHealthy)
}
