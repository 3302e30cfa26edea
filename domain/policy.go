package domain

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
)

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

// Indices are indices that a policy is for, by name: a policy is given to an index
// when that is made, in the form it has then.
type Indices struct {
	// Without have no policy at all, Older an earlier form of this one, and Other have
	// another one.
	Without, Older, Other []string
}

// explain returns what the plugin reports of the indices that the policy is for, by
// name. It fails as a whole where one that is named in full does not exist, so that
// such a name is asked for by itself.
func (p *Policy) explain(ctx context.Context) (map[string]json.RawMessage, error) {
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
	all := map[string]json.RawMessage{}
	for _, indices := range questions {
		var answer map[string]json.RawMessage
		err := call(ctx, p.client, "ask which indices have policy "+p.name, http.MethodGet, p.base+"/explain/"+indices, nil, &answer)
		if err != nil && !HasStatus(err, http.StatusNotFound) {
			return nil, err
		}
		maps.Copy(all, answer)
	}
	delete(all, "total_managed_indices")
	return all, nil
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
		var index struct {
			Policy     *string `json:"index.plugins.index_state_management.policy_id"`
			OpenDistro *string `json:"index.opendistro.index_state_management.policy_id"`
			// Absent until the index had its first turn.
			SeqNo       *int64 `json:"policy_seq_no"`
			PrimaryTerm *int64 `json:"policy_primary_term"`
		}
		if err := json.Unmarshal(answer[name], &index); err != nil {
			return Indices{}, fmt.Errorf("read the policy of %s: %w", name, err)
		}
		switch policy := cmp.Or(index.Policy, index.OpenDistro); {
		case policy == nil:
			found.Without = append(found.Without, name)
		case *policy != p.name:
			found.Other = append(found.Other, name)
		case changes, p.isOlder(index.SeqNo, index.PrimaryTerm):
			found.Older = append(found.Older, name)
		}
	}
	return found, nil
}

func (p *Policy) isOlder(seqNo, primaryTerm *int64) bool {
	return seqNo != nil && primaryTerm != nil && version{*seqNo, *primaryTerm} != p.found.version
}

// Give has indices take the policy that are without it, or have an earlier form.
func (p *Policy) Give(ctx context.Context, indices Indices) error {
	return errors.Join(p.give(ctx, "add", indices.Without), p.give(ctx, "change_policy", indices.Older))
}

func (p *Policy) give(ctx context.Context, how string, indices []string) error {
	body, err := json.Marshal(map[string]string{"policy_id": p.name})
	if err != nil {
		return fmt.Errorf("name policy %s: %w", p.name, err)
	}
	var refusals []error
	const some = 16 // a request's line is bounded to 4 KiB, a name to 255 B
	for names := range slices.Chunk(indices, some) {
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
		for _, f := range answer.Failed {
			refusals = append(refusals, fmt.Errorf("give policy %s to %s: %s", p.name, f.Index, f.Reason))
		}
		// Those that the user may not manage are passed over in silence.
		if left := len(names) - answer.Updated - len(answer.Failed); left > 0 {
			refusals = append(refusals, fmt.Errorf("give policy %s to indices: OpenSearch passes over %d of %s, as if indices:admin/opensearch/ism/managedindex were not allowed", p.name, left, strings.Join(names, ", ")))
		}
	}
	return errors.Join(refusals...)
}
