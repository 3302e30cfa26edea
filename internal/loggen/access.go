package loggen

import (
	"strconv"
	"time"
)

// accessLog writes the access log of a Go service that uses zap.
func accessLog(l *line) {
	status := l.choose(statuses)
	level := "info"
	if status[0] == '5' {
		level = "error"
	}
	took := time.Duration(200_000+l.rng.IntN(40_000_000)) * time.Nanosecond
	l.str(`{"level":"`)
	l.str(level)
	l.str(`","ts":"`)
	l.time("2006-01-02T15:04:05.000-0700")
	l.str(`","msg":"request and response log","out":"stdout","log":{"start_time":"`)
	l.text = l.at.Add(-took).AppendFormat(l.text, time.RFC3339)
	l.str(`","duration":`)
	l.text = strconv.AppendInt(l.text, int64(took), 10)
	l.str(`,"request":{"hostname":"`)
	l.oneOf(hosts)
	l.str(`","method":"`)
	l.oneOf(methods)
	l.str(`","path":"`)
	l.path()
	l.str(`","remote_ip":"`)
	l.address()
	l.str(`","user_agent":"`)
	l.oneOf(userAgents)
	l.str(`"},"response":{"status":`)
	l.str(status)
	l.str(`,"bytes":`)
	l.number(2, 60_000)
	l.str(`}},"request_id":"`)
	l.uuid()
	l.str(`","trace_id":"`)
	l.hex(32)
	l.str(`","span_id":"`)
	l.hex(16)
	l.str(`"`)
	if level == "error" {
		l.str(`,"error":"`)
		l.oneOf(failures)
		l.str(`","stacktrace":"`)
		for i := range 3 + l.rng.IntN(4) {
			if i > 0 {
				l.str(`\n`)
			}
			l.oneOf(goFunctions)
			l.str(`\n\t`)
			l.goFile()
		}
		l.str(`"`)
	}
	l.str(`}`)
}

// path writes the path of a request, sometimes with an id or a query.
func (l *line) path() {
	l.oneOf(routes)
	switch {
	case l.chance(25):
		l.str("/")
		l.number(10_000, 9_999_999)
	case l.chance(55):
		l.str("/")
		l.hex(32)
	case l.chance(60):
		l.str("?limit=50&cursor=")
		l.hex(40)
	case l.chance(8):
		l.str("?q=")
		l.oneOf(japaneseWords)
	}
}
