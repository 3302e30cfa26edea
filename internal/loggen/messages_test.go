package loggen

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
)

func TestServices(t *testing.T) {
	for _, s := range services {
		total := 0
		for _, k := range s.kinds {
			total += k.perMille
		}
		if total != 1000 {
			t.Errorf("%s: the shares add up to %d, want 1000", s.group, total)
		}
	}
}

// isAccessLog reports whether the message has the form of the README's sample.
func isAccessLog(message string) bool {
	var line struct {
		Level, TS, Msg string
		Log            struct {
			StartTime string `json:"start_time"`
			Duration  int64
			Request   struct{ Hostname, Method, Path string }
			Response  struct{ Status int }
		}
		RequestID string `json:"request_id"`
	}
	return json.Unmarshal([]byte(message), &line) == nil && line.Msg == "request and response log" &&
		line.Level != "" && line.TS != "" && line.Log.StartTime != "" && line.Log.Duration > 0 && line.RequestID != "" &&
		line.Log.Request.Hostname != "" && line.Log.Request.Method != "" && line.Log.Request.Path != "" && line.Log.Response.Status >= 200
}

// Each kind of message occurs at least a given number of times in 30,000 events.
func TestMessages(t *testing.T) {
	var messages []string
	for _, r := range records(Options{Seed: 1, Events: 30_000}) {
		if r.Control {
			continue
		}
		for _, e := range r.Events {
			messages = append(messages, e.Message)
			if strings.Contains(e.Message, `"msg":"request and response log"`) && !isAccessLog(e.Message) {
				t.Fatalf("not a complete access log: %s", e.Message)
			}
		}
	}
	f := func(kind string, atLeast int, is func(string) bool) {
		t.Helper()
		n := 0
		for _, m := range messages {
			if is(m) {
				n++
			}
		}
		t.Logf("%-26s %6d", kind, n)
		if n < atLeast {
			t.Errorf("%s: %d messages, want %d", kind, n, atLeast)
		}
	}
	has := func(parts ...string) func(string) bool {
		return func(m string) bool {
			for _, p := range parts {
				if !strings.Contains(m, p) {
					return false
				}
			}
			return true
		}
	}
	matches := func(pattern string) func(string) bool { return regexp.MustCompile(pattern).MatchString }

	f("access log", 15_000, isAccessLog)
	f("access log of an error", 150, has(`"level":"error"`, `"stacktrace":"`))
	f("plain text", 1_500, matches(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO |DEBUG|WARN |ERROR) +\[[^\n]+$`))
	f("Java trace", 150, has("Exception: ", "\n\tat ", "\nCaused by: ", " more\n"))
	f("Go trace", 60, has("panic: ", "\n\ngoroutine ", " [running]:\n", ".go:"))
	f("Python trace", 150, has("Traceback (most recent call last):\n  File \"", "Error: "))
	f("Japanese", 300, func(m string) bool {
		return strings.ContainsFunc(m, func(r rune) bool { return unicode.Is(unicode.Hiragana, r) })
	})
	f("half-width kana", 30, has("ｶﾀｶﾅ"))
	f("surrogate pair", 150, func(m string) bool {
		return strings.ContainsFunc(m, func(r rune) bool { return utf16.RuneLen(r) == 2 })
	})
	f("zero-width joiner", 30, has("\u200d"))
	f("skin tone", 30, has("\U0001F3FD"))
	f("quotes and backslashes", 300, matches(`\\"`))
	f("JSON in JSON in JSON", 30, has(`\\\"`))
	f("many backslashes", 30, has(`\\\\`, `"`))
	f("markup", 30, has("<", ">", "&"))
	f("tabs", 300, matches(`^[^\n]*\t[^\n]*\t`))
	f("colours", 150, matches("^\x1b\\[90m.*\x1b\\[0m$"))
	f("Lambda report", 150, matches(`^REPORT RequestId: [0-9a-f-]{36}\tDuration: [0-9.]+ ms\t`))
	f("very long", 15, func(m string) bool { return len(m) > 4_000 })
	f("about 20 KB", 1, func(m string) bool { return len(m) >= 20_000 })
	f("blank", 30, func(m string) bool { return strings.TrimSpace(m) == "" })
	f("words to search for", 300, has("connection refused"))
	f("words to search for", 300, has("timeout"))
}
