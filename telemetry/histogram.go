package telemetry

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Histogram has the buckets of a Prometheus histogram: the number of observations up to each
// upper bound. Histograms with the same bounds can be added.
type Histogram struct {
	bounds     []float64 // ascending; +Inf last
	cumulative []float64
}

// Add adds the observations of a gathered histogram. It ignores one with other bounds.
func (h *Histogram) Add(other *dto.Histogram) {
	bounds, counts := make([]float64, 0, len(other.GetBucket())+1), make([]float64, 0, len(other.GetBucket())+1)
	for _, bucket := range other.GetBucket() {
		if !math.IsInf(bucket.GetUpperBound(), +1) {
			bounds = append(bounds, bucket.GetUpperBound())
			counts = append(counts, float64(bucket.GetCumulativeCount()))
		}
	}
	bounds, counts = append(bounds, math.Inf(+1)), append(counts, float64(other.GetSampleCount()))
	if h.bounds == nil {
		h.bounds, h.cumulative = bounds, make([]float64, len(counts))
	}
	if slices.Equal(h.bounds, bounds) {
		for i := range counts {
			h.cumulative[i] += counts[i]
		}
	}
}

// Since returns the observations after an earlier state of the same histogram.
func (h Histogram) Since(earlier Histogram) Histogram {
	diff := Histogram{bounds: h.bounds, cumulative: slices.Clone(h.cumulative)}
	if slices.Equal(h.bounds, earlier.bounds) {
		for i := range diff.cumulative {
			diff.cumulative[i] -= earlier.cumulative[i]
		}
	}
	return diff
}

// Count returns the number of observations.
func (h Histogram) Count() float64 {
	if len(h.cumulative) == 0 {
		return 0
	}
	return h.cumulative[len(h.cumulative)-1]
}

// Quantile estimates a quantile (0 to 1), with linear interpolation within a bucket like
// Prometheus' histogram_quantile. It returns NaN without observations, and the last finite
// bound for a quantile beyond it.
func (h Histogram) Quantile(q float64) float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	rank := q * h.Count()
	i := slices.IndexFunc(h.cumulative, func(n float64) bool { return n >= rank })
	if i == len(h.bounds)-1 {
		return h.bounds[max(i-1, 0)]
	}
	lower, below := 0.0, 0.0
	if i > 0 {
		lower, below = h.bounds[i-1], h.cumulative[i-1]
	}
	inBucket := h.cumulative[i] - below
	if inBucket == 0 {
		return h.bounds[i]
	}
	return lower + (h.bounds[i]-lower)*(rank-below)/inBucket
}
