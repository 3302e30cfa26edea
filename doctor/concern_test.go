package doctor

import "testing"

func TestConcern(t *testing.T) {
	t.Parallel()
	f := func(problem Problem, refuses, stops bool) {
		t.Helper()
		c := Concern{Problem: problem, Found: "found", Remedy: "remedy"}
		if c.Refuses() != refuses || c.Stops() != stops || c.String() != "found: remedy" {
			t.Errorf("%s: refuses %t, stops %t", c, c.Refuses(), c.Stops())
		}
		want := Warning
		if stops {
			want = Broken
		}
		got := Finding{State: OK}
		got.reportConcerns([]Concern{c})
		expect(t, string(problem), got, want, "found", "remedy")
	}
	f(NameTaken, true, true)
	f(KindDiffers, true, true)
	f(SamePriority, false, true)
	f(NotChecked, false, false)
	f(Overridden, false, false)
	f(PipelineSet, false, false)
	f(NothingDeleted, false, false)
}
