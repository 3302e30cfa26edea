package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Policy, a policy of Index State Management: its comparison and installation, and the
// indices that it manages.

// ErrNoPolicies tells that a server is without Index State Management.
var ErrNoPolicies = errors.New("OpenSearch has no Index State Management")

// Policy is an Index State Management policy that is to be on a domain.
// See https://docs.opensearch.org/latest/im-plugin/ism/api/.
type Policy struct {
	client Client
	name   string
	wanted map[string]any
	// indices are the patterns of those that it is for.
	indices []string

	base  string // of the plugin's paths, as the server has them
	found *foundPolicy
}

// foundPolicy is a policy as a server has it.
type foundPolicy struct {
	version
	Policy map[string]any `json:"policy"`
}

// version tells one state of a document from those before and after.
type version struct {
	SeqNo       int64 `json:"_seq_no"`
	PrimaryTerm int64 `json:"_primary_term"`
}

// The paths of the plugin, that of OpenSearch first; Open Distro has the other.
var policyPaths = []string{"/_plugins/_ism", "/_opendistro/_ism"}

// ReadPolicy looks what a domain has of a policy, whose body is as for
// PUT _plugins/_ism/policies/NAME. The error is ErrNoPolicies where there can be none.
func ReadPolicy(ctx context.Context, client Client, name string, body []byte) (*Policy, error) {
	p := &Policy{client: client, name: name}
	var wanted struct{ Policy map[string]any }
	var templates struct {
		Policy struct {
			Templates []struct {
				Patterns []string `json:"index_patterns"`
			} `json:"ism_template"`
		}
	}
	if err := errors.Join(json.Unmarshal(body, &wanted), json.Unmarshal(body, &templates)); err != nil {
		return nil, fmt.Errorf("read policy %s: %w", name, err)
	}
	p.wanted = wanted.Policy
	for _, t := range templates.Policy.Templates {
		p.indices = append(p.indices, t.Patterns...)
	}
	return p, p.read(ctx)
}

