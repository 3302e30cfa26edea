package safetext

import "testing"

func TestCutToken(t *testing.T) {
	for text, want := range map[string]string{
		"":   "",
		"No": "No",
		"should have been 'GET\n/\n\nhost:h\nx-amz-security-token:IQoJb3\nx'": "should have been 'GET\n/\n\nhost:h …",
		"X-Amz-Security-Token: IQoJb3":                                        " …",
	} {
		if got := CutToken(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain, größe → 日本\n\tx":   "plain, größe → 日本\n\tx",
		"no\u00a0break":            "no\u00a0break",
		"\x1b[31mred\x1b[0m":       `\x1b[31mred\x1b[0m`,
		"bell\a, del\x7f, cr\r":    `bell\a, del\x7f, cr\r`,
		"C1 \u009b31m":             `C1 \u009b31m`,
		"right to left \u202e abc": `right to left \u202e abc`,
		"\x00":                     `\x00`,
		"bad \xff UTF-8":           "bad \ufffd UTF-8",
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
