package loggen

// javaTrace writes a Java exception with its cause.
func javaTrace(l *line) {
	l.time("2006-01-02 15:04:05,000")
	l.str(" ERROR [")
	l.oneOf(threads)
	l.number(1, 16)
	l.str("] ")
	l.oneOf(loggers)
	l.str(" - request failed\n")
	l.oneOf(javaExceptions)
	for range 6 + l.rng.IntN(14) {
		l.javaFrame()
	}
	l.str("\nCaused by: ")
	l.oneOf(javaExceptions)
	for range 2 + l.rng.IntN(6) {
		l.javaFrame()
	}
	l.str("\n\t... ")
	l.number(10, 60)
	l.str(" more\n")
}

func (l *line) javaFrame() {
	l.str("\n\tat ")
	l.oneOf(javaFrames)
	l.number(20, 1400)
	l.str(")")
}

// goTrace writes a panic of a goroutine.
func goTrace(l *line) {
	l.str("panic: runtime error: ")
	l.oneOf([]string{
		"invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x7b1f2a]",
		"index out of range [5] with length 5",
		"slice bounds out of range [:12] with capacity 8",
	})
	l.str("\n\ngoroutine ")
	l.number(1, 90_000)
	l.str(" [running]:")
	for range 4 + l.rng.IntN(9) {
		l.str("\n")
		l.oneOf(goFunctions)
		l.str("(0xc000")
		l.hex(6)
		l.str(")\n\t")
		l.goFile()
		l.str(" +0x")
		l.hex(3)
	}
	l.str("\nexit status 2")
}

func (l *line) goFile() {
	l.oneOf(goFiles)
	l.number(12, 900)
}

// pythonTrace writes a Python exception.
func pythonTrace(l *line) {
	l.str("[ERROR]\t")
	l.time("2006-01-02T15:04:05.000Z07:00")
	l.str("\t")
	l.uuid()
	l.str("\tTraceback (most recent call last):\n")
	for range 3 + l.rng.IntN(8) {
		l.str(`  File "`)
		l.oneOf(pythonFiles)
		l.str(`", line `)
		l.number(5, 1200)
		l.str(", in ")
		l.oneOf(pythonCalls)
		l.str("\n")
	}
	l.oneOf(pythonErrors)
	l.str("\n")
}
