package loggen

// plainText writes a line of a classic logger.
func plainText(l *line) {
	l.time("2006-01-02 15:04:05,000")
	l.oneOf(levels)
	l.str("[")
	l.oneOf(threads)
	l.number(1, 16)
	l.str("] ")
	l.oneOf(loggers)
	l.str(" - ")
	switch l.rng.IntN(4) {
	case 0:
		l.oneOf(failures)
		l.str(", attempt ")
		l.number(1, 5)
		l.str(" of 5, next in ")
		l.number(50, 5000)
		l.str(" ms")
	case 1:
		l.str("order ")
		l.padded(9)
		l.str(" moved from ")
		l.oneOf(states)
		l.str(" to ")
		l.oneOf(states)
		l.str(" in ")
		l.number(1, 900)
		l.str(" ms")
	case 2:
		l.str("consumed ")
		l.number(1, 500)
		l.str(" messages from queue ")
		l.oneOf(queues)
		l.str(", ")
		l.number(0, 20_000)
		l.str(" left, oldest ")
		l.number(0, 600)
		l.str(" s")
	default:
		l.str("cache ")
		l.oneOf(queues)
		l.str(": hits=")
		l.number(0, 99_999)
		l.str(" misses=")
		l.number(0, 9_999)
		l.str(" evictions=")
		l.number(0, 999)
	}
}

// lambdaReport writes one of the lines that Lambda writes for an invocation.
// See https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html.
func lambdaReport(l *line) {
	switch l.rng.IntN(3) {
	case 0:
		l.str("START RequestId: ")
		l.uuid()
		l.str(" Version: $LATEST\n")
	case 1:
		l.str("END RequestId: ")
		l.uuid()
		l.str("\n")
	default:
		l.str("REPORT RequestId: ")
		l.uuid()
		l.str("\tDuration: ")
		l.number(1, 2999)
		l.str(".")
		l.padded(2)
		l.str(" ms\tBilled Duration: ")
		l.number(1, 3000)
		l.str(" ms\tMemory Size: 512 MB\tMax Memory Used: ")
		l.number(60, 500)
		l.str(" MB\t\n")
	}
}

// table writes a row of tab-separated fields.
func table(l *line) {
	l.time("2006-01-02")
	for range 4 + l.rng.IntN(8) {
		l.str("\t")
		switch l.rng.IntN(3) {
		case 0:
			l.number(0, 999_999)
		case 1:
			l.oneOf(states)
		}
	}
}

// colours writes a line with terminal escapes.
func colours(l *line) {
	l.str("\x1b[90m")
	l.time("15:04:05.000")
	l.str("\x1b[0m \x1b[3")
	l.number(1, 6)
	l.str(";1m")
	l.oneOf(levels)
	l.str("\x1b[0m\t")
	l.oneOf(routes)
	l.str(" \x1b[36mms=\x1b[0m")
	l.number(1, 999)
	l.str(" \x1b[36merror=\x1b[0m\x1b[31m")
	l.oneOf(failures)
	l.str("\x1b[0m")
}

// blank writes an almost empty line; CloudWatch Logs does not accept empty ones.
func blank(l *line) {
	l.oneOf([]string{" ", "\n", "-", "{}", "\t", ".", "\r\n", "　", `""`, "null"})
}

// longLine writes a JSON document of 3 to 20 KB.
func longLine(l *line) {
	size := 3_000 + min(l.rng.IntN(17_000), l.rng.IntN(17_000), l.rng.IntN(17_000))
	if l.chance(5) {
		size = 20_000
	}
	l.str(`{"event":"export.batch","job":"`)
	l.uuid()
	l.str(`","rows":[`)
	for len(l.text) < size {
		l.str(`{"sku":"`)
		l.oneOf(queues)
		l.str("-")
		l.padded(6)
		l.str(`","qty":`)
		l.number(1, 99)
		l.str(`,"state":"`)
		l.oneOf(states)
		l.str(`","name":"`)
		l.oneOf(japaneseWords)
		l.str(`"},`)
	}
	l.str(`null]}`)
}
