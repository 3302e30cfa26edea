package assets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
)

// policy has the members that Index State Management accepts; it refuses others.
type policy struct {
	Policy struct {
		Description  string `json:"description"`
		DefaultState string `json:"default_state"`
		States       []struct {
			Name        string                       `json:"name"`
			Actions     []map[string]json.RawMessage `json:"actions"`
			Transitions []struct {
				State      string `json:"state_name"`
				Conditions struct {
					Age         string `json:"min_index_age,omitempty"`
					RolloverAge string `json:"min_rollover_age,omitempty"`
				} `json:"conditions"`
			} `json:"transitions"`
		} `json:"states"`
		Template []struct {
			Patterns []string `json:"index_patterns"`
			Priority int      `json:"priority"`
		} `json:"ism_template"`
	} `json:"policy"`
}

func mustPolicy(t *testing.T, d Documents, deleteAfter, mergeAfter time.Duration) policy {
	t.Helper()
	data, err := completed(t, d).Lifecycle(deleteAfter, mergeAfter)
	if err != nil {
		t.Fatal(err)
	}
	var p policy
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return p
}

// brief returns an index's path through a policy.
func (p policy) brief(t *testing.T) string {
	t.Helper()
	var way []string
	for i, s := range p.Policy.States {
		text := s.Name
		for _, a := range s.Actions {
			for name, parameters := range a {
				if name != "retry" {
					text += fmt.Sprintf(" %s%s", name, strings.NewReplacer(" ", "", "\n", "").Replace(string(parameters)))
				}
			}
			if len(a) != 2 {
				t.Errorf("%s: an action has %d members, want one and its retry", s.Name, len(a))
			}
		}
		last := i == len(p.Policy.States)-1
		switch {
		case last && len(s.Transitions) == 0:
		case last || len(s.Transitions) != 1 || s.Transitions[0].State != p.Policy.States[i+1].Name:
			t.Errorf("%s: transitions %v", s.Name, s.Transitions)
		default:
			c := s.Transitions[0].Conditions
			if c.Age != "" && c.RolloverAge != "" {
				t.Errorf("%s: a transition with two conditions", s.Name)
			}
			if c.RolloverAge != "" {
				c.RolloverAge += " after rollover"
			}
			text += ", " + c.Age + c.RolloverAge
		}
		way = append(way, text)
	}
	if p.Policy.DefaultState != p.Policy.States[0].Name {
		t.Errorf("the default state is %s", p.Policy.DefaultState)
	}
	return strings.Join(way, "; ")
}

func TestLifecycle_Success(t *testing.T) {
	const days = 24 * time.Hour
	f := func(d Documents, deleteAfter, mergeAfter time.Duration, want string) {
		t.Helper()
		if got := mustPolicy(t, d, deleteAfter, mergeAfter).brief(t); got != want {
			t.Errorf("%+v: got  %s\nwant %s", d, got, want)
		}
	}
	f(Documents{}, 30*days, 0, "hot, 31d; delete delete{}")
	f(Documents{}, 30*days, 2*days, `hot, 3d; merged force_merge{"max_num_segments":1} read_write{}, 31d; delete delete{}`)
	f(Documents{}, 36*time.Hour+time.Minute, 0, "hot, 61h; delete delete{}")
	f(Documents{Naming: schema.Naming{Date: "%Y-%m-%d-%H"}}, 30*days, 0, "hot, 721h; delete delete{}")
	f(Documents{Naming: schema.Naming{Date: "%Y.%j"}}, 30*days, 0, "hot, 31d; delete delete{}")
	f(Documents{Naming: schema.Naming{Date: "%G-w%V"}}, 30*days, 0, "hot, 37d; delete delete{}")
	f(Documents{Naming: schema.Naming{Date: "%Y-%m"}}, 30*days, 0, "hot, 61d; delete delete{}")
	f(Documents{Naming: schema.Naming{DataStream: true}}, 30*days, 0, `hot rollover{"min_index_age":"1d","min_primary_shard_size":"30gb"}, 30d after rollover; delete delete{}`)
	f(Documents{Naming: schema.Naming{DataStream: true}}, 30*days, 2*days, `hot rollover{"min_index_age":"1d","min_primary_shard_size":"30gb"}, 2d after rollover; `+
		`merged force_merge{"max_num_segments":1} read_write{}, 30d after rollover; delete delete{}`)
}

// The policy applies to the indices of documents and to no others.
func TestLifecyclePatterns(t *testing.T) {
	f := func(d Documents, others ...string) {
		t.Helper()
		d = completed(t, d)
		template := mustPolicy(t, d, 24*time.Hour, 0).Policy.Template[0]
		covers := func(index string) bool {
			return slices.ContainsFunc(template.Patterns, func(pattern string) bool {
				matches, err := filepath.Match(pattern, index)
				if err != nil {
					t.Fatal(err)
				}
				return matches
			})
		}
		for _, at := range []time.Time{time.Unix(0, 0), time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(9999, 1, 2, 0, 0, 0, 0, time.UTC)} {
			for _, index := range d.Naming.Indices(at) {
				if !covers(index) {
					t.Errorf("%s is not covered by %v", index, template.Patterns)
				}
			}
		}
		for _, index := range others {
			if covers(index) {
				t.Errorf("%s is covered by %v", index, template.Patterns)
			}
		}
		if template.Priority != d.template(schema.FullText, defaultCodec)["priority"] {
			t.Errorf("priority %d differs from the index template's", template.Priority)
		}
	}
	f(Documents{}, "app-dead-letter", "app-outside-2026-12-31", "app-outside-web-dead-letter", "app-web-2026-12-31", "app", "apps-2026-12-31")
	f(Documents{Naming: schema.Naming{Date: "%d.%m.%Y"}}, "app-dead-letter", "app-web-31.12.2026")
	f(Documents{Naming: schema.Naming{Date: "day-%Y-%m-%d"}}, "app-dead-letter", "app-2026-12-31")
	f(Documents{Naming: schema.Naming{Date: "%G-w%V"}}, "app-dead-letter")
	f(Documents{Naming: schema.Naming{DataStream: true}}, "app-dead-letter", "app-outside", "app-2026-12-31")
}

// A period is the longest time in which an index receives documents of new times.
func TestPeriod(t *testing.T) {
	f := func(date string) {
		t.Helper()
		n := schema.Naming{Prefix: "app", Date: date}
		var longest time.Duration
		from, name := time.Time{}, ""
		// Ten years, with some of 366 days and some of 53 weeks.
		for at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2010; at = at.Add(time.Hour) {
			if now := string(n.AppendDate(nil, at)); now != name {
				from, name = at, now
			}
			longest = max(longest, at.Add(time.Hour).Sub(from))
		}
		if period(date) != longest {
			t.Errorf("%s: %s, want %s", date, period(date), longest)
		}
	}
	f("%Y-%m-%d-%H")
	f("%Y-%j-%H")
	f("%Y-%m-%d")
	f("%Y-%j")
	f("%G-w%V")
	f("%Y-%m")
	f("%Y")
	f("%G")
}
