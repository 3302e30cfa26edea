package assets

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
)

// The lifecycle policy, which deletes old indices.

const day = 24 * time.Hour

// state is a state of a policy. Its actions are performed on an index that enters it.
// Then the index waits for a transition.
type state struct {
	Name        string           `json:"name"`
	Actions     []map[string]any `json:"actions"`
	Transitions []transition     `json:"transitions"`
}

type transition struct {
	State string `json:"state_name"`
	// Conditions has one member: OpenSearch refuses policies with more.
	Conditions map[string]string `json:"conditions"`
}

// Lifecycle returns the Index State Management policy of the documents' indices. An index
// is deleted when its newest document is deleteAfter old. Its segments are merged when that
// document is mergeAfter old, unless mergeAfter is 0. Both are an hour or more, and
// mergeAfter is less than deleteAfter. PREFIX-outside has no date: its age counts from its
// creation. A data stream is rolled over daily.
// See https://docs.opensearch.org/latest/im-plugin/ism/policies/.
func (d Documents) Lifecycle(deleteAfter, mergeAfter time.Duration) ([]byte, error) {
	// The age of an index counts from its creation, when its period may just have
	// started.
	age, more := "min_index_age", period(d.Naming.DatePattern())
	hot := state{Name: "hot", Actions: []map[string]any{}}
	if d.Naming.DataStream {
		age, more = "min_rollover_age", 0
		hot.Actions = append(hot.Actions, action("rollover", map[string]any{"min_index_age": "1d", "min_primary_shard_size": "30gb"}))
	}
	states := []state{hot}
	then := func(name string, after time.Duration, actions ...map[string]any) {
		states[len(states)-1].Transitions = []transition{{name, map[string]string{age: inHours(after + more)}}}
		states = append(states, state{name, actions, []transition{}})
	}
	if mergeAfter > 0 {
		// force_merge leaves a write block, which would turn late events into dead
		// letters.
		// See https://github.com/opendistro-for-elasticsearch/index-management/pull/79.
		then("merged", mergeAfter, action("force_merge", map[string]any{"max_num_segments": 1}), action("read_write", map[string]any{}))
	}
	then("delete", deleteAfter, action("delete", map[string]any{}))
	policy, err := json.MarshalIndent(map[string]any{"policy": map[string]any{
		"description": fmt.Sprintf("logsluice: deletes the indices of %[1]s when their newest document is %[2]s old, and keeps the dead letters in %[3]s",
			d.Naming.Prefix, inHours(deleteAfter), deadletter.Index(d.Naming.Prefix)),
		"default_state": hot.Name,
		"states":        states,
		"ism_template":  []any{map[string]any{"index_patterns": patterns(d.Naming), "priority": d.priority()}},
	}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the policy: %w", err)
	}
	return policy, nil
}

// action returns an action that is retried for hours. If an action fails permanently, its
// index remains forever.
func action(name string, parameters map[string]any) map[string]any {
	return map[string]any{name: parameters, "retry": map[string]any{"count": 10, "backoff": "exponential", "delay": "1m"}}
}

// period returns the longest time that one index covers, by the date pattern of its name,
// disregarding clock changes.
func period(date string) time.Duration {
	for _, p := range []struct {
		part   string
		length time.Duration
	}{{"%H", time.Hour}, {"%d", day}, {"%j", day}, {"%V", 7 * day}, {"%m", 31 * day}, {"%Y", 366 * day}} {
		if strings.Contains(date, p.part) {
			return p.length
		}
	}
	const year = 53 * 7 * day // for %G
	return year
}

// patterns returns patterns for the indices of documents that do not match the
// dead-letter index. A policy cannot exclude indices: most releases accept such a pattern
// but ignore it. Each part of a date begins with a digit.
// See https://github.com/opensearch-project/index-management/issues/375.
func patterns(n schema.Naming) []string {
	if n.DataStream {
		return []string{n.Base()}
	}
	literal, _, _ := strings.Cut(n.DatePattern(), "%")
	var patterns []string
	for first := range 10 {
		patterns = append(patterns, n.Base()+literal+strconv.Itoa(first)+"*")
	}
	return append(patterns, n.Outside())
}

// inHours formats a duration for OpenSearch, in days if it is a multiple of a day. It
// rounds up.
func inHours(d time.Duration) string {
	if d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return strconv.FormatInt(int64((d+time.Hour-1)/time.Hour), 10) + "h"
}
