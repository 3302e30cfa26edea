package doctor

import (
	"context"
	"errors"
	"slices"

	"logsluice/opensearch"
)

// policy checks whether old indices are deleted.
func (w *walk) policy(ctx context.Context, f *Finding) {
	name := w.Naming.Prefix
	var changes []string
	var concerns []Concern
	err := bounded(ctx, func(ctx context.Context) error {
		policy, err := opensearch.ReadPolicy(ctx, w.Search, name, w.Policy)
		if err == nil {
			changes = policy.Changes()
			concerns = PoliciesOff(ctx, w.Search)
		}
		return err
	})
	switch {
	case errors.Is(err, opensearch.ErrNoPolicies):
		f.warn("install its plugin opensearch-index-management, or delete old indices in another way", "OpenSearch has no Index State Management")
	case err != nil:
		f.warn(permissionRemedy(err, "cluster:admin/opendistro/ism/policy/get"), "policy %s cannot be read: %s", name, answered(err))
	case slices.Equal(changes, []string{opensearch.Installed}):
		f.warn(setUp+", or delete old indices in another way, before the disk is full", "policy %s does not exist", name)
	case len(changes) > 0:
		f.warn(setUp+", with the DELETE_AFTER and MERGE_AFTER that you want", "policy %s differs: %s", name, firstOf(changes))
	default:
		f.note("%s is in place", name)
	}
	f.reportConcerns(concerns)
}

// PoliciesOff returns a concern if lifecycle policies are switched off, or if that cannot be
// found out.
func PoliciesOff(ctx context.Context, client opensearch.Client) []Concern {
	setting, err := opensearch.PoliciesOff(ctx, client)
	switch {
	case err != nil:
		return []Concern{{NotChecked, "whether Index State Management is switched on cannot be checked: " + answered(err), permissionRemedy(err, "cluster:monitor/state, es:ESHttpGet for /_cluster/settings")}}
	case setting != "":
		return []Concern{{NothingDeleted, "Index State Management is switched off (" + setting + " is false): indices are not deleted",
			`switch it on: PUT /_cluster/settings {"persistent":{"` + setting + `":true}}`}}
	}
	return nil
}
