package fakedomain

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ISM is a fake of the Index State Management plugin of OpenSearch or Open Distro. Its responses
// follow those observed from index-management 3.8.0.0 and 3.4.0.0 and the sources of
// opensearch-project/index-management:
// RestIndexPolicyAction, TransportIndexPolicyAction, Policy, State, Action,
// TransportExplainAction, TransportAddPolicyAction, TransportChangePolicyAction,
// ManagedIndexRunner.
type ISM struct {
	record
	// Path begins the plugin's paths.
	Path string
	// Forbidden names an index that the user is not allowed to manage. Explain still reports
	// it, adding a policy skips it, and changing a policy fails for all indices.
	Forbidden string
	// Settings is the response to GET /_cluster/settings, nil for the plugin's defaults.
	Settings map[string]any
	// Before, if set, is called before each response.
	Before func(*http.Request)

	mu       sync.Mutex
	seqNo    int64
	policies map[string]document
	indices  map[string]*index
}

// document is a stored policy.
type document struct {
	seqNo  int64
	policy map[string]any
}

// clone returns a deep copy.
func (d document) clone() document {
	var policy map[string]any
	text, _ := json.Marshal(d.policy) // it was JSON
	_ = json.Unmarshal(text, &policy)
	return document{d.seqNo, policy}
}

// index is an index that can have a policy.
type index struct {
	policy string // "" for none
	// job is the version of the policy from when the index was created or got the policy.
	job document
	// running is set after the first turn.
	running bool
	// change is set if the newest version is to be adopted at the next turn.
	change bool
	// unseen is how often explain will still report the index without its policy: the plugin
	// finds a job by a search, after a refresh.
	unseen int
}

// Path of the plugin in OpenSearch.
const Path = "/_plugins/_ism/"

const primaryTerm = 1

// NewISM returns the plugin of OpenSearch without policies.
func NewISM() *ISM {
	return &ISM{Path: Path, policies: map[string]document{}, indices: map[string]*index{}}
}

// CreateIndex adds an index with a policy, unless that is "".
func (s *ISM) CreateIndex(name, policy string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indices[name] = &index{policy: policy, job: s.policies[policy].clone()}
}

// Turn processes each index once, as the plugin does every 5 minutes.
func (s *ISM) Turn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.indices {
		if found, ok := s.policies[i.policy]; ok && (i.job.policy == nil || i.change) {
			i.job, i.change = found.clone(), false
		}
		i.running = i.job.policy != nil
	}
}

// Policy returns a stored policy, or nil.
func (s *ISM) Policy(name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policies[name].policy
}

// ServeHTTP implements http.Handler.
func (s *ISM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	if s.Before != nil {
		s.Before(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	what, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, s.Path), "/")
	switch {
	case r.URL.Path == "/_cluster/settings":
		s.settings(w)
	case !strings.HasPrefix(r.URL.Path, s.Path):
		answer(w, http.StatusBadRequest, map[string]any{"error": fmt.Sprintf("no handler found for uri [%s] and method [%s]", r.URL, r.Method)})
	case r.Method == http.MethodGet && what == "policies":
		s.get(w, name)
	case r.Method == http.MethodPut && what == "policies":
		s.put(w, r, name)
	case r.Method == http.MethodGet && what == "explain":
		s.explain(w, r, name)
	case r.Method == http.MethodPost && (what == "add" || what == "change_policy"):
		s.assign(w, r, what, name)
	default:
		answer(w, http.StatusMethodNotAllowed, map[string]any{"error": "Incorrect HTTP method", "status": http.StatusMethodNotAllowed})
	}
}

func refuse(w http.ResponseWriter, status int, kind, reason string) {
	cause := map[string]any{"type": kind, "reason": reason}
	answer(w, status, map[string]any{"error": map[string]any{"root_cause": []any{cause}, "type": kind, "reason": reason}, "status": status})
}

func (s *ISM) get(w http.ResponseWriter, name string) {
	found, ok := s.policies[name]
	if !ok {
		refuse(w, http.StatusNotFound, "status_exception", "Policy not found")
		return
	}
	answer(w, http.StatusOK, map[string]any{"_id": name, "_version": 1, "_seq_no": found.seqNo, "_primary_term": primaryTerm, "policy": found.policy})
}

func (s *ISM) put(w http.ResponseWriter, r *http.Request, name string) {
	var body struct{ Policy map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "parsing_exception", err.Error())
		return
	}
	if err := complete(name, body.Policy); err != nil {
		refuse(w, http.StatusBadRequest, "illegal_argument_exception", err.Error())
		return
	}
	// With both parameters it updates that version of the document, otherwise it creates one.
	found, exists := s.policies[name]
	seqNo, err1 := strconv.ParseInt(r.FormValue("if_seq_no"), 10, 64)
	term, err2 := strconv.ParseInt(r.FormValue("if_primary_term"), 10, 64)
	isCreate := err1 != nil || err2 != nil
	if isCreate == exists || !isCreate && (seqNo != found.seqNo || term != primaryTerm) {
		refuse(w, http.StatusConflict, "version_conflict_engine_exception", "["+name+"]: version conflict")
		return
	}
	s.seqNo++
	s.policies[name] = document{s.seqNo, body.Policy}
	status := http.StatusOK
	if !exists {
		status = http.StatusCreated
	}
	answer(w, status, map[string]any{"_id": name, "_version": 1, "_seq_no": s.seqNo, "_primary_term": primaryTerm, "policy": map[string]any{"policy": body.Policy}})
}

