package doctor

import (
	"context"
	"errors"
	"sync/atomic"

	"logsluice/opensearch"
)

// dashboards checks whether OpenSearch Dashboards answers and has the saved objects.
func (w *walk) dashboards(ctx context.Context, f *Finding) {
	var at atomic.Int32
	var version, state string
	err := bounded(ctx, func(ctx context.Context) (err error) {
		version, state, err = w.Dashboards.Status(staged(ctx, &at))
		return err
	})
	if found, remedy := w.DashboardsAccess.Exposed(); found != "" {
		defer f.warn(remedy, "%s", found)
	}
	var answer *opensearch.AnswerError
	switch {
	case errors.As(err, &answer) && isRefused(answer.Status):
		f.fail(w.DashboardsAccess.authRemedy(err, answer.Status), "%s", err)
		return
	case errors.As(err, &answer):
		f.fail("check that Dashboards runs; correct "+w.DashboardsAccess.Setting, "%s", err)
		return
	case err != nil && at.Load() == int32(requesting) && version == "" && !errors.Is(err, context.DeadlineExceeded):
		f.fail("correct "+w.DashboardsAccess.Setting, "the server at %s is not OpenSearch Dashboards: %s", w.DashboardsAccess.URL, reason(err))
		return
	case err != nil:
		found, remedy := w.DashboardsAccess.unreachable(err, stage(at.Load()))
		f.fail(remedy, "%s", found)
		return
	case version == "":
		f.fail("correct "+w.DashboardsAccess.Setting, "the server at %s is not OpenSearch Dashboards", w.DashboardsAccess.URL)
		return
	}
	f.note("%s is OpenSearch Dashboards %s", w.DashboardsAccess.URL, version)
	if state != "green" {
		f.warn("check the log of Dashboards, and its connection to OpenSearch", "its status is %s", state)
	}
	var objects []opensearch.SavedObject
	err = bounded(ctx, func(ctx context.Context) (err error) {
		objects, err = w.Dashboards.Compare(ctx, w.SavedObjects)
		return err
	})
	if err != nil {
		f.warn(permissionRemedy(err, "reading the saved objects"), "the saved objects cannot be read: %s", answered(err))
		return
	}
	var differ []string
	for _, o := range objects {
		if len(o.Changes) > 0 || o.Err != nil {
			differ = append(differ, o.Type+" "+o.ID)
		}
	}
	if len(differ) > 0 {
		f.warn(setUp, "%d of %d saved objects are missing or differ: %s", len(differ), len(objects), firstOf(differ))
		return
	}
	f.note("%d saved objects are in place", len(objects))
}