func (p *Policy) read(ctx context.Context) error {
	var err error
	for _, p.base = range policyPaths {
		var found foundPolicy
		err = call(ctx, p.client, "read policy "+p.name, http.MethodGet, p.path(), nil, &found)
		switch {
		case err == nil:
			p.found = &found
			return nil
		case isUnknownPath(err):
			continue
		case HasStatus(err, http.StatusNotFound): // the policy, or the index of all
			p.found = nil
			return nil
		default:
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrNoPolicies, err)
}

func (p *Policy) path() string { return p.base + "/policies/" + p.name }

// isUnknownPath tells a path that a server does not know from a thing that it does not
// have: only that has a type of error.
func isUnknownPath(err error) bool {
	refused := HasStatus(err, http.StatusBadRequest) || HasStatus(err, http.StatusNotFound) || HasStatus(err, http.StatusMethodNotAllowed)
	return refused && CauseOf(err).Type == ""
}

// Changes lists what would have to change for the domain to have the policy. What
// the server adds to it, such as times, versions and defaults, is no change.
func (p *Policy) Changes() []string {
	if p.found == nil {
		return []string{Installed}
	}
	changes := changed("", p.found.Policy, p.wanted, false)
	slices.Sort(changes)
	return changes
}

// Install makes the changes and tells which. Where someone else is quicker, it looks
// once more what there is to change.
func (p *Policy) Install(ctx context.Context) ([]string, error) {
	changes := p.Changes()
	if len(changes) == 0 {
		return nil, nil
	}
	err := p.put(ctx)
	if HasStatus(err, http.StatusConflict) {
		if err := p.read(ctx); err != nil {
			return nil, err
		}
		if changes = p.Changes(); len(changes) == 0 {
			return nil, nil
		}
		err = p.put(ctx)
	}
	return changes, err
}

// put writes the policy over the one that was found, and over no other.
func (p *Policy) put(ctx context.Context) error {
	path, policy := p.path(), maps.Clone(p.wanted)
	if p.found != nil {
		path += fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", p.found.SeqNo, p.found.PrimaryTerm)
		// Whom failures are told to is for others to set.
		if n := p.found.Policy["error_notification"]; n != nil {
			policy["error_notification"] = n
		}
	}
	body, err := json.Marshal(map[string]any{"policy": policy})
	if err != nil {
		return fmt.Errorf("write policy %s: %w", p.name, err)
	}
	var written version
	if err := call(ctx, p.client, "install policy "+p.name, http.MethodPut, path, body, &written); err != nil {
		return err
	}
	p.found = &foundPolicy{version: written, Policy: policy}
	return nil
}

// Indices are indices that a policy is for, by name. An index keeps the form that the
// policy had when it was made or given the policy.
type Indices struct {
	// Without have no policy at all, Older an earlier form of this one, and Other have
	// another one.
	Without, Older, Other []string
}

// explained is what the plugin reports of an index.
type explained struct {
	PolicyID   *string `json:"index.plugins.index_state_management.policy_id"`
	OpenDistro *string `json:"index.opendistro.index_state_management.policy_id"`
	// Those of the form that the index runs, absent until the index had its first turn.
	SeqNo       *int64 `json:"policy_seq_no"`
	PrimaryTerm *int64 `json:"policy_primary_term"`
	// Policy is the form that it has, absent from the answers of servers before 1.3.
	Policy map[string]any `json:"policy"`
}

// explain returns what the plugin reports of the indices that the policy is for, by
// name. It fails as a whole where one that is named in full does not exist, so that
// such a name is asked for by itself.
func (p *Policy) explain(ctx context.Context) (map[string]explained, error) {
	var patterns, questions []string
	for _, index := range p.indices {
		if strings.Contains(index, "*") {
			patterns = append(patterns, index)
		} else {
			questions = append(questions, index)
		}
	}
	if patterns != nil {
		questions = append(questions, strings.Join(patterns, ","))
	}
	all := map[string]explained{}
	for _, indices := range questions {
		answer, err := p.ask(ctx, indices, "?show_policy=true")
		if HasStatus(err, http.StatusBadRequest) && strings.Contains(CauseOf(err).Reason, "unrecognized parameter") {
			answer, err = p.ask(ctx, indices, "")
		}
		if err != nil && !isNoIndex(err) {
			return nil, err
		}
		for name, raw := range answer {
			var index explained
			if err := json.Unmarshal(raw, &index); err != nil {
				return nil, fmt.Errorf("read the policy of %s: %w", name, err)
			}
			all[name] = index
		}
	}
	return all, nil
}

func (p *Policy) ask(ctx context.Context, indices, parameters string) (map[string]json.RawMessage, error) {
	var answer map[string]json.RawMessage
	err := call(ctx, p.client, "ask which indices have policy "+p.name, http.MethodGet, p.base+"/explain/"+indices+parameters, nil, &answer)
	delete(answer, "total_managed_indices")
	return answer, err
}

// isNoIndex reports whether the plugin has nothing to explain, as no index has such a
// name: for patterns it then asks itself for no documents, which OpenSearch refuses.
func isNoIndex(err error) bool {
	return HasStatus(err, http.StatusNotFound) ||
		HasStatus(err, http.StatusBadRequest) && strings.Contains(CauseOf(err).Reason, "no documents to get")
}

// Indices asks which indices are there that do not have the policy as it is to be.
// One that was told to take it does so within minutes, at its next turn.
func (p *Policy) Indices(ctx context.Context) (Indices, error) {
	answer, err := p.explain(ctx)
	if err != nil {
		return Indices{}, err
	}
	changes := len(p.Changes()) > 0
	var found Indices
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		index := answer[name]
		switch policy := cmp.Or(index.PolicyID, index.OpenDistro); {
		case policy == nil:
			found.Without = append(found.Without, name)
		case *policy != p.name:
			found.Other = append(found.Other, name)
		case changes, p.isOlder(index):
			found.Older = append(found.Older, name)
		}
	}
	return found, nil
}

// isOlder reports whether an index has an earlier form of the policy. Before its first
// turn an index does not report the version of its form; where it does not report the
// form either, it counts as older, since to give it the policy again does no harm.
func (p *Policy) isOlder(index explained) bool {
	if index.SeqNo != nil && index.PrimaryTerm != nil {
		return version{*index.SeqNo, *index.PrimaryTerm} != p.found.version
	}
	return len(changed("", index.Policy, p.wanted, false)) > 0
}

