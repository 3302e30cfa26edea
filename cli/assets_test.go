package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
	"logsluice/opensearch/assets"
)

// asset returns the output of an assets command.
func asset(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errOut := command(t, nil, nil, append([]string{"assets"}, args...)...)
	if code != exitOK || errOut != "" || !strings.HasSuffix(out, "\n") || strings.HasSuffix(out, "\n\n") {
		t.Fatalf("%s: exit %d, standard error %q, output\n%s", args, code, errOut, out)
	}
	return out
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return b.String()
}

// completed returns d with the prefix app, a timezone and, if it has no schema, the default one.
func completed(t *testing.T, d assets.Documents) assets.Documents {
	t.Helper()
	d.Naming.Prefix, d.Naming.Zone = "app", time.UTC
	if d.Schema == nil {
		s, err := schema.BuiltIn(schema.Default)
		if err != nil {
			t.Fatal(err)
		}
		d.Schema = s
	}
	return d
}

// The commands print what package assets makes from the same settings.
func TestAssets_Success(t *testing.T) {
	f := func(args string, d assets.Documents, made func(assets.Documents) ([]byte, error)) {
		t.Helper()
		want, err := made(completed(t, d))
		if err != nil {
			t.Fatal(err)
		}
		if got := compact(t, []byte(asset(t, strings.Fields(args+" --index-prefix=app")...))); got != compact(t, want) {
			t.Errorf("%s: got  %s\nwant %s", args, got, want)
		}
	}
	const day = 24 * time.Hour
	policy := func(deleteAfter, mergeAfter time.Duration) func(assets.Documents) ([]byte, error) {
		return func(d assets.Documents) ([]byte, error) { return d.Lifecycle(deleteAfter, mergeAfter) }
	}
	f("ism", assets.Documents{}, policy(30*day, 0))
	f("ism --delete-after=400d --merge-after=36h", assets.Documents{}, policy(400*day, 36*time.Hour))
	f("ism --delete-after=90d --index-date=%G-w%V", assets.Documents{Naming: schema.Naming{Date: "%G-w%V"}}, policy(90*day, 0))
	f("ism --data-stream", assets.Documents{Naming: schema.Naming{DataStream: true}}, policy(30*day, 0))

	template := func(d assets.Documents) ([]byte, error) {
		best, err := d.Template()
		return best.Bodies[0], err
	}
	f("template", assets.Documents{}, template)
	f("template --index-shards=3 --index-replicas=2 --index-refresh=5s --index-codec=zstd --index-sort=@timestamp:desc,level --data-stream",
		assets.Documents{Naming: schema.Naming{DataStream: true}, Index: assets.IndexSettings{Shards: 3, Replicas: "2", Refresh: 5 * time.Second, Codec: "zstd", Sort: []string{"@timestamp:desc", "level"}}}, template)

	g := func(args string, d assets.Documents) {
		t.Helper()
		objects, err := completed(t, d).SavedObjects()
		if err != nil {
			t.Fatal(err)
		}
		if got := asset(t, strings.Fields(args+" --index-prefix=app")...); got != string(bytes.Join(objects, []byte("\n")))+"\n" {
			t.Errorf("%s: got %s", args, got)
		}
	}
	g("dashboards", assets.Documents{})
	for _, name := range schema.BuiltIns() {
		s, err := schema.BuiltIn(name)
		if err != nil {
			t.Fatal(err)
		}
		g("dashboards --schema="+name, assets.Documents{Schema: s})
		g("dashboards --data-stream --schema="+name, assets.Documents{Naming: schema.Naming{DataStream: true}, Schema: s})
		if table := asset(t, "fields", "--schema="+name); table != s.Table() {
			t.Errorf("%s: table\n%s", name, table)
		}
	}
}
