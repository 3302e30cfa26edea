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

// Policies of Index State Management: comparing and installing them, and the indices that
// they manage.

// ErrNoPolicies is returned when a server does not have Index State Management.
var ErrNoPolicies = errors.New("OpenSearch has no Index State Management")

// Policy is an Index State Management policy to be installed on a domain.
// See https://docs.opensearch.org/latest/im-plugin/ism/api/.
type Policy struct {
	client Client
	name   string
	wanted map[string]any
	// indices are the patterns of the indices to which the policy applies.
	indices []string

	base  string // prefix of the plugin's paths on this server
	found *foundPolicy
}

// foundPolicy is a policy as the server returns it.
type foundPolicy struct {
	version
	Policy map[string]any `json:"policy"`
}

// version identifies one version of a document.
type version struct {
	SeqNo       int64 `json:"_seq_no"`
	PrimaryTerm int64 `json:"_primary_term"`
}

// policyPaths are the paths of the plugin in OpenSearch and in Open Distro.
var policyPaths = []string{"/_plugins/_ism", "/_opendistro/_ism"}

// ReadPolicy reads the domain's version of a policy. body is the wanted policy as for PUT
// _plugins/_ism/policies/NAME. The error is ErrNoPolicies if the domain does not support
// policies.
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
		case HasStatus(err, http.StatusNotFound): // neither the policy nor the index of all policies exists
			p.found = nil
			return nil
		default:
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrNoPolicies, err)
}

func (p *Policy) path() string { return p.base + "/policies/" + p.name }

// isUnknownPath reports whether the server does not support the path. If only the object
// at the path is missing, the error has a type.
func isUnknownPath(err error) bool {
	refused := HasStatus(err, http.StatusBadRequest) || HasStatus(err, http.StatusNotFound) || HasStatus(err, http.StatusMethodNotAllowed)
	return refused && CauseOf(err).Type == ""
}

// Changes returns what must change for the domain to have the policy. Members that the
// server adds, such as times, versions and defaults, do not count.
func (p *Policy) Changes() []string {
	if p.found == nil {
		return []string{Installed}
	}
	changes := diff("", p.found.Policy, p.wanted, false)
	slices.Sort(changes)
	return changes
}

// Install makes the changes and returns them. If another client changed the policy
// concurrently, it compares again.
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

