package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"logsluice/internal/safetext"
)

// writeJSON writes a value as a line of JSON. It escapes the control characters, too, that
// JSON may have as they are.
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

// cells makes a row of a table of texts that others may have written.
func cells(texts ...string) string {
	for i, text := range texts {
		texts[i] = strings.NewReplacer("\n", " ", "\t", " ").Replace(safetext.Escape(text))
	}
	return strings.Join(texts, "\t")
}

// head shortens a text to its beginning.
func head(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// tail shortens a text to its end.
func tail(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return "…" + string(runes[len(runes)-most+1:])
	}
	return text
}
