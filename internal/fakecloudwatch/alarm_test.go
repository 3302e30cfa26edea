package fakecloudwatch

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var end = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// The tables of the user guide: - is a missing value, X a breaching one, 0 one that is not.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
func TestMissingData(t *testing.T) {
	t.Parallel()
	metric := Metric{"app", "age", []Dimension{{"application", "a"}}}
	f := func(datapoints int, values string, breaching, notBreaching State) {
		t.Helper()
		var m Metrics
		points := strings.Fields(values)
		for i, p := range points {
			at := end.Add(-time.Duration(len(points)-i) * 5 * time.Minute)
			switch p {
			case "X":
				m.Put(metric, at.Add(time.Minute), 9)
			case "0":
				m.Put(metric, at.Add(time.Minute), 1)
			}
		}
		for missing, want := range map[string]State{"breaching": breaching, "notBreaching": notBreaching} {
			d := Definition{Metric: metric, Statistic: "Maximum", Period: 300, Periods: 3, Datapoints: datapoints, Comparison: "GreaterThanThreshold", Threshold: 8, Missing: missing}
			if got, err := d.State(&m, end, 2); got != want || err != nil {
				t.Errorf("%s, missing is %s: %s, %v", values, missing, got, err)
			}
		}
	}
	f(3, "0 - X - X", OK, OK)
	f(3, "0 - - - -", OK, OK)
	f(3, "- - - - -", Alarm, OK)
	f(3, "0 X X - X", Alarm, Alarm)
	f(3, "- - X - -", Alarm, OK)
	f(0, "0 X X - X", Alarm, Alarm)
	f(2, "0 - X - X", Alarm, Alarm)
	f(2, "0 0 X 0 X", Alarm, Alarm)
	f(2, "0 - X - -", Alarm, OK)
	f(2, "- - - - 0", Alarm, OK)
	f(2, "- - - X -", Alarm, OK)
}

// The examples of the user guide.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html.
func TestCalculate_Success(t *testing.T) {
	t.Parallel()
	none := math.NaN()
	f := func(expression, want string, known ...series) {
		t.Helper()
		ids := make(map[string]series)
		for i, s := range known {
			ids[fmt.Sprintf("m%d", i+1)] = s
		}
		got, err := calculate(expression, ids)
		if text := strings.ReplaceAll(fmt.Sprint(got), "NaN", "-"); text != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", expression, text, err, want)
		}
	}
	one, two := series{30, 20, 0, 0}, series{20, none, 20, none}
	f("m1 < m2", "[0 0 1 0]", one, two)
	f("m1 >= 30", "[1 0 0 0]", one)
	f("m1 > 15 AND m2 > 15", "[1 0 0 0]", one, two)
	f("m1 > 15 OR m2 > 15", "[1 1 1 0]", one, two)
	f("m2 > 15", "[1 - 1 -]", one, two)
	f("m1 + m2", "[50 20 20 0]", one, two)
	f("m2 / m1 * 3", "[2 0 - -]", one, two)
	f("FILL(m2, 5) - 1", "[19 4 19 4]", one, two)
	f("FILL(m2, m1)", "[20 20 20 0]", one, two)
	f("IF(m1, m2, m3)", "[30 0 20 - -]", series{1, 1, 0, 0, none}, series{30, none, 0, 0, 30}, series{0, 0, 20, none, 20})
	f("IF(m1, 5, m2)", "[5 5 20 - -]", series{1, 1, 0, 0, none}, series{0, 0, 20, none, 20})
	f("IF(m1, m2, 5)", "[30 0 5 5 -]", series{1, 1, 0, 0, none}, series{30, none, 0, 0, 30})
}

func TestCalculate_Failure(t *testing.T) {
	t.Parallel()
	f := func(expression, want string) {
		t.Helper()
		if got, err := calculate(expression, map[string]series{"m1": {1}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
	f("m1 +", "expected")
	f("m2 > 1", "no metric has the id m2")
	f("1 + 1", "is a number")
	f("RATE(m1)", "function RATE with 1 arguments is not supported")
	f("FILL(m1, REPEAT)", "no metric has the id REPEAT")
	f("m1 % 2", "operator % is not supported")
	f("m1[0]", "is not supported")
}

// A document from which CloudWatch would not extract metrics is an error. Other lines have no
// metrics.
func TestLog(t *testing.T) {
	t.Parallel()
	f := func(line, wrong string, want ...string) {
		t.Helper()
		var m Metrics
		err := m.Log([]byte(line))
		if got := m.Names(); fmt.Sprint(got) != fmt.Sprint(want) || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, %v", line, got, err)
		}
	}
	document := func(directive, members string) string {
		return fmt.Sprintf(`{"_aws":{"Timestamp":1768478400000,"CloudWatchMetrics":[%s]},%s}`, directive, members)
	}
	f(`{"message":"lag","lag_seconds":3}`, "")
	f(`not JSON`, "invalid character")
	f(`{"_aws":{"CloudWatchMetrics":[]}}`, "without Timestamp")
	const directive = `{"Namespace":"app","Dimensions":[["b","a"]],"Metrics":[{"Name":"n","Unit":"Count"}]}`
	f(document(directive, `"a":"1","b":"2","n":3`), "", "app n {a=1, b=2}")
	f(document(directive, `"a":"1","n":3`), "dimension b")
	f(document(directive, `"a":"1","b":2,"n":3`), "dimension b")
	f(document(directive, `"a":"1","b":"2"`), "metric n")
	f(document(directive, `"a":"1","b":"2","n":"3"`), "metric n")
	f(document(strings.Replace(directive, "Count", "Counts", 1), `"a":"1","b":"2","n":3`), `unit "Counts"`)
	f(document(`{"Dimensions":[[]]}`, `"a":"1"`), "namespace")
}

// Values count in the period of their time, for exactly their dimensions.
func TestStatistics(t *testing.T) {
	t.Parallel()
	var m Metrics
	metric := Metric{"app", "n", []Dimension{{"a", "1"}, {"b", "2"}}}
	for i, v := range []float64{1, 2, 6, 100} {
		m.Put(metric, end.Add(time.Duration(i-3)*time.Minute), v)
	}
	m.Put(Metric{"app", "n", metric.Dimensions[:1]}, end.Add(-time.Minute), 50)
	same := Metric{"app", "n", []Dimension{{"b", "2"}, {"a", "1"}}}
	for statistic, want := range map[string]float64{"Sum": 9, "Average": 3, "Maximum": 6, "Minimum": 1, "SampleCount": 3} {
		got, err := m.series(same, statistic, 3*time.Minute, 2, end)
		if err != nil || !math.IsNaN(got[0]) || got[1] != want {
			t.Errorf("%s: %v, %v", statistic, got, err)
		}
	}
	if _, err := m.series(same, "p99", time.Minute, 5, end); err == nil {
		t.Error("p99 is accepted, want an error")
	}
}
