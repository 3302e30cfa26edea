package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"logsluice/internal/safetext"
)

// writeJSON writes a value as one line of JSON. It also escapes the control characters that
// JSON permits in strings (U+007F to U+009F).
func writeJSON(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var line strings.Builder
	for _, r := range string(text) {
		if r >= 0x7f && r <= 0x9f {
			fmt.Fprintf(&line, "\\u%04x", r)
			continue
		}
		line.WriteRune(r)
	}
	_, err = io.WriteString(w, line.String()+"\n")
	return err
}

// cells joins texts to a row of a table. It escapes control characters, because some texts
// come from outside the program.
func cells(texts ...string) string {
	for i, text := range texts {
		texts[i] = strings.NewReplacer("\n", " ", "\t", " ").Replace(safetext.Escape(text))
	}
	return strings.Join(texts, "\t")
}

// head returns at most limit runes from the beginning of a text.
func head(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// tail returns at most limit runes from the end of a text.
func tail(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return "…" + string(runes[len(runes)-limit+1:])
	}
	return text
}
