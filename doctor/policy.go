package doctor

import (
	"context"
	"errors"
	"slices"

	"logsluice/domain"
)

// policy looks whether indices go when they are old.
func (w *walk) policy(ctx context.Context, f *Finding) {
	name := w.Mapper.Prefix()
	var changes []string
	err := bounded(ctx, func(ctx context.Context) error {
		policy, err := domain.ReadPolicy(ctx, w.Search, name, w.Policy)
		if err == nil {
			changes = policy.Changes()
		}
		return err
	})
	switch {
	case errors.Is(err, domain.ErrNoPolicies):
		f.warn("install its plugin opensearch-index-management, or have old indices deleted otherwise", "OpenSearch has no Index State Management")
	case err != nil:
		f.warn(w.permit(err, "cluster:admin/opendistro/ism/policy/get"), "policy %s cannot be read: %s", name, answered(err))
	case slices.Equal(changes, []string{domain.Installed}):
		f.warn(setUp+", or have old indices deleted otherwise: the disk fills", "there is no policy %s", name)
	case len(changes) > 0:
		f.warn(setUp+", with DELETE_AFTER and MERGE_AFTER as they are to be", "policy %s differs: %s", name, firstOf(changes))
	default:
		f.note("%s is in place", name)
	}
}
