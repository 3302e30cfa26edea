package checkpoint

import (
	"strings"
	"testing"
)

func TestCheckWorker(t *testing.T) {
	f := func(name string, good bool) {
		t.Helper()
		if err := CheckWorker(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"w", "my worker", "arn:aws:ecs:us-east-1:123456789012:task/shop/0123456789abcdef", "作業", strings.Repeat("w", 128)} {
		f(name, true)
	}
	for _, name := range []string{"", " ", " w", "w\n", "a\tb", "a\x00b", "w\xff", "\u200bw", "a\u2028b", strings.Repeat("w", 129), strings.Repeat("作", 43)} {
		f(name, false)
	}
}

func TestCheckTable(t *testing.T) {
	f := func(name string, good bool) {
		t.Helper()
		if err := CheckTable(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"abc", "A_b-c.9", strings.Repeat("a", 255)} {
		f(name, true)
	}
	for _, name := range []string{"", "ab", "my app", "abc ", "abc\n", "abç", "a/b/c", strings.Repeat("a", 256)} {
		f(name, false)
	}
}