// complete checks a policy, and adds the attributes that the plugin adds.
func complete(name string, policy map[string]any) error {
	known := []string{"policy_id", "description", "last_updated_time", "schema_version", "error_notification", "default_state", "states", "ism_template", "user"}
	for key := range policy {
		if !slices.Contains(known, key) {
			return fmt.Errorf("invalid field: [%s] found in Policy", key)
		}
	}
	policy["policy_id"] = name
	policy["schema_version"] = 21
	policy["last_updated_time"] = time.Now().UnixMilli()
	if _, has := policy["error_notification"]; !has {
		policy["error_notification"] = nil
	}
	states, _ := policy["states"].([]any)
	if len(states) == 0 {
		return errors.New("policy must contain at least one State")
	}
	for _, state := range states {
		state := state.(map[string]any)
		actions, _ := state["actions"].([]any)
		for _, action := range actions {
			action := action.(map[string]any)
			if _, has := action["retry"]; !has {
				action["retry"] = map[string]any{"count": 3, "backoff": "exponential", "delay": "1m"}
			}
			if rollover, ok := action["rollover"].(map[string]any); ok {
				rollover["copy_alias"] = false
			}
		}
	}
	templates, _ := policy["ism_template"].([]any)
	for _, template := range templates {
		template.(map[string]any)["last_updated_time"] = time.Now().UnixMilli()
	}
	return nil
}

// matching returns the indices that match patterns, in order.
func (s *ISM) matching(patterns string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.indices)) {
		for pattern := range strings.SplitSeq(patterns, ",") {
			if ok, _ := path.Match(pattern, name); ok {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

func (s *ISM) explain(w http.ResponseWriter, r *http.Request, patterns string) {
	showPolicy := r.FormValue("show_policy") == "true"
	if showPolicy && s.Path != Path { // Open Distro does not have it
		refuse(w, http.StatusBadRequest, "illegal_argument_exception", "request ["+r.URL.Path+"] contains unrecognized parameter: [show_policy]")
		return
	}
	// The plugin resolves indices strictly: one named in full must exist.
	for name := range strings.SplitSeq(patterns, ",") {
		if s.indices[name] == nil && !strings.Contains(name, "*") {
			refuse(w, http.StatusNotFound, "index_not_found_exception", "no such index ["+name+"]")
			return
		}
	}
	names := s.matching(patterns)
	if len(names) == 0 { // the plugin's multi-get without documents fails
		refuse(w, http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: no documents to get;")
		return
	}
	all, managed := map[string]any{}, 0
	for _, name := range names {
		i := s.indices[name]
		// Open Distro has one key, OpenSearch both.
		keys := []string{"index.opendistro.index_state_management.policy_id"}
		if s.Path == Path {
			keys = append(keys, "index.plugins.index_state_management.policy_id")
		}
		seen := i.policy != "" && i.unseen == 0
		i.unseen = max(0, i.unseen-1)
		explained := map[string]any{"enabled": nil}
		for _, key := range keys {
			explained[key] = nil
			if seen {
				explained[key] = i.policy
			}
		}
		if seen {
			managed++
			explained["index"], explained["policy_id"], explained["enabled"] = name, i.policy, true
			if i.running {
				explained["policy_seq_no"], explained["policy_primary_term"] = i.job.seqNo, primaryTerm
			}
			if showPolicy && i.job.policy != nil {
				explained["policy"] = i.job.policy
			}
		}
		all[name] = explained
	}
	all["total_managed_indices"] = managed
	answer(w, http.StatusOK, all)
}

func (s *ISM) settings(w http.ResponseWriter) {
	settings := s.Settings
	if settings == nil {
		settings = Enabled("defaults", "plugins", "true")
	}
	answer(w, http.StatusOK, settings)
}

// Enabled returns a response to GET /_cluster/settings with a value of the plugin's switch. The
// scope is for example persistent. The namespace is plugins, or opendistro in old versions.
func Enabled(scope, namespace, value string) map[string]any {
	return map[string]any{scope: map[string]any{namespace: map[string]any{"index_state_management": map[string]any{"enabled": value}}}}
}

func (s *ISM) assign(w http.ResponseWriter, r *http.Request, how, patterns string) {
	var body struct {
		PolicyID string `json:"policy_id"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	if _, ok := s.policies[body.PolicyID]; !ok {
		refuse(w, http.StatusNotFound, "status_exception", "Could not find policy="+body.PolicyID)
		return
	}
	updated, refused := 0, []any{}
	names := s.matching(patterns)
	if how == "change_policy" && slices.Contains(names, s.Forbidden) {
		refuse(w, http.StatusForbidden, "status_exception", "User doesn't have required index permissions on one or more requested indices: no permissions for [indices:admin/opensearch/ism/managedindex]")
		return
	}
	for _, name := range names {
		i := s.indices[name]
		switch {
		case name == s.Forbidden:
		case how == "add" && i.policy != "":
			refused = append(refused, map[string]any{"index_name": name, "index_uuid": "u", "reason": "This index already has a policy, use the update policy API to update index policies"})
		case how == "change_policy" && i.policy == "":
			refused = append(refused, map[string]any{"index_name": name, "index_uuid": "u", "reason": "This index is not being managed"})
		default:
			updated++
			if how == "add" {
				*i = index{policy: body.PolicyID, job: s.policies[body.PolicyID].clone(), unseen: 1}
			}
			i.change = how == "change_policy"
		}
	}
	answer(w, http.StatusOK, map[string]any{"updated_indices": updated, "failures": len(refused) > 0, "failed_indices": refused})
}