// Give has indices take the policy that are without it, or have an earlier form.
func (p *Policy) Give(ctx context.Context, indices Indices) error {
	err := errors.Join(p.give(ctx, "add", indices.Without), p.give(ctx, "change_policy", indices.Older))
	if err != nil || len(indices.Without) == 0 {
		return err
	}
	return p.await(ctx, indices.Without)
}

// The plugin finds what it was told after its index is refreshed, which is within a
// second.
const (
	awaitTries = 20
	awaitPause = 250 * time.Millisecond
)

// await waits until the plugin reports that indices have a policy, as a run that follows
// would give it to them once more.
func (p *Policy) await(ctx context.Context, names []string) error {
	for range awaitTries {
		found, err := p.Indices(ctx)
		if err != nil || !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(found.Without, name) }) {
			return err
		}
		select {
		case <-time.After(awaitPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *Policy) give(ctx context.Context, how string, indices []string) error {
	var refusals []error
	const some = 16 // a request's line is bounded to 4 KiB, a name to 255 B
	for names := range slices.Chunk(indices, some) {
		err := p.giveTo(ctx, how, names)
		// A change is refused for all where the user may not manage one of them.
		if HasStatus(err, http.StatusForbidden) && len(names) > 1 {
			err = nil
			for _, name := range names {
				err = errors.Join(err, p.giveTo(ctx, how, []string{name}))
			}
		}
		refusals = append(refusals, err)
	}
	return errors.Join(refusals...)
}

// giveTo has some indices take the policy, by one request.
func (p *Policy) giveTo(ctx context.Context, how string, names []string) error {
	body, err := json.Marshal(map[string]string{"policy_id": p.name})
	if err != nil {
		return fmt.Errorf("name policy %s: %w", p.name, err)
	}
	var answer struct {
		Updated int `json:"updated_indices"`
		Failed  []struct {
			Index  string `json:"index_name"`
			Reason string `json:"reason"`
		} `json:"failed_indices"`
	}
	path := p.base + "/" + how + "/" + strings.Join(names, ",")
	if err := call(ctx, p.client, "give policy "+p.name+" to indices", http.MethodPost, path, body, &answer); err != nil {
		return err
	}
	var refusals []error
	for _, f := range answer.Failed {
		// Another was quicker, or the plugin has not reported yet what it was told before.
		if !strings.Contains(f.Reason, "already has a policy") {
			refusals = append(refusals, fmt.Errorf("give policy %s to %s: %s", p.name, f.Index, f.Reason))
		}
	}
	// To add a policy passes over those that the user may not manage, in silence.
	if left := len(names) - answer.Updated - len(answer.Failed); left > 0 {
		refusals = append(refusals, fmt.Errorf("give policy %s to indices: OpenSearch passes over %d of %s, as if indices:admin/opensearch/ism/managedindex were not allowed", p.name, left, strings.Join(names, ", ")))
	}
	return errors.Join(refusals...)
}

// PoliciesOff reports whether Index State Management is switched off, and by which
// setting: the server then accepts policies, and does nothing by them.
// See https://docs.opensearch.org/latest/im-plugin/ism/settings/.
func PoliciesOff(ctx context.Context, client Client) (setting string, err error) {
	type plugin struct {
		Index struct{ Enabled string } `json:"index_state_management"`
	}
	type settings struct{ Plugins, Opendistro plugin }
	var answer struct{ Transient, Persistent, Defaults settings }
	path := "/_cluster/settings?include_defaults=true&filter_path=*.*.index_state_management.enabled"
	if err := call(ctx, client, "ask whether Index State Management is switched on", http.MethodGet, path, nil, &answer); err != nil {
		return "", err
	}
	const name = "plugins.index_state_management.enabled"
	const legacy = "opendistro.index_state_management.enabled" // counts where name is not set
	for _, s := range []struct{ setting, value string }{
		{name, answer.Transient.Plugins.Index.Enabled},
		{name, answer.Persistent.Plugins.Index.Enabled},
		{legacy, answer.Transient.Opendistro.Index.Enabled},
		{legacy, answer.Persistent.Opendistro.Index.Enabled},
		{name, answer.Defaults.Plugins.Index.Enabled}, // that of opensearch.yml too
		{legacy, answer.Defaults.Opendistro.Index.Enabled},
	} {
		switch s.value {
		case "":
		case "false":
			return s.setting, nil
		default:
			return "", nil
		}
	}
	return "", nil
}
