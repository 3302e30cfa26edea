package doctor

// Concern is a problem on a domain that a person must decide about.
type Concern struct {
	// Problem is the kind of concern, in stable words.
	Problem Problem
	// Found and Remedy are one line each.
	Found, Remedy string
}

// Problem is a kind of concern.
type Problem string

// String returns the finding and the remedy.
func (c Concern) String() string { return c.Found + ": " + c.Remedy }

// Problems.
const (
	// NotChecked means that the domain refuses a request or cannot answer it.
	NotChecked Problem = "the domain cannot be checked"
	// NameTaken means that a name belongs to an index or an alias although DATA_STREAM
	// expects a data stream, or the reverse.
	NameTaken Problem = "DATA_STREAM does not fit the domain"
	// KindDiffers means that an index template would create what NameTaken is about.
	KindDiffers Problem = "DATA_STREAM does not fit an index template"
	// Overridden means that another template takes precedence over ours.
	Overridden Problem = "index template overridden"
	// SamePriority means that OpenSearch refuses our template because another one has its
	// priority.
	SamePriority Problem = "index template of the same priority"
	// PipelineSet means that documents pass an ingest pipeline, which can change ids and
	// fields.
	PipelineSet Problem = "ingest pipeline changes documents"
	// NothingDeleted means that lifecycle policies have no effect.
	NothingDeleted Problem = "Index State Management is switched off"
)

// Refuses reports whether a worker must not write while the concern lasts.
func (c Concern) Refuses() bool { return c.Problem == NameTaken || c.Problem == KindDiffers }

// Stops reports whether nothing can be written while the concern lasts.
func (c Concern) Stops() bool { return c.Refuses() || c.Problem == SamePriority }

// reportConcerns adds concerns to a finding.
func (f *Finding) reportConcerns(concerns []Concern) {
	for _, c := range concerns {
		if c.Stops() {
			f.fail(c.Remedy, "%s", c.Found)
			continue
		}
		f.warn(c.Remedy, "%s", c.Found)
	}
}
