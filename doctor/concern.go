package doctor

// Concern is something on a domain that a person has to decide about.
type Concern struct {
	// Problem is its kind, in words that stay the same.
	Problem Problem
	// Found is one line, and Remedy another, which says what to do.
	Found, Remedy string
}

// Problem is a kind of concern.
type Problem string

// String is what was found and what to do.
func (c Concern) String() string { return c.Found + ": " + c.Remedy }

// Problems.
const (
	// NotAsked is a question that the domain does not answer to this user.
	NotAsked Problem = "the domain cannot be checked"
	// NameTaken is a name that stands for an index or an alias where a data stream is to
	// be, or the other way round.
	NameTaken Problem = "DATA_STREAM does not fit the domain"
	// KindDiffers is a template by which a name would come to be taken like that.
	KindDiffers Problem = "DATA_STREAM does not fit an index template"
	// Overridden is a template of ours with another before it.
	Overridden Problem = "index template overridden"
	// SamePriority is a template that OpenSearch refuses ours beside.
	SamePriority Problem = "index template of the same priority"
	// PipelineSet is an ingest pipeline, which can change ids and fields.
	PipelineSet Problem = "ingest pipeline changes documents"
	// NothingDeleted is a policy by which nothing is done.
	NothingDeleted Problem = "Index State Management is switched off"
)

// Refuses reports whether nothing may be written while it lasts.
func (c Concern) Refuses() bool { return c.Problem == NameTaken || c.Problem == KindDiffers }

// Stops reports whether nothing can be written while it lasts.
func (c Concern) Stops() bool { return c.Refuses() || c.Problem == SamePriority }

// tellConcerns adds concerns to what was found.
func (f *Finding) tellConcerns(concerns []Concern) {
	for _, c := range concerns {
		if c.Stops() {
			f.fail(c.Remedy, "%s", c.Found)
			continue
		}
		f.warn(c.Remedy, "%s", c.Found)
	}
}
