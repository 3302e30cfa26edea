package consumer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// follow returns a watermark and the sequence numbers that it advances to.
func follow() (*watermark, *[]string) {
	var moves []string
	w := newWatermark(func(sequenceNumber string) { moves = append(moves, sequenceNumber) })
	return w, &moves
}

func TestWatermarkOrder(t *testing.T) {
	w, moves := follow()
	a, b, c := w.add("1", 1), w.add("2", 1), w.add("3", 1)
	w.acknowledge(b)
	w.acknowledge(c)
	if len(*moves) != 0 {
		t.Fatalf("moved to %v past an unacknowledged record", *moves)
	}
	w.acknowledge(a)
	if got := fmt.Sprint(*moves); got != "[3]" {
		t.Errorf("moved to %s", got)
	}
}

// User records of one aggregate share a sequence number. It is passed when all of them are
// acknowledged.
func TestWatermarkSharedNumber(t *testing.T) {
	w, moves := follow()
	m := w.add("1", 3)
	w.acknowledge(m)
	w.acknowledge(m)
	if len(*moves) != 0 {
		t.Fatalf("moved to %v", *moves)
	}
	w.acknowledge(m)
	if got := fmt.Sprint(*moves); got != "[1]" {
		t.Errorf("moved to %s", got)
	}
}

// A time is passed with the records before it, at once if none is pending, and never after a
// mark was abandoned.
func TestWatermarkThrough(t *testing.T) {
	w, _ := follow()
	var through []int64
	w.readThrough = func(t time.Time) { through = append(through, t.Unix()) }
	f := func(when string, want ...int64) {
		t.Helper()
		if !slices.Equal(through, want) {
			t.Errorf("%s: %v, want %v", when, through, want)
		}
		through = nil
	}
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	w.through(at(1))
	f("none pending", 1)
	a := w.add("1", 1)
	w.through(at(2))
	b := w.add("2", 1)
	w.through(at(3))
	w.through(at(4)) // an answer without records
	f("two pending")
	w.acknowledge(b)
	f("the first pending")
	w.acknowledge(a)
	f("both are passed", 4)
	a = w.add("3", 1)
	w.through(at(5))
	b = w.add("4", 1)
	w.abandon(b)
	w.through(at(6))
	w.acknowledge(a)
	w.through(at(7))
	f("one is never passed", 5)
}

// An abandoned mark is never passed, and drained does not wait for it.
func TestWatermarkAbandon(t *testing.T) {
	w, moves := follow()
	a, b := w.add("1", 1), w.add("2", 2)
	w.acknowledge(b)
	w.abandon(b)
	w.acknowledge(b)
	w.acknowledge(a)
	if got := fmt.Sprint(*moves); got != "[1]" {
		t.Errorf("moved to %s", got)
	}
	select {
	case <-w.drained():
	default:
		t.Error("not drained")
	}
}

func TestWatermarkDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := follow()
		<-w.drained() // nothing to wait for
		a, b := w.add("1", 1), w.add("2", 1)
		drained := w.drained()
		isDrained := func() bool {
			synctest.Wait()
			select {
			case <-drained:
				return true
			default:
				return false
			}
		}
		w.acknowledge(b)
		if isDrained() || w.pending() != 1 {
			t.Errorf("drained with %d pending", w.pending())
		}
		w.acknowledge(a)
		if !isDrained() || w.pending() != 0 {
			t.Errorf("not drained with %d pending", w.pending())
		}
	})
}

// For any order and concurrency, the moves ascend, never pass an unacknowledged record, and end
// at the last one.
func TestWatermarkConcurrent(t *testing.T) {
	const n = 2000
	w, moves := follow()
	marks := make([]*mark, n)
	for i := range marks {
		marks[i] = w.add(fmt.Sprintf("%06d", i), 1)
	}
	order := rand.Perm(n)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				w.acknowledge(marks[order[i]])
			}
		})
	}
	wg.Wait()
	for i := 1; i < len(*moves); i++ {
		if (*moves)[i] <= (*moves)[i-1] {
			t.Fatalf("moved from %s to %s", (*moves)[i-1], (*moves)[i])
		}
	}
	if last := (*moves)[len(*moves)-1]; last != fmt.Sprintf("%06d", n-1) {
		t.Errorf("ended at %s", last)
	}
}

// While one record is pending, acknowledged records after it need no memory. The watermark
// moves to the last of them when that one is acknowledged.
func TestWatermarkMergesMarks(t *testing.T) {
	w, moves := follow()
	held := w.add("0", 1)
	for i := 1; i <= 1000; i++ {
		w.acknowledge(w.add(fmt.Sprint(i), 1))
	}
	kept := 0
	for m := w.last; m != nil; m = m.before {
		kept++
	}
	if kept > 2 {
		t.Errorf("%d marks are kept for a pending one", kept)
	}
	w.acknowledge(held)
	if got := fmt.Sprint(*moves); got != "[1000]" {
		t.Errorf("moved to %s", got)
	}
	if w.last != nil {
		t.Error("marks are left")
	}
}
