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
	// NothingDeleted is a policy by which nothing is done.
	NothingDeleted Problem = "Index State Management is switched off"
)

// tellConcerns adds concerns to what was found.
func (f *Finding) tellConcerns(concerns []Concern) {
	for _, c := range concerns {
		f.warn(c.Remedy, "%s", c.Found)
	}
}