// put replaces the policy only if it is still the version that was read.
func (p *Policy) put(ctx context.Context) error {
	path, policy := p.path(), maps.Clone(p.wanted)
	if p.found != nil {
		path += fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", p.found.SeqNo, p.found.PrimaryTerm)
		// Keep the recipient of failures, which others configure.
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

// Indices are indices that a policy is for, by name. An index keeps the version that the
// policy had when it was attached.
type Indices struct {
	// Without have no policy, Older have an earlier version of this one, and Other have
	// another policy.
	Without, Older, Other []string
}

// explanation is what the plugin reports about an index.
type explanation struct {
	PolicyID   *string `json:"index.plugins.index_state_management.policy_id"`
	OpenDistro *string `json:"index.opendistro.index_state_management.policy_id"`
	// The version that the index runs. They are absent until the plugin first processed
	// the index.
	SeqNo       *int64 `json:"policy_seq_no"`
	PrimaryTerm *int64 `json:"policy_primary_term"`
	// Policy is the index's policy. Servers before 1.3 do not return it.
	Policy map[string]any `json:"policy"`
}

// explain returns what the plugin reports about the indices that the policy is for, by
// name. A request fails as a whole if an index given by its full name does not exist, so
// such names are requested separately.
func (p *Policy) explain(ctx context.Context) (map[string]explanation, error) {
	var patterns, requests []string
	for _, index := range p.indices {
		if strings.Contains(index, "*") {
			patterns = append(patterns, index)
		} else {
			requests = append(requests, index)
		}
	}
	if patterns != nil {
		requests = append(requests, strings.Join(patterns, ","))
	}
	all := map[string]explanation{}
	for _, indices := range requests {
		answer, err := p.readExplanations(ctx, indices, "?show_policy=true")
		if HasStatus(err, http.StatusBadRequest) && strings.Contains(CauseOf(err).Reason, "unrecognized parameter") {
			answer, err = p.readExplanations(ctx, indices, "")
		}
		if err != nil && !isNoIndex(err) {
			return nil, err
		}
		for name, raw := range answer {
			var index explanation
			if err := json.Unmarshal(raw, &index); err != nil {
				return nil, fmt.Errorf("read the policy of %s: %w", name, err)
			}
			all[name] = index
		}
	}
	return all, nil
}

func (p *Policy) readExplanations(ctx context.Context, indices, parameters string) (map[string]json.RawMessage, error) {
	var answer map[string]json.RawMessage
	err := call(ctx, p.client, "read which indices have policy "+p.name, http.MethodGet, p.base+"/explain/"+indices+parameters, nil, &answer)
	delete(answer, "total_managed_indices")
	return answer, err
}

// isNoIndex reports whether an error means that no index matches. For patterns the plugin
// then queries OpenSearch for zero documents, which OpenSearch refuses.
func isNoIndex(err error) bool {
	return HasStatus(err, http.StatusNotFound) ||
		HasStatus(err, http.StatusBadRequest) && strings.Contains(CauseOf(err).Reason, "no documents to get")
}

// Indices returns the existing indices that do not have the wanted policy. An index to
// which it was attached has it within minutes, when the plugin next processes the index.
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

// isOlder reports whether an index has an earlier version of the policy. The plugin does
// not report the version before it first processed the index, and some servers do not
// report the policy either. Such an index counts as older, because attaching the policy
// again does no harm.
func (p *Policy) isOlder(index explanation) bool {
	if index.SeqNo != nil && index.PrimaryTerm != nil {
		return version{*index.SeqNo, *index.PrimaryTerm} != p.found.version
	}
	return len(diff("", index.Policy, p.wanted, false)) > 0
}

// Attach attaches the policy to indices that have none or an earlier version.
func (p *Policy) Attach(ctx context.Context, indices Indices) error {
	err := errors.Join(p.attach(ctx, "add", indices.Without), p.attach(ctx, "change_policy", indices.Older))
	if err != nil || len(indices.Without) == 0 {
		return err
	}
	return p.await(ctx, indices.Without)
}

// The plugin finds a new attachment after its index is refreshed, which takes up to a
// second.
const (
	awaitTries = 20
	awaitPause = 250 * time.Millisecond
)

// await waits until the plugin reports that the indices have a policy. Otherwise a
// following run would attach it again.
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

func (p *Policy) attach(ctx context.Context, how string, indices []string) error {
	var refusals []error
	const some = 16 // a request line is limited to 4 KiB, a name to 255 B
	for names := range slices.Chunk(indices, some) {
		err := p.attachTo(ctx, how, names)
		// A change is refused for all indices if the user may not manage one of them.
		if HasStatus(err, http.StatusForbidden) && len(names) > 1 {
			err = nil
			for _, name := range names {
				err = errors.Join(err, p.attachTo(ctx, how, []string{name}))
			}
		}
		refusals = append(refusals, err)
	}
	return errors.Join(refusals...)
}

// attachTo attaches the policy to some indices by one request.
func (p *Policy) attachTo(ctx context.Context, how string, names []string) error {
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
	if err := call(ctx, p.client, "attach policy "+p.name+" to indices", http.MethodPost, path, body, &answer); err != nil {
		return err
	}
	var refusals []error
	for _, f := range answer.Failed {
		// Another client was faster, or the plugin has not reported an earlier attachment
		// yet.
		if !strings.Contains(f.Reason, "already has a policy") {
			refusals = append(refusals, fmt.Errorf("attach policy %s to %s: %s", p.name, f.Index, f.Reason))
		}
	}
	// When adding a policy, the plugin silently skips indices that the user may not
	// manage.
	if left := len(names) - answer.Updated - len(answer.Failed); left > 0 {
		refusals = append(refusals, fmt.Errorf("attach policy %s to indices: OpenSearch skipped %d of %s: allow indices:admin/opensearch/ism/managedindex", p.name, left, strings.Join(names, ", ")))
	}
	return errors.Join(refusals...)
}

// PoliciesOff returns the setting that disables Index State Management, or "" if it is
// enabled. While it is disabled, the server accepts policies but does not apply them.
// See https://docs.opensearch.org/latest/im-plugin/ism/settings/.
func PoliciesOff(ctx context.Context, client Client) (setting string, err error) {
	type plugin struct {
		Index struct{ Enabled string } `json:"index_state_management"`
	}
	type settings struct{ Plugins, Opendistro plugin }
	var answer struct{ Transient, Persistent, Defaults settings }
	path := "/_cluster/settings?include_defaults=true&filter_path=*.*.index_state_management.enabled"
	if err := call(ctx, client, "read whether Index State Management is switched on", http.MethodGet, path, nil, &answer); err != nil {
		return "", err
	}
	const name = "plugins.index_state_management.enabled"
	const legacy = "opendistro.index_state_management.enabled" // used if name is not set
	for _, s := range []struct{ setting, value string }{
		{name, answer.Transient.Plugins.Index.Enabled},
		{name, answer.Persistent.Plugins.Index.Enabled},
		{legacy, answer.Transient.Opendistro.Index.Enabled},
		{legacy, answer.Persistent.Opendistro.Index.Enabled},
		{name, answer.Defaults.Plugins.Index.Enabled}, // includes opensearch.yml
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
