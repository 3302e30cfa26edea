package doctor

import (
	"context"
	"errors"
	"slices"
	"time"

	"logsluice/opensearch"
)

const setUp = "run logsluice setup"

// templates checks whether the index templates are in place, and whether the current index has
// the fields.
func (w *walk) templates(ctx context.Context, f *Finding) {
	concerns, err := w.concerns(ctx)
	if w.refused != "" { // run neither installs templates nor creates indices
		f.reportConcerns(concerns)
		return
	}
	for _, t := range w.Templates {
		var changes []string
		err := bounded(ctx, func(ctx context.Context) (err error) {
			changes, err = opensearch.TemplateChanges(ctx, w.Search, t)
			return err
		})
		switch {
		case err != nil:
			f.fail(permissionRemedy(err, "indices:admin/index_template/get and put")+": nothing is read without the templates", "template %s cannot be read: %s", t.Name, answered(err))
		case slices.Equal(changes, []string{opensearch.Installed}):
			f.warn(setUp+", or start run, which installs it", "template %s does not exist", t.Name)
		case len(changes) > 0:
			f.warn(setUp+", or restart run, which restores it", "template %s differs: %s", t.Name, firstOf(changes))
		default:
			f.note("%s is in place", t.Name)
		}
	}
	if err != nil {
		f.warn("check the domain's health, and try again", "names and other index templates cannot be checked: %s", answered(err))
	}
	f.reportConcerns(concerns)
	now := w.Naming.Indices(time.Now())
	index := now[len(now)-1]
	var there bool
	var missing, kept []string
	err = bounded(ctx, func(ctx context.Context) (err error) {
		there, missing, kept, err = opensearch.MappingChanges(ctx, w.Search, index, w.Templates[0])
		return err
	})
	switch {
	case errors.Is(err, opensearch.ErrForbidden):
		f.warn("allow indices:admin/mappings/get, so that fields of a changed schema are added at once", "the fields of %s cannot be read", index)
	case err != nil:
		f.warn("check the domain's health, and try again", "the fields of %s cannot be read: %s", index, answered(err))
	case !there:
		f.note("%s does not exist yet", index)
	default:
		w.current = index
		if len(missing)+len(kept) == 0 {
			f.note("%s has the fields", index)
		}
		if len(missing) > 0 {
			f.warn("restart run, which adds them", "%s lacks fields: %s", index, firstOf(missing))
		}
		if len(kept) > 0 {
			f.warn(remedyOfKept(concerns), "%s has fields of another type: %s", index, firstOf(kept))
		}
	}
}

// concerns checks the targets, and sets w.refused if a concern keeps run from writing.
func (w *walk) concerns(ctx context.Context) (concerns []Concern, err error) {
	targets, err := Targets(w.Templates, w.Naming, time.Now())
	if err != nil {
		return nil, err
	}
	err = bounded(ctx, func(ctx context.Context) (err error) {
		concerns, err = CheckTargets(ctx, w.Search, targets)
		return err
	})
	if i := slices.IndexFunc(concerns, Concern.Stops); i >= 0 {
		w.refused = string(concerns[i].Problem)
	}
	return concerns, err
}

// remedyOfKept returns the remedy for an index with fields of another type.
func remedyOfKept(concerns []Concern) string {
	if slices.ContainsFunc(concerns, func(c Concern) bool { return c.Problem == Overridden }) {
		return "reindex when no template takes precedence over ours"
	}
	return "wait for the next index, which has them, or reindex"
}
