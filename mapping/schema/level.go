package schema

import (
	"bytes"
)

// levels are the names of levels by what emitters call them, in lowercase. Emitters are
// log libraries, syslog, java.util.logging, .NET, glog, Postgres and cloud services.
var levels = map[string]string{
	"trace": "trace", "trc": "trace", "trce": "trace", "verbose": "trace", "vrb": "trace", "silly": "trace", "finest": "trace", "finer": "trace", "t": "trace", "v": "trace",
	"debug": "debug", "dbg": "debug", "dbug": "debug", "fine": "debug", "config": "debug", "d": "debug",
	"debug1": "debug", "debug2": "debug", "debug3": "debug", "debug4": "debug", "debug5": "debug",
	"info": "info", "inf": "info", "information": "info", "informational": "info", "notice": "info", "http": "info", "success": "info", "log": "info", "i": "info",
	"warn": "warn", "warning": "warn", "wrn": "warn", "w": "warn",
	"error": "error", "err": "error", "eror": "error", "fail": "error", "severe": "error", "e": "error",
	"fatal": "fatal", "ftl": "fatal", "critical": "fatal", "crit": "fatal", "alert": "fatal", "emerg": "fatal", "emergency": "fatal", "panic": "fatal", "dpanic": "fatal", "f": "fatal", "c": "fatal",
}

// longestLevel is longer than the name of a level with colors, blanks and brackets around it.
const longestLevel = 64

// LevelName returns the level that a text in canonical form names, whatever its case, with
// colors, blanks and brackets removed: trace, debug, info, warn, error or fatal. It returns
// "" if the text does not name a level.
func LevelName(text []byte) string {
	if len(text) > longestLevel {
		return ""
	}
	var buffer [longestLevel]byte
	name := buffer[:0]
	for len(text) > 0 {
		if n := colorLength(text); n > 0 {
			text = text[n:]
			continue
		}
		if text[0] == '\\' && len(text) > 1 && bytes.IndexByte([]byte("tnr"), text[1]) >= 0 {
			name, text = append(name, ' '), text[2:]
			continue
		}
		name, text = append(name, text[0]), text[1:]
	}
	name = bytes.Trim(name, " []:")
	lowerASCII(name)
	if level, ok := levels[string(name)]; ok {
		return level
	}
	return levelWithOffset(name)
}

// colorLength returns the length of the ANSI color sequence at the beginning of a canonical
// text, such as \u001b[31m, or 0.
func colorLength(text []byte) int {
	const escape = `\u001b[`
	if !bytes.HasPrefix(text, []byte(escape)) {
		return 0
	}
	for i := len(escape); i < len(text); i++ {
		if c := text[i]; c != ';' && (c < '0' || c > '9') {
			if c == 'm' {
				return i + 1
			}
			return 0
		}
	}
	return 0
}

// levelWithOffset returns the level of a name such as info+2, as log/slog writes levels
// between the named ones. See https://pkg.go.dev/log/slog#Level.String.
func levelWithOffset(name []byte) string {
	i := bytes.IndexAny(name, "+-")
	if i < 0 {
		return ""
	}
	base := levels[string(name[:i])]
	offset, ok := integer(bytes.TrimPrefix(name[i:], []byte("+")))
	const between = 4 // the distance of named levels
	switch {
	case !ok || base != string(name[:i]):
		return ""
	case base == "debug" && offset <= -between:
		return "trace"
	}
	return base
}

// levelOf returns the level of a value, with the numbers of a dialect, or "".
func (d *Dialect) levelOf(v Value) string {
	if n, ok := integer(v.Text); ok {
		if d == nil {
			return ""
		}
		return d.levels[int(n)]
	}
	if !v.Quoted {
		return ""
	}
	return LevelName(v.Text)
}
