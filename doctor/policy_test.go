package doctor

import "testing"

func TestPolicy(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), state State, found string, remedies ...string) {
		t.Helper()
		expect(t, name, checkLink(t, (*walk).policy, change).found, state, found, remedies...)
	}
	const (
		policy   = "GET /_plugins/_ism/policies/app"
		settings = "GET /_cluster/settings"
		noPolicy = `404 {"error":{"type":"status_exception","reason":"Policy not found"},"status":404}`
		noPlugin = `400 {"error":"no handler found for uri [/_plugins/_ism/policies/app] and method [GET]"}`
		off      = `200 {"persistent":{"plugins":{"index_state_management":{"enabled":"false"}}}}`
	)
	f("fine", nil, OK, "app is in place")
	f("no policy", answer(policy, noPolicy), Warning, "policy app does not exist", setUp+", or delete old indices in another way, before the disk is full")
	f("another policy", answer(policy, `200 {"policy":{"default_state":"closed","states":[{"name":"open"}]}}`), Warning,
		`policy app differs: default_state: "closed" → "open"`, setUp+", with the DELETE_AFTER and MERGE_AFTER that you want")
	f("no plugin", all(answer(policy, noPlugin), answer("GET /_opendistro/_ism/policies/app", noPlugin), answer(settings, off)), Warning,
		"OpenSearch has no Index State Management", "install its plugin opensearch-index-management")
	f("denied", all(answer(policy, forbidden), answer(settings, off)), Warning, "policy app cannot be read: OpenSearch answers 403: security_exception: no permissions for [x]",
		"allow cluster:admin/opendistro/ism/policy/get")
	f("unavailable", answer(policy, "503"), Warning, "policy app cannot be read: read policy app: OpenSearch answers 503 Service Unavailable", isHealthy)
	f("hangs", answer(policy, "hangs"), Warning, "policy app cannot be read: no answer in time", isHealthy)
	const isOff = "Index State Management is switched off (plugins.index_state_management.enabled is false): indices are not deleted"
	f("switched off", answer(settings, off), Warning, "app is in place; "+isOff, `switch it on: PUT /_cluster/settings {"persistent":{"plugins.index_state_management.enabled":true}}`)
	f("switched off, no policy", all(answer(settings, off), answer(policy, noPolicy)), Warning, "policy app does not exist; "+isOff, setUp, "switch it on")
	f("settings denied", answer(settings, forbidden), Warning, "app is in place; whether Index State Management is switched on cannot be checked: OpenSearch answers 403: …",
		"allow cluster:monitor/state, es:ESHttpGet for /_cluster/settings")
}
